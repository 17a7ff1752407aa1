"""What happens between the person, the session and the views."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from workbench.algorithms import algorithm_named, find_algorithm
from workbench.formatting import count_cycles, file_size
from workbench.gui.background import Background
from workbench.gui.command_palette import CommandPalette
from workbench.gui.controllers.branching import Branching
from workbench.gui.controllers.comparing import Comparing
from workbench.gui.controllers.experiments import Experiments
from workbench.gui.controllers.explaining import Explaining
from workbench.gui.controllers.exporting import Exporting
from workbench.gui.controllers.feedback_tour import FeedbackTour
from workbench.gui.controllers.health import Health
from workbench.gui.controllers.loading import Loading, in_full
from workbench.gui.controllers.memory_watch import MemoryWatch
from workbench.gui.controllers.other_processes import from_checkpoints
from workbench.gui.controllers.palette_entries import missing_cycle, palette_entries
from workbench.gui.controllers.readiness import Readiness
from workbench.gui.controllers.resuming import Resuming, lost_cycles
from workbench.gui.controllers.reward_making import RewardMaking
from workbench.gui.controllers.run_control import RunControl
from workbench.gui.controllers.run_display import RunDisplay
from workbench.gui.controllers.view_links import ViewLinks
from workbench.gui.dialogs import show_about, show_shortcuts
from workbench.gui.errors import ErrorDialog
from workbench.gui.main_window import MainWindow
from workbench.gui.notifications import Notifications
from workbench.gui.runs.checkpoints import CheckpointsView
from workbench.gui.widgets.file_manager import show_folder
from workbench.gui.widgets.theme import Mode, themes
from workbench.store.records import LIVE
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.states import ALIVE, CLOSED, WHEN

if TYPE_CHECKING:
    from workbench.store.store import Store

log = logging.getLogger(__name__)


class Controller(QObject):
    """Turns actions into commands and events into what the views show."""

    def __init__(self, window: MainWindow, store: Store, background: Background,
                 send: Callable[[do.Command], None]) -> None:
        super().__init__(window)
        self._window, self._store, self._background = window, store, background
        self._send = send
        self._written: ev.CheckpointWritten | None = None
        self.held = ""
        """Why the run waits for room on the disk, if it does."""
        self.resuming = Resuming(window, store, send)
        self.readiness = Readiness(window, store, self.resuming)
        self.run_control = RunControl(window, store, self.resuming, self.readiness, send)
        self.exporting = Exporting(window, store, send)
        self._memory = MemoryWatch(window, send)
        self.health = Health(window, store, send)
        self._display = RunDisplay(window, store, background, self.health, self.resuming, send)
        self.branching = Branching(window, store, background, self.resuming)
        self.experiments = Experiments(window, store, self.resuming)
        self.comparing = Comparing(window, store, self.resuming, self.run_control, send)
        self.reward_making = RewardMaking(window, store, background, self.resuming,
                                          self.run_control, self.exporting, self.experiments,
                                          send)
        self.tour = FeedbackTour(window, store, self.reward_making)
        self.loading = Loading(
            window, store, self._display, self.resuming, self.run_control, self.comparing,
            self.reward_making, self.readiness, send)
        self.explaining = Explaining(window)
        ViewLinks(window)
        window.hyperparameters.data_line.attach(
            store, background.run, window.models.wanted)
        window.hyperparameters.data_line.message.connect(window.toast.show_message)
        self._connect()

    @property
    def shown(self) -> int | None:
        """The run on display."""
        return self._display.shown

    @property
    def watched(self) -> int | None:
        """The run that another process trains and this window follows."""
        return self._display.watched

    # -- what the person asks for

    def checkpoints(self) -> None:
        """List the checkpoints of the run selected in Runs, or of the one on display."""
        run = self._window.runs.selected()
        if run is None:
            self._window.toast.show_message("info", "There is no run yet.")
            return
        CheckpointsView(run, self._store, self._background, self._window.toast.show_message,
                        self._window).open()

    def summary(self) -> None:
        """Say what came of the run selected in Runs."""
        run = self._window.runs.selected()
        if run is not None and run.status not in LIVE:
            self.show_run(run.id)
            self._window.guide.show_summary()
            self._window.reveal("guide")

    def show_run(self, run_id: int | None) -> None:
        """Put a run on display; its numbers are read in the background."""
        self._display.show_run(run_id)

    def _open_run(self, run_id: int) -> None:
        """Put a run on display that the person wants to see, and its algorithm into the form."""
        self.show_run(run_id)
        if run := self._store.run(run_id):
            self._window.hyperparameters.choose_named(run.algorithm)

    # -- what the session says

    def handle(self, events: Sequence[ev.Event]) -> None:
        """Show a tick's events."""
        for event in events:
            self._handle(event)

    def _handle(self, event: ev.Event) -> None:
        window = self._window
        match event:
            case ev.StateChanged():
                self._state_changed(event)
            case ev.Progress():
                self._written = None
                window.status.progress(event)
                window.strip.progress(event)
            case ev.PartReported():
                window.strip.report(event)
                window.guide.report(event)
            case ev.LoadingProgress():
                window.models.progress(event)
            case ev.ModelsLoaded():
                window.models.loaded(event)
                self._memory.models_loaded()
                log.info("Loaded %s and %s", event.policy.source, event.reward.source)
            case ev.HalfLoaded():
                window.models.half_loaded(event)
                log.info("Loaded the %s %s alone", event.which, event.facts.source)
            case ev.LoadingFailed():
                self.loading.failed(event)
            case ev.CommandRefused():
                self._refused(event)
            case ev.RunStarted():
                self._run_started(event)
            case ev.RunResumed():
                self._run_resumed(event)
            case ev.RunFollowed():
                self._run_followed(event)
            case ev.ComparisonReady():
                window.completions.cycle_available(event.run_id, event.cycle)
            case ev.CycleFinished():
                window.status.cycle_finished(event)
                window.strip.cycle_finished(event)
                for view in window.run_views:
                    view.cycle_available(event.run_id)
                for of_place in (window.paths, window.chances):
                    of_place.cycle_finished(event.run_id, event.cycle)
                self._display.add(event)
                window.runs.refresh_run(event.run_id)
                self.comparing.cycle_finished(event)
                self.reward_making.cycle_finished(event)
            case ev.HealthChecked():
                self.health.checked(event)
            case ev.HyperparametersStaged():
                window.hyperparameters.staged(event)
                if event.note:
                    window.toast.show_message("warning", event.note)
            case ev.HyperparametersApplied():
                window.hyperparameters.applied(event)
                if event.run_id == self.shown:
                    window.strip.take_settings(event.hyperparameters)
                self._display.add(event)
            case ev.CheckpointWritten():
                self._checkpoint_written(event)
            case ev.Exported():
                self.exporting.done(event)
            case ev.RewardModelMade():
                self.exporting.made(event)
            case ev.CheckpointFailed():
                window.toast.show_message("warning", event.sentence)
            case (ev.TryStarted() | ev.TryProgress() | ev.TryScored() | ev.TryFailed()
                  | ev.TryFinished()):
                window.trying.handle(event)
                window.judge.handle(event)
            case ev.Judging() | ev.PairsJudged() | ev.JudgingFailed():
                window.judge.asking.handle(event)
            case ev.WritingOn() | ev.WroteOn() | ev.WritingOnFailed():
                window.paths.handle(event)
            case ev.DistributionRead() | ev.ReadingDistributionFailed():
                window.chances.handle(event)
            case ev.PairsScored() | ev.ScoringPairsFailed():
                window.judge.handle(event)
            case ev.ValuesRead() | ev.ReadingValuesFailed():
                window.tokens.earlier.handle(event)
            case ev.SamplingBestOf() | ev.BestOfSampled() | ev.SamplingBestOfFailed():
                window.frontier.handle(event)
            case ev.RunFinished():
                self._run_finished(event)
            case ev.RunFailed():
                self._run_failed(event)
            case ev.MemoryEstimated():
                if event.algorithm in ("", window.hyperparameters.algorithm.name):
                    window.hyperparameters.memory.show_estimate(event)

    def _state_changed(self, event: ev.StateChanged) -> None:
        self.loading.told = event.state
        self._window.show_state(event.state, event.note, event.within)
        if event.within:
            self._window.tokens.cycle_available(self.resuming.live or 0)
        # The state is that of the run that is watched; this window's own models are free.
        watching = self.watched is not None and event.state in ALIVE
        self._window.actions_.grant("load_models", watching)
        if watching:
            self._window.models.set_state(State.READY)
        self.run_control.state_changed(event.state, event.within)
        if self.resuming.live is not None:
            self._window.runs.refresh_run(self.resuming.live)
        if event.state in ALIVE:
            self._window.toast.withdraw_offer()
        else:
            self.resuming.live = None
        self.held = event.note if event.held else ""
        if event.held:
            self._window.toast.show_offer(
                event.note, "Resume", "Write what waits in memory, then go on",
                lambda: self._send(do.Resume()), level="error")
        elif event.state == State.PAUSED:
            self._tell_written()
        self.resuming.state_changed(event.state)
        self._display.say_what_shows()
        self.readiness.update()
        self.comparing.state_changed(event.state)
        self.reward_making.state_changed(event.state)
        self.tour.state_changed(event.state)

    def _refused(self, event: ev.CommandRefused) -> None:
        if event.command in ("SetHyperparameters", "Start") and event.problems:
            self._window.hyperparameters.refused(event.problems)
        if event.command == "Try" and event.id >= 0:
            self._window.trying.refused()
        if event.command == "ScorePairs" or (event.command == "Try" and event.id <= 0):
            self._window.judge.adding.refused()  # whose numbers count downwards
        if event.command in ("Fork", "LoadModels"):
            self.experiments.refused()
        if event.command in ("Start", "ResumeRun", "LoadModels"):
            self.comparing.refused()
        if event.command in ("Start", "Stop", "LoadModels"):
            self.reward_making.refused()
        if event.command == "JudgePairs":
            self._window.judge.asking.refused()
        if event.command == "WriteOn":
            self._window.paths.refused()
        if event.command == "SampleBestOf":
            self._window.frontier.refused()
        if event.command == "ReadDistribution":
            self._window.chances.refused()
        if event.command == "ReadValues":
            self._window.tokens.earlier.refused()
        self.run_control.refused(event.command)
        if event.instead is None:
            self._window.toast.show_message(_level(event), event.sentence)
        else:
            self.resuming.offer_instead(event.sentence, event.instead)

    def _show_point(self, run_id: int, cycle: int) -> None:
        """Put another run on display, at a cycle."""
        self._display.show_run(run_id)
        self._window.frontier.choose_cycle(cycle)

    def _run_started(self, event: ev.RunStarted) -> None:
        window = self._window
        self._settings_begin(event)
        self._show_data(event.run_id)
        window.status.run_started(event)
        window.runs.refresh()
        self.tour.run_started(event)
        self._display.begin(
            event.run_id, algorithm_named(event.algorithm, event.hyperparameters),
            event.hyperparameters)
        if event.note:
            window.toast.show_message("info", event.note)

    def _settings_begin(self, event: ev.RunStarted | ev.RunFollowed) -> None:
        """Show the settings of a run that begins, until its end where nobody typed them."""
        form, algorithm = self._window.hyperparameters, find_algorithm(event.algorithm)
        if self.comparing.has(event.run_id) or self.reward_making.has(event.run_id):
            form.lend(event.hyperparameters, event.name, algorithm)
        else:
            self._window.runs.model.take_back_ticks()
            form.run_started(event.hyperparameters, algorithm)

    def _show_data(self, run_id: int) -> None:
        self._window.hyperparameters.data_line.show_run(self._store.run(run_id))

    def _run_followed(self, event: ev.RunFollowed) -> None:
        window = self._window
        self.resuming.live = self._display.watched = event.run_id
        run = self._store.run(event.run_id)
        forked = run is not None and event.asked == "Fork"
        if event.asked == "Start":
            self._settings_begin(event)
        elif event.asked:
            parent = self._store.run(run.parent or 0) if run is not None and forked else None
            self.experiments.resumed(ev.RunResumed(
                event.run_id, event.name, event.cycle, event.algorithm, event.hyperparameters,
                parent.name if parent is not None else ""))
        else:
            window.hyperparameters.run_resumed(
                event.hyperparameters, event.name, find_algorithm(event.algorithm))
        self._show_data(event.run_id)
        window.status.run_started(event)
        window.runs.refresh()
        if event.asked == "Start":
            self.tour.run_started(event)
        self.show_run(event.run_id)
        if forked:
            self.branching.begun(event.run_id)
        window.toast.show_message(
            "info", f"{event.name} is trained by {event.owner}; watch and steer it here."
            + (self.experiments.more_cycles(event.run_id) if forked else ""))

    def _run_resumed(self, event: ev.RunResumed) -> None:
        window = self._window
        self.resuming.live, self._display.watched = event.run_id, None
        if self.comparing.has(event.run_id):
            window.hyperparameters.lend(
                event.hyperparameters, event.name, find_algorithm(event.algorithm))
        else:
            self.experiments.resumed(event)
        self._show_data(event.run_id)
        window.status.run_started(event)
        window.runs.refresh()
        self.show_run(event.run_id)
        if event.parent:
            self.branching.begun(event.run_id)
        where = f"after cycle {event.cycle}" if event.cycle else "from its beginning"
        said = f"{event.name} goes on {where}."
        if event.parent:
            said = (f"{event.name} is a fork of {event.parent} {where}."
                    + self.experiments.more_cycles(event.run_id))
        elif event.abandoned is not None:
            said += " What it did later is kept in Runs as an abandoned branch."
        window.toast.show_message("info", f"{said} {event.note}".rstrip())

    def _checkpoint_written(self, event: ev.CheckpointWritten) -> None:
        """Tell of it only when the person may be about to leave; there is one every few cycles."""
        log.info("Run %d: %s", event.run_id, _written(event))
        self._window.status.checkpoint_written(event)
        self._window.trying.show_run(self.resuming.live or self._display.shown)
        self._written = event
        if self._window.state == State.PAUSED:
            self._tell_written()

    def _tell_written(self) -> None:
        written, self._written = self._written, None
        if written:
            self._window.toast.show_message("info", _written(written))

    def _run_finished(self, event: ev.RunFinished) -> None:
        window = self._window
        watched = self.watched == event.run_id
        self.resuming.live = self._display.watched = None
        window.runs.refresh()
        window.completions.run_ended(event.run_id)
        window.guide.run_ended(event.run_id)
        window.hyperparameters.take_back()
        run = self._store.run(event.run_id)
        name = run.name if run else f"Run {event.run_id}"
        self.readiness.run_ended()
        if event.outcome == "interrupted":
            self.resuming.offer(run)
        elif watched and run is not None and (run.status, run.note) == ("stopped", CLOSED):
            self.resuming.offer(run, "The window that trained it was closed.")
        elif event.outcome != "failed":
            cycles = count_cycles(event.cycles)
            written = self._written if event.outcome == "stopped" else None
            again = lost_cycles(self._store, run) if run and event.outcome == "stopped" else ""
            more = event.lost or again or (_written(written) if written else "")
            kept = self._store.checkpoints
            if event.outcome == "stopped" and not (
                    kept.all(event.run_id) or kept.why_unreadable(event.run_id)):
                more = f"{more} No checkpoint was written: Resume begins it from the start.".strip()
            window.toast.show_message(
                "warning" if event.lost else "info",
                f"{name} {event.outcome} after {cycles}. {more}".rstrip())
            if not self.reward_making.run_ended(event):
                self.exporting.run_ended()
        self._written = None
        self._display.say_what_shows()
        self.comparing.run_finished(event)
        self.tour.run_ended(event)

    def _run_failed(self, event: ev.RunFailed) -> None:
        log.error(in_full(event))
        if event.resumable or self.health.offer(event):
            return
        dialog = ErrorDialog(event.sentence, event.details, self._window)
        if event.retry:
            what = "batch" if "batch_size" in event.retry else "tokens at once"
            dialog.offer(
                f"Try again with half the {what}", "Go on with the run from its last checkpoint",
                lambda: self._send(do.ResumeRun(event.run_id, None, event.retry)))
        dialog.open()

    # -- wiring

    def _connect(self) -> None:
        window, on = self._window, self._window.actions_.on
        on("try", partial(window.reveal, "trying"))
        on("resume_run", window.runs.resume_selected)
        on("export_policy", window.runs.export_selected)
        on("checkpoints", self.checkpoints)
        on("load_models", window.models.load)
        on("cancel_loading", window.models.cancel)
        on("open_prompts", window.prompts.bar.ask_open)
        on("show_live", self._display.show_live)
        on("health", self.health.explain)
        on("enlarge_view", window.enlarge_view)
        on("reset_layout", window.reset_layout)
        on("quit", window.close)
        on("palette", lambda: CommandPalette(
            window.all_actions(), window,
            palette_entries(window, self._store, self.shown, self.show_run),
            partial(missing_cycle, self._store, self.shown)).open())
        on("notifications", lambda: Notifications(window.toast, window).open())
        on("shortcuts", lambda: show_shortcuts(window, window.all_actions()))
        on("guide", partial(window.reveal, "guide"))
        on("summary", self.summary)
        on("about", lambda: show_about(window, self._store.home))
        on("open_logs", lambda: show_folder(self._store.home / "logs"))
        modes: tuple[Mode, ...] = ("system", "light", "dark")
        for mode in modes:
            on(f"theme_{mode}", partial(themes().set_mode, mode))
            window.actions_[f"theme_{mode}"].setChecked(themes().mode == mode)
        self._display.changed.connect(self.readiness.update)
        self._display.changed.connect(lambda: window.status.show_run(self.shown))
        window.hyperparameters.apply.connect(
            lambda changes: self._send(do.SetHyperparameters(changes)))
        window.runs.opened.connect(self._open_run)
        window.runs.resumed.connect(self.resuming.resume)
        window.runs.resumable.connect(partial(window.actions_.allow, "resume_run"))
        window.runs.exported.connect(self.exporting.ask)
        window.runs.exportable.connect(partial(window.actions_.allow, "export_policy"))
        window.runs.set_state(window.state)
        window.trying.set_state(window.state)
        window.runs.settings.connect(
            lambda settings: window.hyperparameters.take(settings, "settings of a run"))
        window.runs.live_wanted.connect(self._display.show_live)
        window.runs.deleted.connect(self._display.deleted)
        window.runs.renamed.connect(self._display.say_what_shows)
        window.prompts.message.connect(window.toast.show_message)
        window.prompts.undoable.connect(
            lambda level, sentence, undo: window.toast.show_offer(
                sentence, "Undo", "Bring back the prompts that were there (Ctrl+Z)", undo, level))
        window.metrics.message.connect(window.toast.show_message)
        window.completions.message.connect(window.toast.show_message)
        for view in (window.prompts, window.metrics, window.completions, window.judge):
            view.saved.connect(window.toast.show_saved)
        window.trying.message.connect(window.toast.show_message)
        for tries in (window.trying, window.judge):
            tries.command.connect(self._try)
        window.judge.message.connect(window.toast.show_message)
        window.paths.wanted.connect(self._send)
        window.chances.wanted.connect(self._send)
        window.frontier.command.connect(self._send)
        window.frontier.point_wanted.connect(self._show_point)
        window.tokens.earlier.wanted.connect(self._send)

    def _try(self, command: do.Command) -> None:
        if isinstance(command, do.Try) and self.watched is not None:
            command = from_checkpoints(command, self._store, self.watched)
        self._send(command)


def _level(refused: ev.CommandRefused) -> str:
    """A word on what must come first is none of an error, and a value that was typed is its own
    person's."""
    if refused.command == "Session":
        return "error"
    if refused.sentence in {sentence for _, sentence in WHEN.values()}:
        return "info"
    return "warning" if refused.problems else "error"


def _written(event: ev.CheckpointWritten) -> str:
    return f"Checkpoint after cycle {event.cycle} written ({file_size(event.bytes)})."
