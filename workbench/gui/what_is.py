"""What a plot, a term of the loss or a setting is: in words, as a formula, and where it is from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction, QCursor, QTextDocumentFragment
from PySide6.QtWidgets import QApplication, QHeaderView, QTabBar, QWidget

from workbench.algorithm import (
    Calibration,
    Distribution,
    LossCurve,
    Metric,
    Objective,
    Siblings,
    Term,
    TrustRegion,
    ValueLine,
)
from workbench.gui.about_views import ABOUT
from workbench.gui.actions import set_tip
from workbench.gui.setting_facts import facts_of
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.dialog import Dialog
from workbench.gui.widgets.formula import printed_formula, terms_html
from workbench.gui.widgets.theme import themes
from workbench.settings import Spec

WHAT_IS = "What is this?"
TIP = "Its formula, what it says, and the paper it is from (Shift+F1)"
_OURS = "From no paper: this is how PPO Workbench does it."
_WIDE = 420  # pixels


@dataclass(frozen=True, slots=True)
class Explanation:
    """``name`` is what files and the command line call it; ``facts`` are lines below the text."""

    title: str
    text: str
    name: str = ""
    formula: str = ""
    source: str = ""
    facts: tuple[str, ...] = ()
    sourced: bool = True
    """Whether it is an idea that is from somewhere, rather than a part of the window."""


def of_metric(metric: Metric) -> Explanation:
    """Return what a metric is."""
    unit = (f"Unit: {metric.unit}",) if metric.unit else ()
    return Explanation(metric.label, metric.help, metric.name, metric.formula, metric.source, unit)


def of_term(term: Term) -> Explanation:
    """Return what a term of the loss is."""
    return Explanation(term.title, f"{term.help}.", "", term.formula, term.source)


def of_objective(objective: Objective) -> Explanation:
    """Return what the loss is."""
    terms = [term for term in objective.terms if not term.optional]
    return Explanation(
        "The loss by cycle", "What the optimiser makes smaller, as the sum of its terms: each bar "
        "is a cycle, each colour a term. What pulls the loss down hangs below 0; the mark is the "
        "sum. A click goes to a cycle.",
        formula=f"{objective.title} = {' + '.join(term.title for term in terms)}",
        source=next((term.source for term in terms), ""))


def of_region(region: TrustRegion) -> Explanation:
    """Return what the trust region is."""
    return Explanation(
        "Trust region", f"{region.help}.", formula=region.formula, source=region.source)


def of_picture(
    picture: ValueLine | Siblings | Distribution | Calibration | LossCurve
) -> Explanation:
    """Return what a picture that an algorithm declares shows."""
    return Explanation(picture.title, f"{picture.help.rstrip('.')}.", formula=picture.formula,
                       source=picture.source)


def of_setting(spec: Spec) -> Explanation:
    """Return what a setting is."""
    return Explanation(
        spec.label, spec.help, spec.name, spec.formula, spec.source, tuple(facts_of(spec)))


def show_explanation(parent: QWidget, about: Explanation) -> Dialog:
    """Open a page that says what something is."""
    dialog = Dialog(parent.window(), "what_is", WHAT_IS)
    dialog.setMinimumWidth(_WIDE)
    heading = label(terms_html(about.title), "heading", wrap=True, rich=True)
    dialog.body.addWidget(heading)
    if about.formula:
        formula = named(label(rich=True, wrap=True), "what_is_formula", "Formula", "")
        font = formula.font()
        font.setPointSizeF(1.15 * font.pointSizeF())
        formula.setFont(font)
        formula.setText(printed_formula(about.formula, themes().theme.text))
        formula.setAccessibleDescription(about.formula)
        formula.setMargin(10)
        formula.setProperty("role", "formula")
        dialog.body.addWidget(formula)
    for text, role in ((about.text, ""), ("\n".join(about.facts), "muted"),
                       ((f"Source: {about.source}" if about.source else _OURS)
                        if about.sourced else "", "muted"),
                       (f"Called {about.name} in files and on the command line." if about.name
                        else "", "muted")):
        if text:
            line = label(text, role, wrap=True)
            line.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            dialog.body.addWidget(line)
    dialog.finish("Close", "Close this page")
    dialog.open()
    return dialog


def explain_by(
    widget: QWidget, about: Callable[[], Explanation | None], *, menu: bool = True
) -> None:
    """Let a widget say what it is, by the key and by an entry of its ``menu``, where it has no
    other one."""
    action = QAction(WHAT_IS, widget)
    set_tip(action, TIP)

    def show() -> None:
        if found := about():
            show_explanation(widget, found)
    action.triggered.connect(show)
    widget.addAction(action)
    if menu:
        widget.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)


def explain_what_has_the_keyboard() -> bool:
    """Say what the control with the keyboard is, or else what is under the pointer; return whether
    either can be explained."""
    at = QCursor.pos()
    focus, under = QApplication.focusWidget(), QApplication.widgetAt(at)
    return (focus is not None and _trigger(focus)) or (
        under is not None and explain_place(under, at))


def explain_place(widget: QWidget, at: QPoint) -> bool:
    """Say what is at a place of the screen, which is in ``widget``: by its formula where it has
    one, else by what its tooltip says; return whether it can be explained."""
    if (part := _part(widget, at)) is not None:
        show_explanation(widget, part)
        return True
    if _trigger(widget):
        return True
    above: QWidget | None = widget
    while above is not None and not above.isWindow():
        if tip := above.property("tip"):
            show_explanation(widget, _by_tip(above.accessibleName(), str(tip)))
            return True
        above = above.parentWidget()
    return False


def _trigger(widget: QWidget) -> bool:
    above: QWidget | None = widget
    while above is not None:
        for action in above.actions():
            if action.text() == WHAT_IS and action.parent() is above:
                action.trigger()
                return True
        above = above.parentWidget()
    return False


def _part(widget: QWidget, at: QPoint) -> Explanation | None:
    """Return what a column of a table or a tab is."""
    header = widget.parent()
    if isinstance(header, QHeaderView):
        section = header.logicalIndexAt(header.viewport().mapFromGlobal(at))
        model, way = header.model(), header.orientation()
        if section >= 0 and (tip := model.headerData(
                section, way, Qt.ItemDataRole.ToolTipRole)):
            return _by_tip(str(model.headerData(section, way)), str(tip))
    if isinstance(widget, QTabBar):
        text = widget.tabText(widget.tabAt(widget.mapFromGlobal(at)))
        title = next((title for title in ABOUT if text.startswith(title)), "")
        if title:
            return _by_tip(title, ABOUT[title])
    return None


def _by_tip(title: str, tip: str) -> Explanation:
    plain = QTextDocumentFragment.fromHtml(tip).toPlainText() if tip.startswith("<") else tip
    return Explanation(title or "This part", plain, sourced=False)
