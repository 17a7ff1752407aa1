"""On a screen of 1280x720, with as many plots and runs as a comparison takes, nothing is cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.window import Opened, fill
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from workbench.gui.metrics.view import MetricsView
from workbench.gui.widgets.theme import LIGHT, style_sheet
from workbench.ppo.declaration import PPO
from workbench.store.store import Store

WIDEST = -0.0888
NAMES = [metric.name for metric in PPO.metrics]


@pytest.fixture
def styled(qapp: QApplication) -> Iterator[None]:
    """The style sheet, without which docks and buttons have other sizes."""
    qapp.setStyleSheet(style_sheet(LIGHT))
    yield
    qapp.setStyleSheet("")


@pytest.fixture
def view(qtbot: QtBot, styled: None, opened: Opened, store: Store) -> MetricsView:
    """A run with three others drawn over it, of which two are forks, and one has a long name."""
    # At the plot under the pointer the tools take room from the title.
    QTest.mouseMove(opened.window.menuBar())
    fill(store, 6)
    for name, cycle in (("", 2), ("What becomes of it with KL ten times as dear", 4)):
        parent = store.run(1)
        assert parent
        store.fork_run(1, cycle, name=name, hyperparameters=parent.hyperparameters,
                       changes=()).result()
    fill(store, 6)
    opened.window.resize(1280, 720)
    # Beside the strip a title of 20 letters or more is shortened there.
    opened.window.strip_bar.toggleViewAction().trigger()
    opened.window.dock_layout.reset()
    opened.window.runs.refresh()
    opened.controller.show_run(1)
    opened.window.runs.model.set_ticked({2, 3, 4})
    made = opened.window.metrics
    qtbot.waitUntil(lambda: made._run is not None and len(made._overlays()) == 3)
    return made


def test_five_plots_of_four_runs_are_read(view: MetricsView) -> None:
    view.append(1, 7, dict.fromkeys(NAMES, WIDEST))
    for first in range(0, len(NAMES), 5):
        view.choose_plots((NAMES[first:] + NAMES)[:5])
        view.repaint_now()
        QApplication.processEvents()
        plots = list(view._grid)
        assert len(plots) == 5
        assert view._scroll.verticalScrollBar().maximum() == 0
        cut = [plot.about.label for plot in plots
               if plot._header.title.text() != plot.about.label]
        assert not cut
        for header, value in ((plot._header, plot._header._values[0]) for plot in plots):
            assert not header.title.geometry().intersects(value.geometry())
            assert value.isVisible()
            assert header.rect().contains(value.geometry())
            assert value.geometry().width() >= value.sizeHint().width()
        assert [plot._canvas.height() for plot in plots if plot._canvas.height() < 36] == []
    assert "ten times as dear" in view._grid.legend.toolTip()
    assert "orked from" in view._grid.legend.toolTip()


def test_what_there_is_no_room_for_comes_with_the_keyboard(view: MetricsView) -> None:
    view.choose_plots(["objective/kl", *PPO.plot_sets[2].metrics])
    view.append(1, 7, dict.fromkeys(NAMES, WIDEST))
    view.repaint_now()
    QApplication.processEvents()
    plot = view._grid.plot_of("objective/kl")
    assert plot is not None
    assert not any(button.isVisible() for button in plot.menu.buttons)
    view.activateWindow()
    plot._canvas.setFocus()
    plot._header.fit()
    assert all(button.isVisible() for button in plot.menu.buttons)
