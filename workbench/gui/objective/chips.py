"""The formula: a chip a term, with what it gave to the loss of the cycle on display."""

from __future__ import annotations

import html
import math

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QLabel, QWidget
from superqt import QFlowLayout

from workbench.algorithm import Share, Term, Tone
from workbench.formatting import percent, short_number
from workbench.gui.objective.reading import Picture
from workbench.gui.what_is import explain_by, of_term, show_explanation
from workbench.gui.widgets.controls import describe, label, named, tool_button
from workbench.gui.widgets.formula import formula_html
from workbench.gui.widgets.layouts import hbox
from workbench.gui.widgets.theme import Theme, mix, themes

_EDGE = 4  # pixels of a chip's coloured edge


def tone_colour(theme: Theme, tone: Tone) -> str:
    """Return the colour of what is of good or of bad items alone; "" for what is of neither."""
    return {"good": theme.good, "bad": theme.bad}.get(tone, "")


def term_colour(theme: Theme, row: int, tone: Tone) -> str:
    """Return the colour of a term in chips and bars: that of its tone, as everywhere else, or where
    it has none that of its row."""
    return tone_colour(theme, tone) or theme.series[row]


class Chip(QLabel):
    """A term: its name, and below it what it gave."""

    def __init__(self, row: int, term: Term) -> None:
        super().__init__(textFormat=Qt.TextFormat.RichText)
        named(self, f"objective_term_{row}", term.title, term.help)
        self.setContentsMargins(_EDGE + 6, 3, 8, 3)
        self._row, self._term = row, term
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        explain_by(self, lambda: of_term(term))
        self.off = False
        self.said = ""

    def show_share(self, share: Share, low: bool, moved: float) -> None:
        """Show what the term gave to a cycle; where there is little height (``low``) in one line,
        and how it came about in the tooltip. ``moved`` is its share of the gradients (NaN: they
        were not measured)."""
        self.off, self.said = share.off, share.said
        if not share.off and math.isfinite(moved):
            self.said += f" · gradient {percent(moved)}"
        short = "off" if share.off else short_number(share.amount)
        if not share.off and math.isfinite(moved):
            short += f" ∇ {percent(moved)}"
        said = f" {short}" if low else f"<br>{html.escape(self.said)}"
        self.setText(f"<b>{formula_html(self._term.title)}</b>{said}")
        describe(self, f"{self.said}\n{self._term.help}")
        self.setAccessibleDescription(self.said)
        self.setVisible(not (self._term.optional and share.off))
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Say what it is."""
        inside = self.rect().contains(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and inside:
            show_explanation(self, of_term(self._term))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Say what it is, by Enter or the space bar."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            show_explanation(self, of_term(self._term))
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the ground, hatched where the term is off, and the text on it."""
        theme = themes().theme
        colour = term_colour(theme, self._row, self._term.tone)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(QColor(theme.accent if self.hasFocus() else theme.border)))
        painter.setBrush(QColor(theme.base if self.off else mix(colour, theme.base, 0.12)))
        painter.drawRoundedRect(box, 4, 4)
        if self.off:
            faint = QColor(mix(theme.muted, theme.base, 0.25))
            painter.fillRect(box, QBrush(faint, Qt.BrushStyle.BDiagPattern))
        painter.fillRect(QRectF(0, 2, _EDGE, self.height() - 4),
                         QColor(theme.border if self.off else colour))
        painter.end()
        super().paintEvent(event)


class Formula(QWidget):
    """``total = term + term + ...``, in as many lines as it takes, after the widget ``first``.
    ``measure`` is no part of the sum and stands where the view puts it.
    ``setting_wanted`` carries the setting that has the gradients measured, and whether it is to."""

    setting_wanted = Signal(str, object)

    def __init__(self, first: QWidget) -> None:
        super().__init__()
        self.setObjectName("objective_formula")
        self._flow = QFlowLayout(self)
        self._flow.setContentsMargins(0, 0, 0, 0)
        self._flow.setHorizontalSpacing(6)
        self._flow.setVerticalSpacing(4)
        self._flow.addWidget(first)
        self._least = first.sizeHint().height()  # in which everything stands in the middle
        self.total = label(rich=True, name="objective_total")
        self.total.setMinimumHeight(self._least)
        self._flow.addWidget(self.total)
        self.measure = tool_button(
            "Gradients", "objective_measure", "Gradient of each term",
            "Have each term's share of the gradient measured, from the next cycle on (Gradient of "
            "each term, in Hyperparameters): which term moves the weights. It stands in the term, "
            "after ∇ where there is little room", role="compact")
        self.measure.setCheckable(True)
        self.measure.clicked.connect(self._want_measure)
        self.measured = label(
            "", "muted", name="objective_measured", title="When gradients are measured")
        self.measured.setMinimumHeight(self._least)
        self._wanted: bool | None = None
        self._alive = False
        self.chips: list[Chip] = []
        self._groups: list[QWidget] = []
        self._pluses: list[QLabel] = []
        self._terms: tuple[Term, ...] = ()
        self._picture: Picture | None = None
        self._low = False

    def set_low(self, low: bool) -> None:
        """Be lower, at the price of the coefficients."""
        if low != self._low:
            self._low = low
            if self._picture is not None:
                self.show_picture(self._picture, self._alive)

    def show_picture(self, picture: Picture, alive: bool) -> None:
        """Show the cycle on display of a run that has one, and whether that run goes on
        (``alive``)."""
        if self._picture is None or picture.run_id != self._picture.run_id:
            self._wanted = None
        self._picture, self._alive = picture, alive
        objective = picture.algorithm.objective
        assert objective is not None
        if objective.terms != self._terms:
            self._make(objective.terms)
        said = short_number(picture.total[picture.row])
        title = f"<b>{formula_html(objective.title)}</b>"
        self.total.setText(f"{title} {said} =" if self._low else f"{title} =<br>{said}")
        self.total.setAccessibleName(objective.title)
        self.total.setAccessibleDescription(said)
        self.measure.setVisible(bool(objective.measure))
        measures = bool((picture.settings or {}).get(objective.measure))
        if measures == self._wanted:
            self._wanted = None  # it has come about
        self.measure.setChecked(measures if self._wanted is None else self._wanted)
        together = sum(s.gradient for s in picture.shares[picture.row] if not s.off)
        for chip, group, share in zip(
            self.chips, self._groups, picture.shares[picture.row], strict=True
        ):
            chip.show_share(share, self._low, share.gradient / together if together else math.nan)
            group.setVisible(chip.isVisibleTo(group))
        first = next((row for row, chip in enumerate(self.chips) if not chip.isHidden()), 0)
        for row, plus in enumerate(self._pluses):
            plus.setVisible(row > first)  # nothing is added to the first that shows
        self._say_measured(measures, bool(together) and math.isfinite(together))

    def _say_measured(self, measures: bool, known: bool) -> None:
        """Say when the gradients come, where they were asked for and are not there yet."""
        said = ""
        if self._wanted is not None:
            said = "from the next cycle on, after Apply" if self._alive else (
                "in the next run by Start; an experiment or a fork keeps its run's setting")
            said = f"{'Measured' if self._wanted else 'Not measured'} {said}."
        elif measures and not known:
            said = "Not measured in this cycle."
        self.measured.setText(said)
        self.measured.setVisible(bool(said))

    def _want_measure(self, wanted: bool) -> None:
        picture = self._picture
        objective = picture.algorithm.objective if picture is not None else None
        if picture is not None and objective is not None:
            self._wanted = wanted
            self.setting_wanted.emit(objective.measure, wanted)
            self.show_picture(picture, self._alive)

    def _make(self, terms: tuple[Term, ...]) -> None:
        for group in self._groups:
            self._flow.removeWidget(group)
            group.deleteLater()
        self._terms, self.chips, self._groups, self._pluses = terms, [], [], []
        for row, term in enumerate(terms):
            chip, group = Chip(row, term), QWidget()
            group.setMinimumHeight(self._least)
            line = hbox(group, spacing=6)
            plus = label("+")
            self._pluses.append(plus)
            line.addWidget(plus)
            line.addWidget(chip)
            self.chips.append(chip)
            self._groups.append(group)
            self._flow.addWidget(group)
        self._flow.removeWidget(self.measured)
        self._flow.addWidget(self.measured)
