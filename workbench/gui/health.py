"""What the health check found in the run on display: a chip, its explanation, marks on plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPoint, QSize, Qt
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

from workbench.gui.controls import label, named, push_button
from workbench.gui.dialogs import offer_resume
from workbench.gui.fields import format_value
from workbench.gui.health_scales import scales
from workbench.gui.plain_text import plain_tip
from workbench.gui.theme import set_look
from workbench.ppo.hyperparameters import Hyperparameters, Value, specs
from workbench.ppo.metrics import METRICS
from workbench.store.records import HealthRecord
from workbench.training.commands import Command, ResumeRun
from workbench.training.events import HealthChecked, RunFailed
from workbench.training.health import Finding, last_settings, read_run
from workbench.training.rules import NOT_FINITE, RULES, Reading

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow
    from workbench.store.store import Store

_WIDTH = 520
_EARLIER = 8


class Health(QObject):
    """Keeps chip, explanation and marks in step with the run on display."""

    def __init__(self, window: MainWindow, store: Store, send: Callable[[Command], None]) -> None:
        super().__init__(window)
        self._window, self._store, self._send = window, store, send
        self._run: int | None = None
        self._cycle = 0
        self._found: dict[int, Sequence[Finding]] = {}
        self._failed: HealthChecked | None = None
        self.panel = HealthPanel(self, window)
        window.health.clicked.connect(self.explain)

    # -- what the controller tells

    def begin(self, run_id: int | None) -> None:
        """Another run is on display; of what it has in the store, :meth:`read` tells."""
        self._run, self._cycle, self._found = run_id, 0, {}
        self.panel.close()
        self._show()

    def read(self, run_id: int, last: int, records: Iterable[HealthRecord]) -> None:
        """Take in what the store has of a run that has done ``last`` cycles."""
        if run_id != self._run:
            return
        for cycle, rows in groupby(records, lambda record: record.cycle):
            found = [Finding(r.rule, "serious" if r.severity == "serious" else "warning",
                             r.sentence) for r in rows if r.rule in RULES]
            self._found.setdefault(cycle, found)
        self._cycle = max(self._cycle, last, *self._found, 0)
        self._show()

    def checked(self, event: HealthChecked) -> None:
        """A cycle of the live run has been judged."""
        if any(finding.rule == NOT_FINITE for finding in event.findings):
            self._failed = event
        if event.run_id == self._run:
            self._cycle = event.cycle
            self._found[event.cycle] = event.findings
            self._show()

    def offer(self, event: RunFailed) -> bool:
        """Offer to go on from the last good checkpoint after numbers that were not finite; return
        whether there was a reason to."""
        failed, self._failed = self._failed, None
        if failed is None or failed.run_id != event.run_id:
            return False
        checkpoints = self._store.checkpoints.all(event.run_id)
        cycle = checkpoints[-1].cycle if checkpoints else 0
        change = RULES[NOT_FINITE].suggestion(self._settings(event.run_id))
        offer_resume(
            self._window, event.sentence, event.details, cycle, _change_text(change, "set to"),
            lambda: self._send(ResumeRun(event.run_id, None, change)))
        return True

    # -- what the person asks for

    def explain(self) -> None:
        """Open the explanation below the chip."""
        current = self._found.get(self._cycle, ())
        chip = self._window.health
        self.panel.show_findings(self._cycle, current, self._earlier(), self._settings(self._run),
                                 self._window.hyperparameters.form.values(), self._readings())
        at = chip if chip.isVisible() else self._window.chip
        below = at.mapToGlobal(QPoint(at.width(), at.height() + 4))
        if at is chip:
            below -= QPoint(self.panel.width(), 0)
        edge = self._window.mapToGlobal(QPoint(8, 0))
        self.panel.move(max(edge.x(), below.x()), below.y())
        self.panel.show()

    def show_on_plot(self, rule: str) -> None:
        """Point at the last cycle where the rule spoke, adding the plot where it is missing."""
        cycles = [c for c, found in self._found.items() if any(f.rule == rule for f in found)]
        self._window.reveal("metrics")
        self._window.metrics.point_at(RULES[rule].metric, max(cycles))
        self.panel.close()

    def stage(self, changes: Mapping[str, Value]) -> None:
        """Put a change into the form, where Apply or Start uses it."""
        self._window.hyperparameters.form.set_values(changes, "what the health check suggests")
        self._window.reveal("hyperparameters")
        self.panel.close()

    def set_pause(self, rule: str, wanted: bool) -> None:
        """Put into the form whether the rule pauses the run."""
        self._window.hyperparameters.form.set_values(
            {f"pause_on_{rule}": wanted}, "automatic pause")

    # -- inside

    def _settings(self, run_id: int | None) -> Hyperparameters:
        """Return what the last cycle of a run used: suggestions start from there."""
        return Hyperparameters() if run_id is None else last_settings(self._store, run_id)

    def _readings(self) -> Mapping[str, Reading]:
        """Return where every rule stands after the last cycle; nothing before the first."""
        if self._run is None or not self._cycle:
            return {}
        return read_run(self._store, self._run)

    def _show(self) -> None:
        self._window.show_health(self._found.get(self._cycle, ()))
        from workbench.gui.metrics.data import HealthMark

        self._window.metrics.mark_health([
            HealthMark(cycle, RULES[f.rule].metric, f.severity == "serious",
                       f"{RULES[f.rule].title}: {f.sentence}")
            for cycle, found in self._found.items() for f in found])

    def _earlier(self) -> list[str]:
        """Return lines such as "KL runs away: cycles 3 to 7", latest first."""
        spans: dict[str, list[list[int]]] = {}
        for cycle in sorted(self._found):
            for finding in self._found[cycle]:
                rows = spans.setdefault(finding.rule, [])
                if rows and rows[-1][1] == cycle - 1:
                    rows[-1][1] = cycle
                else:
                    rows.append([cycle, cycle])
        lines = [(last, f"{RULES[rule].title}: " + (
            f"cycle {first:,}" if first == last else f"cycles {first:,} to {last:,}"))
            for rule, rows in spans.items() for first, last in rows]
        return [line for _, line in sorted(lines, key=lambda item: -item[0])]


class HealthPanel(QDialog):
    """Says what each finding means, what to try, and takes the person there."""

    def __init__(self, health: Health, window: MainWindow) -> None:
        super().__init__(window, Qt.WindowType.Dialog | Qt.WindowType.FramelessWindowHint)
        self._health, self._over = health, window
        self.setObjectName("health_panel")
        self.setAccessibleName("Health of the run")
        self.setWindowTitle("Health of the run")
        self._scroll = QScrollArea(widgetResizable=True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.addWidget(self._scroll)

    def show_findings(self, cycle: int, found: Sequence[Finding], earlier: Sequence[str],
                      hp: Hyperparameters, form: Mapping[str, Value],
                      readings: Mapping[str, Reading]) -> None:
        """Fill the panel and give it its size. ``hp`` is what the run uses, ``form`` what the
        person has chosen since, ``readings`` where every rule stands."""
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(6)
        column.addWidget(label(f"After cycle {cycle:,}" if cycle else "No cycle yet", "muted"))
        if not found:
            column.addWidget(label("No rule of the health check finds anything wrong.", wrap=True))
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

    def _add(self, column: QVBoxLayout, finding: Finding, hp: Hyperparameters,
             form: Mapping[str, Value], reading: Reading | None) -> None:
        rule = RULES[finding.rule]
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
            f"Show {METRICS[rule.metric].label} where this was found",
            lambda: self._health.show_on_plot(rule.name)))
        change = rule.suggestion(hp)
        if change:
            row.addWidget(push_button(
                f"Set {_change_text(change)}", f"try_{rule.name}",
                "Put this into Hyperparameters; Apply uses it from the next cycle on"
                if all(specs()[name].live for name in change) else
                "Put this into Hyperparameters, for a new run",
                lambda: self._health.stage(change)))
        row.addStretch(1)
        column.addLayout(row)
        if f"pause_on_{rule.name}" in specs():
            pause = named(
                QCheckBox("Pause the run when this begins"), f"pause_{rule.name}",
                f"Pause when {rule.title}",
                "Put this into Hyperparameters (Automatic pause); Apply uses it from the next "
                "cycle on")
            pause.setChecked(form[f"pause_on_{rule.name}"] is True)
            pause.toggled.connect(lambda on: self._health.set_pause(rule.name, on))
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
        self._title = RULES[found[0].rule].title + more
        set_look(self, chip="bad" if found[0].severity == "serious" else "warning")
        self.setText(self._title)
        self._wide = super().sizeHint()
        self._elide()
        said = [f"{RULES[f.rule].title}. {f.sentence}" for f in found]
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


def _change_text(change: Mapping[str, Value], to: str = "to") -> str:
    """Return "Learning rate to 5e-5"."""
    return " and ".join(
        f"{specs()[name].label} {to} {format_value(specs()[name], value)}"
        for name, value in change.items())
