"""The Models dock: what to load, how far loading is, and what was loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QMenu,
    QProgressBar,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.gui.actions import ALIVE
from workbench.gui.controls import label, named, push_button, tool_button
from workbench.gui.dialog import choose_file
from workbench.gui.icons import icon
from workbench.gui.reward_parts import EXAMPLES, RewardParts
from workbench.gui.settings import texts
from workbench.gui.theme import themes
from workbench.known_models import KNOWN_POLICIES, known_policy
from workbench.training.commands import CancelLoading, LoadModels
from workbench.training.events import (
    LoadingFailed,
    LoadingProgress,
    ModelFacts,
    ModelsLoaded,
    State,
)

BUNDLED = "Bundled model"
_REMEMBERED = 8


def count(number: int) -> str:
    """Return a large number as people say it: 1.4 M."""
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def facts_sentence(facts: ModelFacts) -> str:
    """Return what a person wants to know of a loaded model, in one line."""
    if facts.sha256:
        return f"Python file: {facts.summary}" if facts.summary else "Python file"
    score = ""
    if facts.label is not None and len(facts.labels) > 1:
        score = f", score: {facts.labels[facts.label]}"
    return (f"{facts.architecture}, {count(facts.parameters)} parameters, "
            f"{facts.vocabulary:,} tokens ({facts.tokenizer}), {facts.dtype} on "
            f"{facts.device}{score}")


class SourceField(QWidget):
    """A folder, a file or a hub name: typed, chosen from recent ones, or browsed for.

    ``examples`` are more sources that are always there, by title; ``files`` is a kind of file to
    browse for beside folders, as a file dialog's filter.
    """

    chosen = Signal()

    def __init__(
        self, name: str, title: str, bundled: Path, examples: Mapping[str, str] | None = None,
        files: str = "",
    ) -> None:
        super().__init__()
        self._title, self._files = title, files
        self._shipped = {BUNDLED: str(bundled)} | dict(examples or {})
        kinds = "a folder with a model, " + (f"a {files.partition(' (')[0]}, " if files else "")
        self.combo = named(QComboBox(editable=True), name, title,
                           f"{title}: {kinds}or a name on the Hugging Face hub")
        self.combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.combo.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(8)
        self._fill([])
        self.combo.activated.connect(lambda _: self.chosen.emit())
        heading = self.heading = label(title, "heading")
        heading.setBuddy(self.combo)
        self.button = tool_button("", f"browse_{name}", f"Browse for the {title.lower()}",
                                   f"Choose the folder of the {title.lower()}")
        if files:
            self.button.setMenu(self._make_menu())
            self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
            self.button.setToolTip(f"Choose the folder or the file of the {title.lower()}")
        else:
            self.button.clicked.connect(lambda: self._browse())
        self._draw()
        themes().changed.connect(self._draw)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(heading, 0, 0, 1, 2)
        layout.addWidget(self.combo, 1, 0)
        layout.addWidget(self.button, 1, 1)
        self.facts = named(label(role="muted", wrap=True), f"{name}_facts", f"{title}, loaded",
                           "What is loaded")
        self.facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.facts.hide()
        layout.addWidget(self.facts, 2, 0, 1, 2)
        layout.setColumnStretch(0, 1)
        self._show(BUNDLED)

    def source(self) -> str:
        """Return what to load: a path or a hub name."""
        text = self.combo.currentText().strip()
        return self._shipped.get(text, text)

    def set_source(self, source: str) -> None:
        """Show ``source``."""
        self._show(next((text for text, path in self._shipped.items() if path == source), source))

    def show_facts(self, facts: ModelFacts) -> None:
        """Show what is loaded."""
        self.facts.setText(facts_sentence(facts))
        digest = f"\nContent (sha256): {facts.sha256}" if facts.sha256 else ""
        self.facts.setToolTip(f"Loaded from {facts.source}{digest}")
        self.facts.show()

    def recent(self) -> list[str]:
        """Return the recent sources, latest first; what is shipped is always there."""
        return [self.combo.itemText(i) for i in range(len(self._shipped), self.combo.count())]

    def remember(self, source: str) -> None:
        """Put ``source`` first among the recent ones."""
        if source in self._shipped.values():
            return
        others = [s for s in self.recent() if s != source]
        current = self.combo.currentText()
        self._fill([source, *others][:_REMEMBERED])
        self._show(current)

    def _fill(self, recent: list[str]) -> None:
        self.combo.clear()
        self.combo.addItems([*self._shipped, *recent])
        for place, title in enumerate(self._shipped):
            known = known_policy(title)
            if known:
                self.combo.setItemData(place, known.about, Qt.ItemDataRole.ToolTipRole)

    def _show(self, text: str) -> None:
        self.combo.setCurrentText(text)
        line = self.combo.lineEdit()
        if line:
            line.setCursorPosition(0)  # its beginning, where there is little room

    def _draw(self) -> None:
        self.button.setIcon(icon("open"))

    def _make_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        kind = self._files.partition(" (")[0]
        for text, tip, call in (
            ("Choose a folder…", "A folder with config.json, weights and tokenizer",
             self._browse),
            (f"Choose a {kind}…", f"A {kind} that holds the whole model", self._browse_files),
        ):
            action = menu.addAction(text)
            action.setToolTip(tip)
            action.triggered.connect(lambda _checked=False, call=call: call())
        return menu

    def _browse(self) -> None:
        choose_file(self, "model_folder_dialog", f"Folder of the {self._title.lower()}",
                    self._chose, folder=True)

    def _browse_files(self) -> None:
        choose_file(self, "model_file_dialog", f"File of the {self._title.lower()}",
                    self._chose, filters=f"{self._files};;All files (*)")

    def _chose(self, paths: list[Path]) -> None:
        self.set_source(str(paths[0]))


class ModelsDock(QWidget):
    """``command`` carries LoadModels and CancelLoading."""

    command = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.policy = SourceField(
            "policy", "Policy", BUNDLED_POLICY, {k.title: k.source() for k in KNOWN_POLICIES},
            files="GGUF file (*.gguf)")
        self.policy.chosen.connect(self._suggest_chat)
        self.reward = RewardParts(
            lambda name, title: SourceField(name, title, BUNDLED_REWARD, EXAMPLES))
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
