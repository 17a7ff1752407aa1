"""Every action of the window, declared once, for menus, tool bar, palette and shortcut sheet.

A disabled action says why in its tooltip: the state it would need, or what ``allow(name, False,
"…")`` was told. A button, field or item says it by :func:`workbench.gui.widgets.controls.enable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from shiboken6 import isValid

from workbench.formatting import both_ends
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import themes
from workbench.training import commands as do
from workbench.training.events import State
from workbench.training.states import ALIVE, allowed

Menu = Literal["File", "Edit", "Run", "View", "Theme", "Help"]
CAN_RESUME = frozenset(State) - ALIVE
"""States in which a run of the store can be asked to go on; while loading, it waits."""
CAN_BRANCH = frozenset(State) - {State.STOPPING}
"""States in which a checkpoint can be chosen to go on from; a running run is paused first."""
_STANDS = {
    State.IDLE: "no models are loaded yet", State.LOADING: "models are being loaded",
    State.READY: "no run has been started", State.RUNNING: "a run is running",
    State.PAUSED: "the run is paused", State.STOPPING: "the run is stopping",
    State.FINISHED: "the run has ended", State.FAILED: "the run has failed",
}
_SELECT = "Select a run in Runs for which it can be done."


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One thing a person can do. ``states`` are those it makes sense in; None: always.
    ``group``: it begins another group of its menu. ``of_run`` is its text with the name of the run
    that it acts on, the one selected in Runs."""

    id: str
    text: str
    tip: str
    menu: Menu
    shortcut: str = ""
    icon: str = ""
    states: frozenset[State] | None = None
    toolbar: bool = False
    checkable: bool = False
    group: bool = False
    of_run: str = ""


SPECS = (
    ActionSpec("open_prompts", "Open prompts…", "Read prompts from a file: txt, jsonl, json, csv, "
               "tsv, their .gz, or parquet", "File", "Ctrl+O", "open"),
    ActionSpec("quit", "Close", "Close the window; a run that is alive is asked about first",
               "File", "Ctrl+Q", group=True),
    ActionSpec("start", "Start", "Begin a new run from the start policy with these settings",
               "Run", "Ctrl+R", "start", frozenset(State) - ALIVE, toolbar=True),
    ActionSpec("pause", "Pause", "Hold the run when the cycle in hand is complete",
               "Run", "Ctrl+P", "pause", allowed(do.Pause, do.Resume), toolbar=True),
    ActionSpec("step", "Step", "Run one cycle, then pause", "Run", "Ctrl+E", "step",
               frozenset(State) - {State.RUNNING, State.STOPPING}, toolbar=True),
    ActionSpec("step_into", "Step into", "Run one part of a cycle, then pause, so that one looks "
               "at scores and estimates before the update", "Run", "Ctrl+I", "step_into",
               frozenset(State) - {State.STOPPING}),
    ActionSpec("stop", "Stop", "End the run at the next step; the unfinished cycle is dropped. "
               "Again: without waiting for its checkpoint", "Run", "Ctrl+.", "stop",
               allowed(do.Stop), toolbar=True),
    ActionSpec("apply", "Apply settings", "Use the edited hyperparameters from the next cycle on",
               "Run", "Ctrl+Return", states=allowed(do.SetHyperparameters), group=True),
    ActionSpec("try", "Try the policy…", "Type a prompt and see what the policy, its start and its "
               "checkpoints make of it", "Run", "Ctrl+T", "try", toolbar=True),
    ActionSpec("resume_run", "Resume run", "Go on with the run selected in Runs, from its last "
               "checkpoint", "Run", "Ctrl+Shift+R", "start", CAN_RESUME, group=True,
               of_run="Resume {}"),
    ActionSpec("fork_run", "Fork from checkpoint…", "Begin a new run from a checkpoint of the run "
               "selected in Runs, with other settings", "Run", "Ctrl+Shift+F", "fork", CAN_BRANCH,
               of_run="Fork {} from checkpoint…"),
    ActionSpec("go_back", "Go back to checkpoint…", "Let the run selected in Runs go on from an "
               "earlier checkpoint; what it did later is kept as an abandoned branch", "Run",
               "Ctrl+Shift+B", states=CAN_BRANCH, of_run="Go back in {} to checkpoint…"),
    ActionSpec("compare_algorithms", "Compare algorithms…", "Train in several ways on the same "
               "models, prompts and budget, one run after the other", "Run",
               states=allowed(do.Start), group=True),
    ActionSpec("make_reward", "Make a reward from your judgements…", "Train a reward model on what "
               "was said in Judge, which the policy can then learn by", "Run", "Ctrl+Shift+M",
               group=True),
    ActionSpec("go_on_with_reward", "Go on with the new reward", "Let the policy go on learning by "
               "the reward that was made of judgements, as a fork of its run", "Run"),
    ActionSpec("start_with_reward", "Start a run with the new reward", "Begin a new run that "
               "learns by the reward that was made of judgements", "Run"),
    ActionSpec("checkpoint", "Checkpoint now", "Write a checkpoint of the paused run, to resume "
               "from later", "Run", "Ctrl+S", states=allowed(do.Checkpoint), group=True),
    ActionSpec("checkpoints", "Checkpoints…", "See, pin and delete the checkpoints of the run "
               "selected in Runs", "Run", of_run="Checkpoints of {}…"),
    ActionSpec("export_policy", "Export policy…", "Save the policy of the run selected in Runs as "
               "a folder that transformers loads", "Run", "Ctrl+Shift+E", "export",
               allowed(do.ExportRun), of_run="Export policy of {}…"),
    ActionSpec("load_models", "Load models", "Load the policy and the reward model named in Models",
               "Run", "Ctrl+L", states=allowed(do.LoadModels), group=True),
    ActionSpec("cancel_loading", "Cancel loading", "Give up loading; models loaded before stay",
               "Run", states=frozenset({State.LOADING})),
    ActionSpec("rename_selected", "Rename run", "Give the run selected in Runs another name",
               "Run", group=True, of_run="Rename {}"),
    ActionSpec("delete_selected", "Delete run…", "Remove the run selected in Runs for good",
               "Run", of_run="Delete {}…"),
    ActionSpec("overlay_run", "Draw over the run on display", "Draw the curves of the run selected "
               "in Runs over those on display, or no longer", "View", "Ctrl+Shift+O",
               of_run="Draw {} over the run on display"),
    ActionSpec("clear_overlays", "Draw no other runs", "Leave only the run on display in the plots",
               "View"),
    ActionSpec("compare_settings", "Compare settings…", "Show in a table where the settings of the "
               "run on display and the ticked runs differ", "View", "Ctrl+Shift+D"),
    ActionSpec("summary", "Summary of the run", "What the run selected in Runs gained, what that "
               "cost, which answers changed most, and what to try next", "View",
               of_run="Summary of {}"),
    ActionSpec("show_live", "Show the live run", "Show the run that is training now", "View",
               "Ctrl+J", "follow", ALIVE, group=True),
    ActionSpec("health", "Health of the run", "What the health check says of the run on display, "
               "and what to try", "View", "Ctrl+H", group=True),
    ActionSpec("notifications", "Notifications…", "What the window has told, with the time",
               "View", "Ctrl+Shift+N", "bell"),
    ActionSpec("enlarge_view", "Enlarge the view", "Give the view that you clicked in last, and "
               "the tabs beside it, the whole window; again, or Escape: show all as before. A "
               "double click on a tab does it too", "View", "F11", checkable=True, group=True),
    ActionSpec("reset_layout", "Reset layout", "Put every dock back where it was at first", "View",
               icon="reset"),
    ActionSpec("theme_system", "Theme: like the system", "Follow the system's colour scheme",
               "Theme", checkable=True),
    ActionSpec("theme_light", "Theme: light", "Dark text on a light window", "Theme",
               checkable=True),
    ActionSpec("theme_dark", "Theme: dark", "Light text on a dark window", "Theme",
               checkable=True),
    ActionSpec("guide", "Guide", "What happens in a cycle and what for, card by card with the run, "
               "and what came of it", "Help", "Ctrl+G"),
    ActionSpec("feedback_tour", "Feedback tour", "Five minutes: mark ten pairs, make a reward of "
               "them, let the policy learn by it, and see what has changed", "Help"),
    ActionSpec("what_is", "What is this?", "Formula, meaning and source of what you click next, if "
               "you choose it here; of what has the keyboard or the pointer, if you press its key",
               "Help",
               "Shift+F1"),
    ActionSpec("palette", "Command palette…", "Find any action by typing a part of its name",
               "Help", "Ctrl+Shift+P", "search", group=True),
    ActionSpec("shortcuts", "Keyboard shortcuts", "Show every shortcut", "Help", "F1"),
    ActionSpec("open_logs", "Open the log folder", "Show the folder with the window's log files",
               "Help", group=True),
    ActionSpec("about", "About PPO Workbench", "Version, licence and where your runs are kept",
               "Help"),
)

_BEGIN = ("start", "pause", "step", "step_into", "resume_run", "fork_run", "go_back", "load_models")
_RUN_NAME = 32  # characters of the name of a run that a menu has room for
STARTING = "A run is being started; wait a moment."


class Actions(QObject):
    """The QActions made from :data:`SPECS`, enabled by the state of the session."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._actions = {spec.id: self._make(spec) for spec in SPECS}
        self._withheld: dict[str, str] = {}
        self._granted: set[str] = set()
        self._resumes = ""
        self._starting = False
        self.primary = "start"
        """The action that is the next thing to do: the tool bar's filled button."""
        self["shortcuts"].setShortcuts([QKeySequence("F1"), QKeySequence("Ctrl+/")])
        self["apply"].setShortcuts([QKeySequence("Ctrl+Return"), QKeySequence("Ctrl+Enter")])
        group = QActionGroup(self)
        for name in ("theme_system", "theme_light", "theme_dark"):
            group.addAction(self[name])
        self._state = State.IDLE
        self.set_state(State.IDLE)
        self.draw_icons()
        themes().changed.connect(self.draw_icons)

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def __iter__(self) -> Iterator[QAction]:
        return iter(self._actions.values())

    def on(self, name: str, call: Callable[[], object]) -> None:
        """Call ``call`` when the action is chosen."""
        self[name].triggered.connect(lambda _checked=False: call())

    def in_menu(self, menu: Menu) -> list[QAction]:
        """Return the actions of one menu, in order."""
        return [self[spec.id] for spec in SPECS if spec.menu == menu]

    def begins_group(self, action: QAction) -> bool:
        """Return whether a line stands above the action in its menu."""
        return any(spec.group for spec in SPECS if spec.id == action.objectName())

    def in_toolbar(self) -> list[QAction]:
        """Return the actions of the tool bar, in order."""
        return [self[spec.id] for spec in SPECS if spec.toolbar]

    def allow(self, name: str, allowed: bool, why: str = "") -> None:
        """Say whether an action makes sense for another reason than the state, and where it does
        not, ``why``: a sentence for its tooltip, "Select a run in Runs first."."""
        said = None if allowed else why
        if said == self._withheld.get(name):
            return
        if said is None:
            del self._withheld[name]
        else:
            self._withheld[name] = said
        self._enable()

    def grant(self, name: str, granted: bool) -> None:
        """Say whether an action makes sense although the state is not one of its own."""
        (self._granted.add if granted else self._granted.discard)(name)
        self._enable()

    def set_state(self, state: State) -> None:
        """Enable exactly what makes sense in ``state``."""
        self._state = state
        self._show()

    def set_starting(self, starting: bool) -> None:
        """Let nothing else begin while a run is being started."""
        if starting != self._starting:
            self._starting = starting
            self._enable()

    def set_start(self, text: str, tip: str, step_tip: str, into_tip: str) -> None:
        """Say what Start, Step and Step into would do."""
        now = {"start": tip, "step": step_tip, "step_into": into_tip}
        if text != self["start"].text() or any(
            tip_of(self[name]) != said for name, said in now.items()
        ):
            self["start"].setText(text)
            for name, said in now.items():
                set_tip(self[name], said)

    def name_run(self, name: str) -> None:
        """Let the actions on the run selected in Runs say its ``name``; empty: none is selected."""
        shown = both_ends(name, _RUN_NAME).replace("&", "&&")
        for spec in SPECS:
            if spec.of_run:
                text = spec.of_run.replace("{}", shown) if name else spec.text
                if self[spec.id].text() != text:
                    self[spec.id].setText(text)

    def set_resumes(self, tip: str) -> None:
        """Let Pause be Resume, for a run that was stopped; an empty ``tip`` lets it be Pause."""
        if tip != self._resumes:
            self._resumes = tip
            self.grant("pause", bool(tip))
            self._show()

    def draw_icons(self) -> None:
        """Draw the icons in the theme's colours."""
        for spec in SPECS:
            if spec.icon:
                self._draw(spec.id, spec.icon)
        self._show()

    def _show(self) -> None:
        """Show Pause as what it does now, and which action is the next thing to do."""
        paused = self._state == State.PAUSED
        resumes = paused or bool(self._resumes)
        set_tip(self["pause"], self._resumes or (
            "Go on with the run" if paused else "Hold the run when the cycle in hand is complete"))
        self["pause"].setText("Resume" if resumes else "Pause")
        self.primary = "pause" if resumes else "start"
        self._draw("pause", "start" if resumes else "pause")
        self._draw("start", "start")
        self._enable()

    def _draw(self, name: str, picture: str) -> None:
        """On the filled button an icon takes the colour of the text."""
        on_accent = themes().theme.on_accent
        self[name].setIcon(icon(picture, on_accent if name == self.primary else ""))

    def _enable(self) -> None:
        for spec in SPECS:
            fits = (spec.states is None or self._state in spec.states
                    or spec.id in self._granted)
            withheld = self._withheld.get(spec.id)
            why = withheld or (
                _SELECT if withheld is not None and "selected in Runs" in spec.tip
                else f"Not now: {_STANDS[self._state]}.")
            if self._starting and spec.id in _BEGIN:
                fits, why = False, STARTING
            enable_action(self[spec.id], fits and withheld is None, why)

    def _make(self, spec: ActionSpec) -> QAction:
        action = QAction(spec.text, self)
        action.setObjectName(spec.id)
        action.setProperty("general_text", spec.text)
        if " " in spec.text:
            action.setIconText(spec.text.partition(" ")[0])  # what a tool bar has room for
        action.setCheckable(spec.checkable)
        if spec.shortcut:
            action.setShortcut(QKeySequence(spec.shortcut))
        set_tip(action, spec.tip)
        return action


def set_tip(action: QAction, tip: str) -> None:
    """Give an action its tooltip, with the shortcut. It has no status tip, which would cover
    phase and progress."""
    shortcut = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    action.setProperty("tip", tip)
    why = str(action.property("why") or "")
    action.setToolTip(plain_tip(f"{tip}\n{why}" if why else tip, shortcut))


def enable_action(action: QAction, on: bool, why: str) -> None:
    """Enable an action, or disable it and let its tooltip say ``why``."""
    said = "" if on else why
    if action.isEnabled() != on or action.property("why") != said:
        action.setEnabled(on)
        action.setProperty("why", said)
        set_tip(action, tip_of(action))


def explain(action: QAction, tip: str, why: str) -> None:
    """Let the tooltip of an action that Qt enables by itself say ``why`` while it is disabled."""
    def say(on: bool) -> None:
        if not isValid(action):
            return  # it goes away, and so does what could be undone
        action.setProperty("why", "" if on else why)
        set_tip(action, tip)
    action.enabledChanged.connect(say)
    say(action.isEnabled())


def tip_of(action: QAction) -> str:
    """Return what an action's tooltip says of it, without its shortcut."""
    return str(action.property("tip") or "")
