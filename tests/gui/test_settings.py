"""What the window remembers survives a damaged file."""

from pathlib import Path

import pytest

from workbench.gui.settings import Settings, section, texts


@pytest.fixture
def settings(home: Path) -> Settings:
    home.mkdir()
    return Settings(home)


def test_what_was_saved_is_loaded(settings: Settings) -> None:
    assert settings.load() == {}
    settings.save({"theme": "dark"})
    assert settings.load() == {"theme": "dark", "version": 1}


def test_a_damaged_file_gives_the_copy(settings: Settings) -> None:
    settings.save({"theme": "dark"})
    settings.save({"theme": "light"})
    settings.path.write_text('{"theme": "li', encoding="utf-8")
    assert settings.load()["theme"] == "dark"
    settings.backup.write_bytes(b"\xff\xfe")
    assert settings.load() == {}


def test_another_version_is_not_guessed_at(settings: Settings) -> None:
    settings.path.write_text('{"version": 99, "theme": "dark"}', encoding="utf-8")
    assert settings.load() == {}


def test_a_folder_that_cannot_be_written_costs_only_the_layout(home: Path) -> None:
    Settings(home / "missing").save({"theme": "dark"})


def test_parts_of_the_wrong_kind_are_left_out() -> None:
    assert section({"views": 3}, "views") == {}
    assert texts({"recent": ["a", 1, None, "b"]}, "recent") == ["a", "b"]
    assert texts({}, "recent") == []
