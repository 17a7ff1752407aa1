"""The Models dock: what to load, how far loading is, and what is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QLineEdit,
    QProgressBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.gui.models.loading_failure import LoadingFailure
from workbench.gui.models.rate_proposal import RateProposal
from workbench.gui.models.reward_parts import RewardParts
from workbench.gui.models.source_field import SourceField, same_source
from workbench.gui.settings import texts
from workbench.gui.widgets.button_line import ButtonLine
from workbench.gui.widgets.controls import enable, explain, label, named, push_button
from workbench.gui.widgets.form_scroll import FormScroll
from workbench.gui.widgets.layouts import STRETCH, hbox, vbox
from workbench.known_models import KNOWN_POLICIES, known_policy
from workbench.training.commands import CancelLoading, LoadModels
from workbench.training.events import (
    HalfLoaded,
    LoadingFailed,
    LoadingProgress,
    ModelFacts,
    ModelsLoaded,
    State,
)
from workbench.training.names import reward_name, source_name
from workbench.training.states import ALIVE

_LOADING = "Wait until loading has ended, or cancel it."
_ALIVE = "A run is on; stop it to load other models."


class ModelsDock(QWidget):
    """``command`` carries LoadModels and CancelLoading; ``changed`` tells that something else is
    named or loaded."""

    command = Signal(object)
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.loaded_command: LoadModels | None = None
        """What is in memory, as it was asked for; a half that is not there has no name."""
        self.policy_facts: ModelFacts | None = None
        self._loading = self._cancelling = False
        self._state_says = ""
        self._left: QWidget | None = None  # had the keyboard when loading began
        self.policy = SourceField(
            "policy", "Policy", BUNDLED_POLICY, files="GGUF file (*.gguf)", known=KNOWN_POLICIES)
        self.reward = RewardParts()
        self.chat = named(
            QCheckBox("Chat template"), "chat_template", "Apply chat template",
            "Wrap each prompt in the turns the policy was tuned on; takes effect when you press "
            "Load")
        self.chat.hide()
        self._policy_memory = _in_memory("policy", self._show_loaded_policy)
        self._reward_memory = _in_memory("reward", self._show_loaded_reward)
        self.policy.put_beside_title(self.chat)
        self.policy.share_line(self._policy_memory)
        self.rate = RateProposal()
        self.failures: list[LoadingFailure] = []
        """There is always one; those that show come first."""
        self._add_failure()
        self._make_buttons()
        vbox(self, (self._make_fields(), 1), self._make_foot(), spacing=0)
        self.policy.edited.connect(self._policy_edited)
        self.reward.edited.connect(self._edited)
        self.chat.toggled.connect(self._edited)
        for part in (self.policy, self.reward):
            part.entered.connect(self.load_button.click)
        self.set_state(State.IDLE)

    # -- what is named, and what is loaded

    def wanted(self) -> LoadModels:
        """Return what the fields name."""
        return LoadModels(self.policy.source(), self.reward.parts(),
                          not self.chat.isHidden() and self.chat.isChecked(), "each")

    def policy_is_loaded(self) -> bool:
        """Whether the policy in memory is the one that is named."""
        loaded, wanted = self.loaded_command, self.wanted()
        return (loaded is not None and loaded.policy != ""
                and same_source(loaded.policy, wanted.policy)
                and loaded.use_chat_template == wanted.use_chat_template)

    def reward_is_loaded(self) -> bool:
        """Whether the reward in memory is the one that is named."""
        loaded, wanted = self.loaded_command, self.wanted()
        return loaded is not None and len(loaded.parts) == len(wanted.parts) and all(
            same_source(there.source, named.source) and there == replace(
                named, source=there.source)
            for there, named in zip(loaded.parts, wanted.parts, strict=True))

    def is_loaded(self) -> bool:
        """Whether what is in memory is what the fields name."""
        return self.policy_is_loaded() and self.reward_is_loaded()

    @property
    def failure(self) -> LoadingFailure:
        """What failed first, or would be said of it."""
        return self.failures[0]

    # -- from the person

    def load(self) -> None:
        """Load what the two fields name."""
        self.reward.tidy()
        self._clear_failures()
        enable(self.cancel_button, True, "")
        self.command.emit(self.wanted())

    def cancel(self) -> None:
        """Give up loading, and say so at once: it may take until a file has been read."""
        self.cancelling()
        self.command.emit(CancelLoading())

    def cancelling(self) -> None:
        """Say that loading is being given up."""
        if self._loading:
            self._cancelling = True
            self._progress_text.setText("Cancelling…")
            enable(self.cancel_button, False, "Loading is being cancelled.")

    def load_bundled(self) -> None:
        """Load the models that come with the workbench."""
        self.policy.set_source(str(BUNDLED_POLICY))
        self.reward.set_source(str(BUNDLED_REWARD))
        self._offer_chat(False)
        self.load()

    def save_state(self) -> dict[str, object]:
        """Return what to remember."""
        return {"policy": self.policy.name(), "recent_policies": self.policy.recent(),
                "chat_template": self.chat.isChecked()} | self.reward.save_state()

    def restore_state(self, state: dict[str, object]) -> None:
        """Show again what was remembered."""
        for name in reversed(texts(state, "recent_policies")):
            self.policy.remember(name)
        found = state.get("policy")
        if isinstance(found, str) and found:
            self.policy.set_source(found)
        self.reward.restore_state(state)
        self._offer_chat(state.get("chat_template") is True)

    # -- from the session

    def set_state(self, state: State) -> None:
        """Enable what makes sense in ``state``."""
        loading = state == State.LOADING
        why = _LOADING if loading else _ALIVE if state in ALIVE else ""
        typing = QApplication.focusWidget()
        if loading and not self._loading and typing is not None and any(
                half.isAncestorOf(typing) for half in (self.policy, self.reward)):
            self._left = typing
        for half in (self.policy, self.reward, *self.failures):
            half.setEnabled(not why)
        self._state_says = why
        for own in (self.chat, self.load_button):
            enable(own, not why, why)
        for kind in (QComboBox, QLineEdit, QToolButton):
            for half in (self.policy, self.reward):
                for control in half.findChildren(kind):
                    if control.property("tip"):  # else it is a part of another control
                        explain(control, why)
        if not loading and (left := self._left) is not None:
            # A name that was wrong is typed anew; who has gone elsewhere meanwhile stays there.
            if not why and isValid(left) and QApplication.focusWidget() in (None, self):
                left.setFocus()
            self._left = None
        self.bundled_button.setVisible(not loading)
        self.cancel_button.setVisible(loading)
        self._progress_box.setVisible(loading)
        if loading and not self._loading:
            self._bar.setRange(0, 0)  # it moves until there is something to tell
            self._progress_text.setText("Getting ready to load models. The first time this may "
                                        "take a minute.")
        self._loading = loading
        if not loading and self._cancelling:
            self._cancelling = False
            enable(self.cancel_button, True, "")
        self._show_memory()

    def progress(self, event: LoadingProgress) -> None:
        """Show how far loading is."""
        self._bar.setMaximum(1000)
        self._bar.setValue(round(event.fraction * 1000))
        if not self._cancelling:
            self._progress_text.setText(event.text)

    def loaded(self, event: ModelsLoaded) -> None:
        """Show what was loaded."""
        self._show_loaded(event.command or self.wanted(), event.policy, event.reward)

    def half_loaded(self, event: HalfLoaded) -> None:
        """Show the half that is there."""
        facts = {event.which: event.facts}
        self._show_loaded(event.command, facts.get("policy"), facts.get("reward"))

    def _show_loaded(self, command: LoadModels, policy: ModelFacts | None,
                     reward: ModelFacts | None) -> None:
        self.loaded_command, self.policy_facts = command, policy
        if policy is not None:
            self.policy.remember(policy.source)
            if same_source(command.policy, self.policy.source()):
                self.chat.setVisible(policy.has_chat_template)
                if not policy.has_chat_template:
                    self.chat.setChecked(False)
            self.policy.show_facts(policy)
        if reward is not None:
            self.reward.show_facts(reward)
        if self.is_loaded():
            self._clear_failures()
        self._show_memory()
        self.changed.emit()

    def failed(self, event: LoadingFailed) -> None:
        """Say in place why loading failed, or ask which output is the score."""
        if event.cancelled or event.untrusted:
            return
        command = event.command or self.wanted()
        first = self.failure.isHidden()
        failure = next((f for f in self.failures if f.isHidden()), None) or self._add_failure()
        # A run that is to go on brings models of its own, which the fields need not name.
        field = self._field_of(event) if command == self.wanted() else None
        if field is not None:
            field.set_below(failure)
            field.mark(True)
        else:
            self._fields.insertWidget(0, failure)
        failure.show_failure(replace(event, command=command))
        self._show_memory()
        if first:  # once the layout has made room for it
            QTimer.singleShot(0, self, lambda: self._scroll.ensureWidgetVisible(failure))

    # -- inside

    def _policy_edited(self) -> None:
        """Tick the chat template for a policy known to want it, and for the bundled one not."""
        source = self.policy.source()
        known = known_policy(source)
        if known or source == str(BUNDLED_POLICY):
            self._offer_chat(known is not None and known.chat)
        self._edited()

    def _offer_chat(self, applied: bool) -> None:
        self.chat.setVisible(applied)
        self.chat.setChecked(applied)
        self._edited()

    def _edited(self, *_: object) -> None:
        """What was said of what was named before no longer holds."""
        wanted = self.wanted()
        self._clear_failures(lambda failure: not failure.installer.running and (
            _named(failure.failed, wanted) != _named(failure.failed, failure.failed.command)))
        self._show_memory()
        self.changed.emit()

    def _clear_failures(self, which: Callable[[LoadingFailure], bool] = lambda _: True) -> None:
        for failure in filter(which, self.failures):
            failure.hide()
            self._fields.insertWidget(0, failure)  # out of a part that may be taken away
        self.failures.sort(key=LoadingFailure.isHidden)
        for field in (self.policy, *self.reward.fields):
            field.mark(any(field.isAncestorOf(failure) and not failure.isHidden()
                           for failure in self.failures))

    def _field_of(self, event: LoadingFailed) -> SourceField | None:
        """Return the field that names what could not be loaded, where there is one."""
        fields = {"policy": [self.policy], "reward": self.reward.fields}.get(event.which, [])
        number = event.part if event.which == "reward" else 0
        return fields[number] if number < len(fields) else None

    def _show_memory(self) -> None:
        """Say of each half whether it is loaded, and what is there in its place."""
        loaded = self.loaded_command if not self._loading else None
        why = self._state_says or ("The bundled models are loaded." if self._bundled() else "")
        enable(self.bundled_button, not why, why)
        policy, reward = self.policy_is_loaded(), self.reward_is_loaded()
        self.policy.mark_unloaded(not (self._loading or policy))
        self.reward.mark_unloaded(not (self._loading or reward))
        _say_loaded(self._policy_memory, source_name(loaded.policy) if loaded else "",
                    loaded.policy if loaded and not policy else "")
        _say_loaded(self._reward_memory, reward_name(loaded.parts) if loaded else "",
                    ", ".join(p.source for p in loaded.parts) if loaded and not reward else "")

    def _bundled(self) -> bool:
        """Whether the bundled models, and no others, are named and loaded."""
        parts = self.wanted().parts
        return (self.is_loaded() and self.policy.source() == str(BUNDLED_POLICY)
                and [part.source for part in parts] == [str(BUNDLED_REWARD)])

    def _show_loaded_policy(self) -> None:
        if self.loaded_command is not None:
            self.policy.set_source(self.loaded_command.policy)
            self._offer_chat(self.loaded_command.use_chat_template)
            if self.policy_facts is not None:
                self.chat.setVisible(self.policy_facts.has_chat_template)

    def _show_loaded_reward(self) -> None:
        if self.loaded_command is not None:
            self.reward.set_parts(self.loaded_command.parts)

    def _add_failure(self) -> LoadingFailure:
        failure = LoadingFailure()
        failure.label_chosen.connect(partial(self._use_label, failure))
        failure.installed.connect(self._load_installed)
        self.failures.append(failure)
        return failure

    def _use_label(self, failure: LoadingFailure, chosen: int) -> None:
        self.reward.set_label(failure.failed.part, chosen)
        self.load()

    def _load_installed(self) -> None:
        """Load a policy whose package is there now, if it is still the one that is named."""
        if known_policy(self.policy.source()) and self.load_button.isEnabled():
            self.load()

    # -- making it

    def _make_buttons(self) -> None:
        self.load_button = push_button("Load", "load", "Load policy and reward (Ctrl+L)", self.load)
        self.cancel_button = push_button(
            "Cancel", "cancel_loading", "Give up loading; models loaded before stay", self.cancel)
        self.bundled_button = push_button(
            "Use bundled", "use_bundled",
            "Load the small policy and reward model that come with the workbench",
            self.load_bundled)

    def _make_fields(self) -> FormScroll:
        inside = QWidget()
        layout = self._fields = QVBoxLayout(inside)
        layout.setContentsMargins(8, 6, 2, 4)  # on the right the room of the scroll bar is kept
        layout.setSpacing(8)
        # What comes and goes stands below: nothing moves under the pointer when loading ends.
        for widget in (self.policy, self.reward, self._reward_memory, self.rate):
            layout.addWidget(widget)
        layout.addStretch(1)
        self._scroll = FormScroll(inside)
        return self._scroll

    def _make_foot(self) -> QVBoxLayout:
        """Progress and buttons, which stay in sight however much stands above them."""
        row = hbox(
            None, self.load_button, self.cancel_button, self.bundled_button, STRETCH, spacing=8)
        return vbox(None, self._make_progress(), row, margins=(8, 4, 8, 8), spacing=8)

    def _make_progress(self) -> QWidget:
        self._progress_box = QWidget()
        self._progress_text = label("Loading…", "muted", wrap=True)
        self._bar = named(QProgressBar(maximum=1000, textVisible=False), "loading_bar",
                          "Loading progress", "How far loading is, over both models")
        vbox(self._progress_box, self._progress_text, self._bar)
        return self._progress_box


def _named(event: LoadingFailed, command: LoadModels | None) -> object:
    """Return what ``command`` says of that which could not be loaded."""
    if command is None or event.which not in ("policy", "reward"):
        return command
    if event.which == "policy":
        return command.policy, command.use_chat_template
    return command.parts[event.part : event.part + 1], [part.weight for part in command.parts]


def _in_memory(what: str, show_again: Callable[[], object]) -> ButtonLine:
    return ButtonLine(
        f"{what}_in_memory", f"{what.title()} in memory", "warning",
        f"show_loaded_{what}", "Show it",
        f"Show the {what} that is in memory in place of the one that is not loaded", show_again)


def _say_loaded(line: ButtonLine, name: str, source: str) -> None:
    """Say what is loaded in place of what is named; of no ``source``, nothing."""
    line.say(f"In memory: {name}" if source else "",
             f"Not loaded. In memory: {name}\n{source}")
