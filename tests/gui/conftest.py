"""Fixtures of the window's tests: the real window with a real store, without a training thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.window import Opened, fill
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from workbench.gui.widgets.theme import themes
from workbench.store.store import Store


@pytest.fixture
def run_id(store: Store) -> int:
    """A finished run of three cycles in the store."""
    return fill(store)


@pytest.fixture
def opened(qtbot: QtBot, store: Store) -> Iterator[Opened]:
    """The window, composed as the application does, with the commands it sends in a list."""
    window = Opened(store)
    with qtbot.waitExposed(window.window):
        window.window.show()
    yield window
    window.close()


@pytest.fixture
def theme(qapp: object) -> Iterator[None]:
    """Leave the theme as it was."""
    mode = themes().mode
    yield
    themes().set_mode(mode)


@pytest.fixture
def styled(qapp: QApplication, theme: None) -> Iterator[None]:
    """The style of the application: asked for before the window."""
    themes().install()
    yield
    themes()._installed = False
    qapp.setStyleSheet("")
    QApplication.setPalette(QApplication.style().standardPalette())


@pytest.fixture(autouse=True)
def _application(qapp: object) -> None:
    """Tooltips are laid out by fonts, which need an application, whatever runs first."""
