"""Keeps what the health check found in step with the run on display."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint
from PySide6.QtWidgets import QWidget

from workbench.algorithms import algorithm_of_run, default_algorithm, find_rule
from workbench.gui.dialogs import offer_resume
from workbench.gui.health.panel import HealthPanel, change_text
from workbench.health import NOT_FINITE, Finding, Reading
from workbench.settings import Settings, Value
from workbench.store.records import HealthRecord
from workbench.training.commands import Command, ResumeRun
from workbench.training.events import HealthChecked, RunFailed
from workbench.training.health import last_settings, read_run

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow
    from workbench.store.store import Store


class Health(QObject):
    """Keeps chip, explanation and marks in step with the run on display."""

    def __init__(self, window: MainWindow, store: Store, send: Callable[[Command], None]) -> None:
        super().__init__(window)
        self._window, self._store, self._send = window, store, send
        self._run: int | None = None
        self._cycle = 0
        self._found: dict[int, Sequence[Finding]] = {}
        self._failed: HealthChecked | None = None
        self._alarms: tuple[int, frozenset[str]] = 0, frozenset()  # a run's, and those it has
        self.panel = HealthPanel(window)
        self.panel.plot_wanted.connect(self.show_on_plot)
        self.panel.change_wanted.connect(self.stage)
        self.panel.pause_wanted.connect(self.set_pause)
        window.health.clicked.connect(lambda: self.explain())
        if window.metrics.dials is not None:
            window.metrics.dials.asked.connect(self.explain)

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
                             r.sentence) for r in rows if find_rule(r.rule)]
            self._found.setdefault(cycle, found)
        self._cycle = max(self._cycle, last, *self._found, 0)
        self._show()

    def checked(self, event: HealthChecked) -> None:
        """A cycle of the live run has been judged."""
        if any(finding.rule == NOT_FINITE for finding in event.findings):
            self._failed = event
        self._keep(event)
        if event.run_id == self._run:
            self._cycle = event.cycle
            self._found[event.cycle] = [f for f in event.findings if find_rule(f.rule)]
            self._show()

    def _keep(self, event: HealthChecked) -> None:
        """Keep among the notifications what was found for the first time, or anew."""
        run_id, known = self._alarms
        if run_id != event.run_id:
            known = frozenset()
        run = self._store.run(event.run_id)
        name = run.name if run is not None else f"Run {event.run_id}"
        for finding in event.findings:
            if finding.rule not in known:
                rule = find_rule(finding.rule)
                self._window.toast.keep(
                    "warning", f"{name}, cycle {event.cycle}: "
                    f"{rule.title if rule else finding.rule}. {finding.sentence}")
        self._alarms = event.run_id, frozenset(finding.rule for finding in event.findings)

    def offer(self, event: RunFailed) -> bool:
        """Offer to go on from the last good checkpoint after numbers that were not finite; return
        whether there was a reason to."""
        failed, self._failed = self._failed, None
        if failed is None or failed.run_id != event.run_id:
            return False
        checkpoints = self._store.checkpoints.all(event.run_id)
        cycle = checkpoints[-1].cycle if checkpoints else 0
        run, settings = self._store.run(event.run_id), self._settings(event.run_id)
        rule = algorithm_of_run(run).rule(NOT_FINITE) if run is not None else None
        change = rule.suggestion(settings) if rule is not None else {}
        offer_resume(
            self._window, event.sentence, event.details, cycle, change_text(change, "set to"),
            lambda: self._send(ResumeRun(event.run_id, None, change)))
        return True

    # -- what the person asks for

    def explain(self, over: QWidget | None = None) -> None:
        """Open the explanation below the chip, or ``over`` a dial."""
        current = self._found.get(self._cycle, ())
        chip = self._window.health
        self.panel.show_findings(self._cycle, current, self._earlier(), self._settings(self._run),
                                 self._window.hyperparameters.form.values(), self._readings())
        at = chip if chip.isVisible() else self._window.chip
        below = at.mapToGlobal(QPoint(at.width(), at.height() + 4))
        if at is chip:
            below -= QPoint(self.panel.width(), 0)
        edge = self._window.mapToGlobal(QPoint(8, 0)).x()
        last = edge + self._window.width() - 16 - self.panel.width()
        if over is not None:
            below = over.mapToGlobal(QPoint(0, -self.panel.height() - 4))
            below.setY(max(below.y(), self._window.mapToGlobal(QPoint(0, 8)).y()))
        self.panel.move(max(edge, min(below.x(), last)), below.y())
        self.panel.show()

    def show_on_plot(self, rule: str) -> None:
        """Point at the last cycle where the rule spoke, adding the plot where it is missing."""
        cycles = [c for c, found in self._found.items() if any(f.rule == rule for f in found)]
        self._window.reveal("metrics")
        if (known := find_rule(rule)) is not None:
            self._window.metrics.point_at(known.metric, max(cycles))
        self.panel.close()

    def stage(self, changes: Mapping[str, Value]) -> None:
        """Put a change into the form, where Apply or Start uses it."""
        self._choose()
        self._window.hyperparameters.form.set_values(changes, "what the health check suggests")
        self._window.reveal("hyperparameters")
        self.panel.close()

    def set_pause(self, rule: str, wanted: bool) -> None:
        """Put into the form whether the rule pauses the run."""
        self._choose()
        self._window.hyperparameters.form.set_values(
            {f"pause_on_{rule}": wanted}, "automatic pause")

    # -- inside

    def _choose(self) -> None:
        """Let the form be that of the run's algorithm."""
        run = self._store.run(self._run) if self._run is not None else None
        if run is not None:
            self._window.hyperparameters.choose_named(run.algorithm)

    def _settings(self, run_id: int | None) -> Settings:
        """Return what the last cycle of a run used: suggestions start from there."""
        run = self._store.run(run_id) if run_id is not None else None
        return default_algorithm().settings() if run is None else last_settings(self._store, run)

    def _readings(self) -> Mapping[str, Reading]:
        """Return where every rule stands after the last cycle; nothing before the first."""
        run = self._store.run(self._run) if self._run is not None and self._cycle else None
        return read_run(self._store, run) if run is not None else {}

    def _show(self) -> None:
        self._window.show_health(self._found.get(self._cycle, ()))
        from workbench.gui.metrics.data import HealthMark

        self._window.metrics.mark_health([
            HealthMark(cycle, rule.metric, f.severity == "serious", f"{rule.title}: {f.sentence}")
            for cycle, found in self._found.items() for f in found
            if (rule := find_rule(f.rule))])

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
        lines = [(last, f"{rule.title}: " + (
            f"cycle {first:,}" if first == last else f"cycles {first:,} to {last:,}"))
            for name, rows in spans.items() if (rule := find_rule(name))
            for first, last in rows]
        return [line for _, line in sorted(lines, key=lambda item: -item[0])]
