"""Notices and the frame of the window, in the style of the application."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.window import Opened, fill
from PySide6.QtCore import Qt
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication, QScrollArea, QTabBar, QToolButton
from pytestqt.qtbot import QtBot

from workbench.formatting import both_ends
from workbench.gui.widgets.theme import Mode, themes
from workbench.store.store import Store


@pytest.mark.usefixtures("styled")
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_notice_has_the_colours_of_the_theme_a_time_and_a_way_to_close_it(
    opened: Opened, qtbot: QtBot, mode: Mode
) -> None:
    themes().set_mode(mode)
    toast, theme = opened.window.toast, themes().theme
    for show in (
        lambda: toast.show_message("error", "It went wrong."),
        lambda: toast.show_saved(Path("/somewhere/fig.png")),
        lambda: toast.show_offer("Run 1 was interrupted.", "Resume", "Go on", lambda: None),
    ):
        show()
        QApplication.processEvents()
        assert toast._timer.isActive()
        assert toast._timer.interval() <= 30_000
        assert toast.grab().toImage().pixelColor(8, toast.height() // 2).name() == theme.base
        assert toast.rect().contains(toast.close_button.geometry())
        qtbot.mouseClick(toast.close_button, Qt.MouseButton.LeftButton)
        assert not toast.isVisible()


def test_what_was_saved_is_told_with_its_folder_and_shown_there(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()))
    deep = tmp_path / "a folder with a name as long as those of people are"
    deep.mkdir()
    window = opened.window
    for save in (window.completions.export, window.prompts.library.save_file):
        save(deep / "some.csv")
        assert window.toast.text == f"Saved some.csv in {both_ends(str(deep), 40)}."
        assert len(window.toast.text) < 60
        assert window.toast.notices[-1].sentence == f"Saved some.csv in {deep}."
        assert window.toast.action_button.text() == "Show in folder"
        window.toast.action_button.click()
    assert shown == [str(deep), str(deep)]
    window.prompts.library.save_file(deep / "some.txt")
    window.metrics.saved.emit(Path("/fig.png"), "")
    assert window.toast.text == "Saved fig.png in /."


@pytest.mark.usefixtures("styled")
def test_the_window_fits_a_small_screen_with_a_frame_around_it(
    opened: Opened, store: Store
) -> None:
    """At a scale of 200 % a screen of 1280 x 720 has 640 x 360."""
    window = opened.window
    window.resize(640, 336)
    window.dock_layout.reset()
    opened.controller.show_run(fill(store, 3))
    for name, dock in window.docks.items():
        dock.show()
        dock.raise_()
        QApplication.processEvents()
        assert (window.width(), window.height()) == (640, 336), name
        assert dock.height() >= dock.minimumSizeHint().height(), name
    window.reveal("hyperparameters")
    apply = window.hyperparameters.apply_button
    for area in window.hyperparameters.findChildren(QScrollArea):
        if area.isAncestorOf(apply):
            area.ensureWidgetVisible(apply)
    assert apply.visibleRegion().boundingRect() == apply.rect()


@pytest.mark.usefixtures("styled")
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_buttons_that_scroll_tabs_show_arrows(
    opened: Opened, qtbot: QtBot, mode: Mode
) -> None:
    themes().set_mode(mode)
    window = opened.window
    window.resize(400, 400)
    window.dock_layout.reset()

    def shown() -> list[QToolButton]:
        return [button for bar in window.findChildren(QTabBar) if bar.isVisible()
                for button in bar.findChildren(QToolButton) if button.isVisible()]
    qtbot.waitUntil(lambda: len(shown()) == 2)
    buttons = shown()
    assert [button.isEnabled() for button in buttons].count(False) == 1  # at the first tab
    for button in buttons:
        inside = button.grab(button.rect().adjusted(3, 3, -3, -3)).toImage()
        colours = {inside.pixel(x, y) for x in range(inside.width())
                   for y in range(inside.height())}
        assert len(colours) > 1
