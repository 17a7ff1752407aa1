"""The Models dock: what to load, how far loading is, and what was loaded."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QProgressBar,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.gui.actions import ALIVE
from workbench.gui.controls import label, named, push_button
from workbench.gui.reward_parts import RewardParts
from workbench.gui.settings import texts
from workbench.gui.source_field import SourceField
from workbench.known_models import KNOWN_POLICIES, known_policy
from workbench.training.commands import CancelLoading, LoadModels
from workbench.training.events import (
    LoadingFailed,
    LoadingProgress,
    ModelsLoaded,
    State,
)


class ModelsDock(QWidget):
    """``command`` carries LoadModels and CancelLoading."""

    command = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.policy = SourceField(
            "policy", "Policy", BUNDLED_POLICY, {k.title: k.source() for k in KNOWN_POLICIES},
            files="GGUF file (*.gguf)")
        self.policy.chosen.connect(self._suggest_chat)
        self.reward = RewardParts()
        self.chat = named(
            QCheckBox("Apply chat template"), "chat_template", "Apply chat template",
            "Wrap each prompt in the turns the policy was tuned on; takes effect when you press "
            "Load")
        self.chat.hide()
        self.load_button = push_button("Load", "load", "Load policy and reward (Ctrl+L)", self.load)
        self.cancel_button = push_button(
            "Cancel", "cancel_loading", "Give up loading; models loaded before stay",
            lambda: self.command.emit(CancelLoading()))
        self.bundled_button = push_button(
            "Use bundled", "use_bundled",
            "Load the small policy and reward model that come with the workbench",
            self.load_bundled)
        self._failure = self._details = ""
        self._labelled = 0
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(8, 6, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self.policy)
        layout.addWidget(self.reward)
        layout.addWidget(self.chat)
        row = QHBoxLayout()
        row.setSpacing(8)
        for button in (self.load_button, self.cancel_button, self.bundled_button):
            row.addWidget(button)
        row.addStretch(1)
        layout.addLayout(row)
        layout.addWidget(self._make_progress())
        layout.addWidget(self._make_failure())
        layout.addWidget(self._make_chooser())
        layout.addStretch(1)
        scroll = self._scroll = QScrollArea(widgetResizable=True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inside)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.set_state(State.IDLE)

    # -- from the person

    def load(self) -> None:
        """Load what the two fields name."""
        self._send()

    def load_bundled(self) -> None:
        """Load the models that come with the workbench."""
        self.policy.set_source(str(BUNDLED_POLICY))
        self.reward.set_source(str(BUNDLED_REWARD))
        self._suggest_chat()
        self.load()

    def save_state(self) -> dict[str, object]:
        """Return what to remember."""
        return {"policy": self.policy.source(), "recent_policies": self.policy.recent(),
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
        free = state not in ALIVE and not loading
        for widget in (self.policy, self.reward, self.chat, self.load_button,
                       self.bundled_button):
            widget.setEnabled(free)
        for field in (self.policy, *self.reward.fields):
            field.set_loading(loading)
        self.bundled_button.setVisible(not loading)
        self.cancel_button.setVisible(loading)
        self._progress_box.setVisible(loading)
        if loading:
            self._failure_box.hide()
            self._chooser.hide()

    def progress(self, event: LoadingProgress) -> None:
        """Show how far loading is."""
        self._bar.setValue(round(event.fraction * 1000))
        self._progress_text.setText(event.text)

    def loaded(self, event: ModelsLoaded) -> None:
        """Show what was loaded."""
        self.policy.remember(event.policy.source)
        self.chat.setVisible(event.policy.has_chat_template)
        if not event.policy.has_chat_template:
            self.chat.setChecked(False)
        self.policy.show_facts(event.policy)
        self.reward.show_facts(event.reward)

    def failed(self, event: LoadingFailed) -> None:
        """Say in place why loading failed, or ask which output is the score."""
        self._chooser.setVisible(bool(event.labels))
        self._labelled = event.part
        if event.labels:
            self._labels.clear()
            self._labels.addItems([f"{i}: {name}" for i, name in enumerate(event.labels)])
        self._failure, self._details = event.sentence, event.details
        self._failure_text.setText(event.sentence)
        self._copy.setVisible(bool(event.details) and not event.labels and not event.untrusted)
        self._failure_box.setVisible(not event.cancelled)
        # Once the layout has made room for it.
        QTimer.singleShot(0, self, lambda: self._scroll.ensureWidgetVisible(
            self._chooser if event.labels else self._failure_box))

    # -- inside

    def _use_label(self) -> None:
        self.reward.set_label(self._labelled, self._labels.currentIndex())
        self._send()

    def _suggest_chat(self) -> None:
        """Tick the chat template for a policy known to want it, and for the bundled one not."""
        source = self.policy.source()
        known = known_policy(source)
        if known or source == str(BUNDLED_POLICY):
            self._offer_chat(known is not None and known.chat)

    def _offer_chat(self, applied: bool) -> None:
        self.chat.setVisible(applied)
        self.chat.setChecked(applied)

    def _send(self) -> None:
        self.command.emit(LoadModels(
            self.policy.source(), self.reward.parts(),
            not self.chat.isHidden() and self.chat.isChecked()))

    def _make_progress(self) -> QWidget:
        self._progress_box = QWidget()
        self._progress_text = label("Loading…", "muted", wrap=True)
        self._bar = named(QProgressBar(maximum=1000, textVisible=False), "loading_bar",
                          "Loading progress", "How far loading is, over both models")
        layout = QVBoxLayout(self._progress_box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._progress_text)
        layout.addWidget(self._bar)
        return self._progress_box

    def _make_failure(self) -> QWidget:
        self._failure_box = QWidget()
        self._failure_text = named(label(role="error", wrap=True), "loading_failure",
                                   "Why loading failed", "Why loading failed, and what to do")
        self._failure_text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard)
        self._copy = push_button("Copy details", "copy_loading_details",
                                 "Copy what exactly went wrong, for a bug report",
                                 self._copy_details)
        layout = QVBoxLayout(self._failure_box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._failure_text)
        layout.addWidget(self._copy, 0, Qt.AlignmentFlag.AlignLeft)
        self._failure_box.hide()
        return self._failure_box

    def _make_chooser(self) -> QWidget:
        self._chooser = QWidget()
        self._labels = named(QComboBox(), "reward_label", "Which output is the score?",
                             "The output of the reward model that is the score of a completion")
        question = label("Which output is the score?", "heading")
        question.setBuddy(self._labels)
        use = push_button("Use this output", "use_label", "Load with this output as the score",
                          self._use_label)
        layout = QVBoxLayout(self._chooser)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(question)
        layout.addWidget(self._labels)
        layout.addWidget(use, 0, Qt.AlignmentFlag.AlignLeft)
        self._chooser.hide()
        return self._chooser

    def _copy_details(self) -> None:
        QGuiApplication.clipboard().setText(f"{self._failure}\n\n{self._details}")
