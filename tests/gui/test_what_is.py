"""What is this? of plots, terms of the loss and settings: formula, meaning and source."""

from __future__ import annotations

import re

import pytest
from helpers.window import Opened, bare_controls
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QMenu, QTabBar, QWidget
from pytestqt.qtbot import QtBot

from workbench import papers
from workbench.algorithms import ALGORITHMS, find_metric, find_rule
from workbench.gui.about_views import ABOUT
from workbench.gui.health.dials import Dial
from workbench.gui.views import DOCKS
from workbench.gui.what_is import WHAT_IS, of_metric, of_setting, of_term, show_explanation
from workbench.gui.widgets.formula import printed_formula, terms_html
from workbench.gui.widgets.theme import themes
from workbench.ppo.declaration import PPO
from workbench.store.store import Store

SOURCES = {name: text for name, text in vars(papers).items() if name.isupper()}


def page(opened: Opened) -> QDialog:
    dialog = opened.window.findChild(QDialog, "what_is")
    assert dialog.isVisible()
    assert not bare_controls(dialog)
    return dialog


def said(dialog: QDialog) -> str:
    return "\n".join(label.text() for label in dialog.findChildren(QLabel))


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_every_number_has_a_formula_and_every_source_is_a_paper(algorithm) -> None:
    assert all(metric.formula for metric in algorithm.metrics)
    terms = algorithm.objective.terms if algorithm.objective else ()
    declared = [*algorithm.metrics, *algorithm.settings.specs().values(), *terms]
    assert {part for d in declared for part in d.source.split("; ") if part} <= {
        part for text in SOURCES.values() for part in text.split("; ")}
    assert all(term.formula and term.source for term in terms)


def test_a_source_says_who_when_and_where() -> None:
    for text in SOURCES.values():
        # Before there was such an address: the journal and its volume.
        assert re.match(r"[A-Z][\w.\- ]+ \d{4}, .*"
                        r"(arXiv:\d{4}\.\d{4,5}|\w+\.net/\S+|, [A-Z][A-Za-z ]+ \d+)$", text), text


def test_the_five_ideas_say_their_formula_and_their_paper() -> None:
    specs = PPO.settings.specs()
    for name in ("kl_coef", "vf_coef", "entropy_coef", "cliprange", "lam"):
        assert specs[name].formula
        assert specs[name].source


def test_a_plot_says_what_it_is(qtbot: QtBot, opened: Opened, run_id: int) -> None:
    opened.controller.show_run(run_id)
    opened.window.reveal("metrics")
    qtbot.waitUntil(lambda: bool(list(opened.window.metrics._grid)))
    plot = next(iter(opened.window.metrics._grid))
    entry = next(a for a in plot.menu.actions() if a.text() == WHAT_IS)
    entry.trigger()
    dialog = page(opened)
    metric = plot.about
    assert {metric.label, metric.help} <= set(said(dialog).split("\n"))
    assert metric.name in said(dialog)
    formula = dialog.findChild(QLabel, "what_is_formula")
    assert formula.text() == printed_formula(metric.formula, themes().theme.text)
    dialog.grab()


def test_what_was_pointed_at_is_let_go_of_when_the_page_opens(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    from gui.test_frontier import fill

    window = opened.window
    window.resize(1280, 800)
    window.show()
    window.reveal("metrics")
    opened.controller.show_run(fill(store, cycles=20))
    view = window.metrics
    qtbot.waitUntil(lambda: bool(list(view._grid)) and view._pointing.run is not None
                    and len(view._pointing.run.cycles) == 20)
    plot = next(iter(view._grid))
    canvas = plot._canvas
    QApplication.sendEvent(canvas, QEvent(QEvent.Type.Enter))  # as Qt does, on screen
    view._pointing.crosshair.hover(plot, (7.0, 0.0), view._pointing.run, (), "cycles")
    assert view._pointing.crosshair.cycle == 7
    next(a for a in plot.menu.actions() if a.text() == WHAT_IS).trigger()
    page(opened)
    qtbot.waitUntil(lambda: view._pointing.crosshair.cycle is None)


def test_a_term_says_what_it_is_by_mouse_and_by_keyboard(
    qtbot: QtBot, opened: Opened, store
) -> None:
    from gui.test_objective import fill

    opened.controller.show_run(fill(store))
    opened.window.reveal("objective")
    view = opened.window.objective
    qtbot.waitUntil(lambda: view.picture is not None and view.formula.chips[0].isVisible())
    chip = view.formula.chips[0]
    qtbot.mouseClick(chip, Qt.MouseButton.LeftButton)
    dialog = page(opened)
    assert papers.SCHULMAN_2017 in said(dialog)
    dialog.close()
    QApplication.processEvents()
    chip.setFocus()
    qtbot.keyClick(chip, Qt.Key.Key_Space)
    assert "<i>L</i><sub>POLICY</sub>" in said(page(opened))


def test_every_picture_says_what_it_is(qtbot: QtBot, opened: Opened, store) -> None:
    from gui.test_guide import fill

    window = opened.window
    opened.controller.show_run(fill(store))
    seen = set()
    for name in ("metrics", "tokens", "objective", "distributions", "chances", "paths",
                 "frontier"):
        window.reveal(name)
        view = window.views[name]
        qtbot.waitUntil(lambda view=view: view.isVisible())
        if name == "metrics":
            qtbot.waitUntil(lambda: bool(list(window.metrics._grid)))
        if name == "objective":
            qtbot.waitUntil(lambda: window.objective.picture is not None)
        if name == "frontier":
            qtbot.waitUntil(lambda: window.frontier.picture is not None
                            and window.frontier.plot.isVisible())
        if name == "distributions":
            qtbot.waitUntil(lambda: window.distributions.picture is not None)
        for widget in view.findChildren(QWidget):
            for entry in widget.actions():
                if entry.text() != WHAT_IS:
                    continue
                entry.trigger()
                dialog = window.findChild(QDialog, "what_is")
                if dialog is not None:
                    seen.add(widget.objectName())
                    assert dialog.findChild(QLabel, "what_is_formula") is not None or (
                        "distribution" in widget.objectName())
                    dialog.close()
                    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert {"plot_objective/scores", "objective_region", "objective_bars", "objective_term_0",
            "tokens_line", "chance_bars", "path_tree", "calibration", "frontier_plot"} <= seen
    assert any(name.startswith("distribution_") for name in seen)


def test_a_setting_says_what_it_is(opened: Opened) -> None:
    row = opened.window.hyperparameters.form.rows["cliprange"]
    row.actions()[0].trigger()
    text = said(page(opened))
    assert row.spec.help in text
    assert papers.SCHULMAN_2017 in text
    assert "Default: 0.2" in text


def test_the_key_says_what_has_the_keyboard(qtbot: QtBot, opened: Opened) -> None:
    window = opened.window
    window.activateWindow()
    window.reveal("hyperparameters")
    window.hyperparameters.go_to("kl_coef")
    window.actions_["what_is"].trigger()
    assert papers.ZIEGLER_2019 in said(page(opened))


def point(opened: Opened) -> None:
    """Choose What is this? in the Help menu."""
    action = opened.window.actions_["what_is"]
    menu = next(m for m in action.associatedObjects() if isinstance(m, QMenu))
    menu.aboutToHide.emit()
    action.trigger()
    assert opened.controller.explaining.pointing
    assert QApplication.overrideCursor().shape() == Qt.CursorShape.WhatsThisCursor
    assert "Click" in opened.window.toast.text


def over() -> None:
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def test_from_the_menu_the_next_click_explains_what_it_hits(
    qtbot: QtBot, opened: Opened, store
) -> None:
    from gui.test_guide import fill

    window = opened.window
    opened.controller.show_run(fill(store))
    window.reveal("tokens")
    qtbot.waitUntil(lambda: bool(window.tokens.table.model().rowCount()))
    header = window.tokens.table.horizontalHeader()
    column = next(c for c in PPO.tokens.columns if c.title == header.model().headerData(
        1, Qt.Orientation.Horizontal))
    part = window.strip.buttons[0]
    tabs = next(bar for bar in window.findChildren(QTabBar) if bar.count() > 1)
    shown = tabs.currentIndex()
    tab = 1 if not shown else 0
    row = window.hyperparameters.form.rows["cliprange"]
    for widget, at, title, text in (
        (header.viewport(), QPoint(header.sectionViewportPosition(1) + 5, 5), column.title,
         column.help),
        (part, part.rect().center(), part.part.title, part.part.help),
        (tabs, tabs.tabRect(tab).center(), tabs.tabText(tab),
         ABOUT[tabs.tabText(tab)]),
        (row.field, QPoint(5, 5), row.spec.label, row.spec.help),
    ):
        point(opened)
        qtbot.mouseClick(widget, Qt.MouseButton.LeftButton, pos=at)
        assert not opened.controller.explaining.pointing
        assert QApplication.overrideCursor() is None
        assert not opened.window.toast.isVisible()  # it has been clicked
        dialog = page(opened)
        assert title in said(dialog)
        assert text in said(dialog)
        dialog.close()
        over()
    assert tabs.currentIndex() == shown  # the click on its tab did nothing else


def test_from_the_menu_a_dial_is_explained(qtbot: QtBot, opened: Opened, store) -> None:
    from gui.test_guide import fill

    opened.controller.show_run(fill(store))
    opened.window.reveal("metrics")
    qtbot.waitUntil(lambda: opened.window.findChild(Dial) is not None)
    dial = opened.window.findChild(Dial)
    point(opened)
    qtbot.mouseClick(dial, Qt.MouseButton.LeftButton, pos=dial.rect().center())
    text = said(page(opened))
    assert dial.accessibleName() in text
    assert find_metric(find_rule(dial.rule).metric).help in text


def test_escape_ends_pointing(qtbot: QtBot, opened: Opened) -> None:
    point(opened)
    qtbot.keyClick(opened.window, Qt.Key.Key_Escape)
    assert not opened.controller.explaining.pointing
    assert QApplication.overrideCursor() is None
    assert not opened.window.toast.isVisible()


def test_where_nothing_is_explained_the_next_click_is_asked_for(
    qtbot: QtBot, opened: Opened
) -> None:
    opened.window.setFocus()
    QCursor.setPos(opened.window.menuBar().mapToGlobal(QPoint(5, 5)))
    opened.window.actions_["what_is"].trigger()
    assert opened.window.findChild(QDialog, "what_is") is None
    assert opened.controller.explaining.pointing
    qtbot.mouseClick(opened.window, Qt.MouseButton.LeftButton, pos=QPoint(2, 2))
    assert opened.window.findChild(QDialog, "what_is") is None
    assert "Nothing is explained there" in opened.window.toast.text


def test_every_view_says_what_it_is() -> None:
    assert list(ABOUT) == list(DOCKS.values())


def test_a_fraction_has_a_bar() -> None:
    shown = printed_formula("1 - {Var(R - V)}÷{Var(R)}, at least -1", "#123456")
    assert shown.count("<td") == 5
    assert "solid #123456" in shown
    assert "÷" not in shown
    assert printed_formula("β·KL\nγ", "") == "<div><i>β</i>·KL</div><div><i>γ</i></div>"


def test_every_explanation_fits(opened: Opened, styled: None) -> None:
    about = [*map(of_metric, PPO.metrics), *map(of_setting, PPO.settings.specs().values()),
             *map(of_term, PPO.objective.terms)]
    for explanation in about:
        dialog = show_explanation(opened.window, explanation)
        assert dialog.width() <= 640, explanation.title
        assert dialog.height() <= 500, explanation.title
        assert terms_html(explanation.title) in said(dialog)
        dialog.close()
