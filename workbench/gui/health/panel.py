"""What the health check found in the run on display: a chip and its explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from workbench.algorithms import find_metric, find_rule, find_spec
from workbench.formatting import format_value
from workbench.gui.health.scales import scales
from workbench.gui.widgets.controls import label, named, push_button
from workbench.gui.widgets.layouts import vbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import set_look
from workbench.health import Finding, Reading
from workbench.settings import Settings, Value

_WIDTH = 520
_EARLIER = 8


class HealthPanel(QDialog):
    """Says what each finding means and what to try."""

    plot_wanted = Signal(str)
    """The rule to show on its plot."""
    change_wanted = Signal(object)
    """Values by setting, to be put into the form."""
    pause_wanted = Signal(str, bool)
    """Whether a rule is to pause the run."""

    def __init__(self, over: QWidget) -> None:
        super().__init__(over, Qt.WindowType.Dialog | Qt.WindowType.FramelessWindowHint)
        self._over = over
        self.setObjectName("health_panel")
        self.setAccessibleName("Health of the run")
        self.setWindowTitle("Health of the run")
        self._scroll = QScrollArea(widgetResizable=True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        vbox(self, self._scroll, margins=1)

    def show_findings(self, cycle: int, found: Sequence[Finding], earlier: Sequence[str],
                      hp: Settings, form: Mapping[str, Value],
                      readings: Mapping[str, Reading]) -> None:
        """Fill the panel and give it its size. ``hp`` is what the run uses, ``form`` what the
        person has chosen since, ``readings`` where every rule stands."""
        page = QWidget()
        column = vbox(
            page, label(f"After cycle {cycle:,}" if cycle else "No cycle yet", "muted"),
            margins=(16, 12, 16, 12), spacing=6)
        if not found:
            column.addWidget(label(
                "No rule of the health check finds anything wrong." if readings or not cycle else
                "Nothing watches this run: its algorithm has no health rules.", wrap=True))
        for finding in found:
            self._add(column, finding, hp, form, readings.get(finding.rule))
        if readings:
            column.addSpacing(8)
            column.addWidget(label("How far each rule is from its limit", "heading"))
            column.addWidget(scales(readings))
        if earlier:
            column.addSpacing(8)
            column.addWidget(label("In this run", "heading"))
            more = len(earlier) - _EARLIER
            lines = [*earlier[:_EARLIER], *([f"and {more} more"] if more > 0 else [])]
            column.addWidget(label("\n".join(lines), "muted", wrap=True))
        column.addStretch(1)
        self._scroll.setWidget(page)
        page.setFixedWidth(_WIDTH)
        high = column.heightForWidth(_WIDTH) if column.hasHeightForWidth() else (
            page.sizeHint().height())
        most = self._over.height() - 120
        bar = self._scroll.verticalScrollBar().sizeHint().width() if high > most else 0
        self.setFixedSize(_WIDTH + bar + 2, max(80, min(high, most)) + 2)

    def event(self, event: QEvent) -> bool:
        """Go away as soon as the person turns to something else."""
        if event.type() == QEvent.Type.WindowDeactivate:
            self.close()
        return super().event(event)

    def _add(self, column: QVBoxLayout, finding: Finding, hp: Settings,
             form: Mapping[str, Value], reading: Reading | None) -> None:
        rule = find_rule(finding.rule)
        if rule is None:  # another version's
            return
        title = label(rule.title, "error" if finding.severity == "serious" else "warning")
        title.setProperty("strong", True)
        column.addSpacing(4)
        column.addWidget(title)
        column.addWidget(label(finding.sentence, wrap=True))
        if reading and reading.over:  # else plots and sentence seem to differ
            column.addWidget(label(f"As the {reading.over}.", "muted", wrap=True))
        column.addWidget(label(f"Try: {rule.advice}" if rule.setting else rule.advice, wrap=True))
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(push_button(
            "Show on plot", f"show_{rule.name}",
            f"Show {find_metric(rule.metric).label} where this was found",
            lambda: self.plot_wanted.emit(rule.name)))
        change = rule.suggestion(hp)
        if change:
            row.addWidget(push_button(
                f"Set {change_text(change)}", f"try_{rule.name}",
                "Put this into Hyperparameters; Apply uses it from the next cycle on"
                if all(hp.specs()[name].live for name in change) else
                "Put this into Hyperparameters, for a new run",
                lambda: self.change_wanted.emit(change)))
        row.addStretch(1)
        column.addLayout(row)
        if f"pause_on_{rule.name}" in hp.specs():
            pause = named(
                QCheckBox("Pause the run when this begins"), f"pause_{rule.name}",
                f"Pause when {rule.title}",
                "Put this into Hyperparameters (Automatic pause); Apply uses it from the next "
                "cycle on")
            pause.setChecked(form.get(f"pause_on_{rule.name}") is True)
            pause.toggled.connect(lambda on: self.pause_wanted.emit(rule.name, on))
            column.addWidget(pause)


_WIDE = 1200  # pixels of a window whose tool bar has room for a finding


class HealthChip(QToolButton):
    """Names the worst finding in the tool bar. Gives way where the bar is short."""

    def __init__(self) -> None:
        super().__init__()
        named(self, "health_chip", "Health of the run", "What the health check found")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._wide: QSize | None = None
        self._title = ""

    def show_findings(self, found: Sequence[Finding]) -> None:
        """Show the worst of ``found``, which is not empty, and how many more there are."""
        more = f" (+{len(found) - 1})" if len(found) > 1 else ""
        titles = [rule.title if (rule := find_rule(f.rule)) else f.rule for f in found]
        self._title = titles[0] + more
        set_look(self, chip="bad" if found[0].severity == "serious" else "warning")
        self.setText(self._title)
        self._wide = super().sizeHint()
        self._elide()
        said = [f"{title}. {f.sentence}" for title, f in zip(titles, found, strict=True)]
        self.setToolTip(plain_tip("\n".join([*said, "Click for what to try."])))
        self.setAccessibleDescription(" ".join(said))

    def sizeHint(self) -> QSize:
        """Room for the whole title."""
        return self._wide or super().sizeHint()

    def minimumSizeHint(self) -> QSize:
        """Room for its first letters, and for the whole where the window is wide."""
        wide = self.sizeHint()
        if self.window().width() >= _WIDE:
            return wide
        return QSize(min(wide.width(), self.fontMetrics().averageCharWidth() * 10), wide.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Shorten the title to the room there is."""
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        if self._wide is not None:
            missing = max(0, self._wide.width() - self.width())
            room = self.fontMetrics().horizontalAdvance(self._title) - missing
            self.setText(self.fontMetrics().elidedText(
                self._title, Qt.TextElideMode.ElideRight, room) if missing else self._title)


def change_text(change: Mapping[str, Value], to: str = "to") -> str:
    """Return what a change does, such as "Learning rate to 5e-5"."""
    return " and ".join(
        f"{spec.label} {to} {format_value(spec, value)}"
        for name, value in change.items() if (spec := find_spec(name)))
