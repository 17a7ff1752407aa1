"""The Try dock: a prompt, a few settings, and what each policy makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime

from PySide6.QtCore import QEvent, QSignalBlocker, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import (
    QComboBox,
    QMenu,
    QPlainTextEdit,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from workbench.gui.actions import enable_action
from workbench.gui.settings import section
from workbench.gui.thumbs import Thumbs
from workbench.gui.trying.controls import Controls
from workbench.gui.trying.record import Attempt, join_prompts, split_prompts
from workbench.gui.trying.results import Results
from workbench.gui.widgets.controls import describe, enable, label, named, push_button, tool_button
from workbench.gui.widgets.form_scroll import FormScroll
from workbench.gui.widgets.layouts import STRETCH, hbox, vbox
from workbench.gui.widgets.plain_text import plain_tip, shortened, without_mnemonic
from workbench.gui.widgets.theme import set_look
from workbench.store.judged import Origin, Side, Thumb
from workbench.store.records import Prompt
from workbench.store.store import Store
from workbench.training import events as ev
from workbench.training.commands import PromptItem, StopTrying, Try
from workbench.training.events import State

_MOST_PROMPTS = 16
_LONGEST = 100_000  # characters: the field takes long to show more
_OFFERED = 20  # prompts of the table in the menu
_CAN_TRY = frozenset({State.READY, State.PAUSED, State.FINISHED, State.FAILED})
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_WHY_NOT = {
    State.IDLE: "Load models to try the policy.",
    State.LOADING: "The models are being loaded.",
    State.RUNNING: "A cycle is running: pause the run to try its policy.",
    State.STOPPING: "The run is ending.",
}
_GOES_ON = "Trying changes nothing: the run goes on as if it had not been."
TryEvent = ev.TryStarted | ev.TryProgress | ev.TryScored | ev.TryFailed | ev.TryFinished


class TryView(QWidget):
    """``command`` carries what to send; ``message`` what to tell.

    Tries are kept until the window is closed.
    """

    command = Signal(object)
    message = Signal(str, str)

    def __init__(self, store: Store, prompts: Callable[[], Sequence[Prompt]],
                 selected: Callable[[], Sequence[int]], thumbs: Thumbs,
                 parent: QWidget | None = None) -> None:
        """``prompts`` and ``selected`` give what the table of prompts holds; ``thumbs`` are those
        of the person."""
        super().__init__(parent)
        self.setObjectName("try_view")
        self._store, self._prompts, self._selected = store, prompts, selected
        self._thumbs = thumbs
        self._state = State.IDLE
        self._run_id: int | None = None
        self._attempts: list[Attempt] = []
        self._build()
        self._refresh()

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The tries of this session, oldest first."""
        return tuple(self._attempts)

    @property
    def busy(self) -> bool:
        """Whether a try is under way."""
        return bool(self._attempts) and not self._attempts[-1].over

    # -- what the window tells

    def set_state(self, state: State) -> None:
        """Allow what the session allows."""
        self._state = state
        self._refresh()

    def show_run(self, run_id: int | None) -> None:
        """Offer the checkpoints of this run."""
        self._run_id = run_id
        self.controls.show_checkpoints(
            [] if run_id is None else self._store.checkpoints.all(run_id))

    def handle(self, event: TryEvent) -> None:
        """Show how a try goes on."""
        attempt = next((a for a in self._attempts if a.number == event.id), None)
        if attempt is None:
            return
        shown = attempt is self._shown()
        match event:
            case ev.TryStarted():
                attempt.begin(event.labels)
                if shown:
                    self.results.show_attempt(attempt)
                return
            case ev.TryProgress():
                column = attempt.columns[event.source]
                column.texts, column.tokens = event.texts, event.tokens
            case ev.TryScored():
                attempt.columns[event.source].completions = event.completions
            case ev.TryFailed():
                attempt.columns[event.source].problem = event.sentence
            case ev.TryFinished():
                attempt.over = True
                if shown:
                    self.results.end()
                self._refresh()
                return
        if shown:
            self.results.refresh(event.source)

    def refused(self) -> None:
        """The last try was not begun."""
        if self.busy:
            self._attempts.pop()
            self.history.removeItem(self.history.count() - 1)
            self._refresh()

    def save_state(self) -> dict[str, object]:
        """Return what to remember."""
        return {"prompt": self.prompt.toPlainText(), "decoding": self.controls.values(),
                "start": self.controls.start.isChecked(),
                "current": self.controls.current.isChecked()}

    def restore_state(self, state: dict[str, object]) -> None:
        """Show again what was remembered; what is unknown is left out."""
        self.prompt.setPlainText(str(state.get("prompt", "")))
        self.controls.set_values(section(state, "decoding"))
        self.controls.choose(start=state.get("start", True) is True,
                             current=state.get("current", True) is True)

    # -- what the person does

    def try_or_stop(self) -> None:
        """Complete the prompts, or end what is under way."""
        if self.busy:
            self.command.emit(StopTrying(self._attempts[-1].number))
        elif self._state in _CAN_TRY:
            self._try()

    def copy(self) -> None:
        """Copy the try shown as Markdown."""
        attempt = self._shown()
        if attempt:
            QGuiApplication.clipboard().setText(attempt.as_markdown())
            self.message.emit("info", "Copied.")

    def reuse(self) -> None:
        """Put prompts and settings of the try shown back into the fields."""
        attempt = self._shown()
        if attempt:
            self.prompt.setPlainText(join_prompts(list(attempt.command.prompts)))
            self.controls.set_values(asdict(attempt.command))

    def take(self, texts: list[str]) -> None:
        """Put these prompts into the field."""
        length = sum(map(len, texts))
        if length > _LONGEST:
            self.message.emit("info", f"These {length:,} characters are too long to try here.")
            return
        self.prompt.setPlainText(join_prompts(texts))
        self.prompt.setFocus()

    def event(self, event: QEvent) -> bool:
        """Keep Ctrl+Enter for Try within this dock; elsewhere it applies settings."""
        if event.type() == QEvent.Type.ShortcutOverride and _is_try(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Enter tries, Escape stops."""
        if _is_try(event):
            if not self.busy:
                self.try_or_stop()
        elif event.key() == Qt.Key.Key_Escape and self.busy:
            self.try_or_stop()
        else:
            super().keyPressEvent(event)

    # -- inside

    def _try(self) -> None:
        prompts = split_prompts(self.prompt.toPlainText())
        sources = self.controls.sources()
        decoding = self.controls.values()
        hint = (
            "Type a prompt to try, or pick one." if not prompts else
            f"Try at most {_MOST_PROMPTS} prompts at once." if len(prompts) > _MOST_PROMPTS else
            "Choose who completes it: Start policy, Current or a checkpoint." if not sources else
            "")
        if problem := hint or self.controls.problem():
            self.message.emit("info" if hint else "warning", problem)
            self.prompt.setFocus()
            return
        number = self._attempts[-1].number + 1 if self._attempts else 1
        known = tuple(PromptItem.of(p) for p in self._prompts()
                      if (p.messages or p.columns) and p.text in prompts)
        command = Try(number, prompts, sources, known=known, **decoding)  # type: ignore[arg-type]
        self._attempts.append(Attempt(number, command, datetime.now()))
        with QSignalBlocker(self.history):
            self.history.addItem(self._attempts[-1].title)
            last = self.history.count() - 1
            self.history.setItemData(
                last, plain_tip(self._attempts[-1].heading), Qt.ItemDataRole.ToolTipRole)
            self.history.setCurrentIndex(last)
        self._show()
        # Once the layout has made room for them.
        QTimer.singleShot(0, self, lambda: self._scroll.ensureWidgetVisible(self.results))
        self.command.emit(command)

    def _shown(self) -> Attempt | None:
        index = self.history.currentIndex()
        return self._attempts[index] if 0 <= index < len(self._attempts) else None

    def _show(self) -> None:
        self.results.show_attempt(self._shown())
        self._refresh()

    def _refresh(self) -> None:
        can = self._state in _CAN_TRY
        self.button.setText("Stop" if self.busy else "Try")
        self.button.setAccessibleName(self.button.text())
        why = _WHY_NOT.get(self._state, "")
        describe(self.button, "End this try (Escape)" if self.busy else
                 "Complete the prompts with each chosen policy (Ctrl+Return)")
        enable(self.button, can or self.busy, why)
        set_look(self.button, role="primary" if can and not self.busy else "")
        for widget in (self.history, self.reuse_button, self.copy_button):
            enable(widget, bool(self._attempts), "Nothing has been tried yet.")
        said = why or (_GOES_ON if self._state is State.PAUSED else "")
        self.line.setText(said)
        self.line.setVisible(bool(said))

    def _give_thumb(self, index: int, row: int, up: bool) -> None:
        """Keep what the person thinks of a completion."""
        attempt = self._shown()
        if attempt is None or not attempt.columns[index].completions:
            return
        column, command = attempt.columns[index], attempt.command
        done, text = column.completions[row], command.prompts[row]
        known = next((item.messages for item in command.known if item.text == text), ())
        side = Side(done.text, done.ended, done.score, Origin(writer=column.label))
        self._thumbs.give(Thumb(text, side, self._thumbs.person, up, known, bool(known)))

    def _offer_prompts(self) -> None:
        menu, rows = self._pick_menu, list(self._prompts())
        menu.clear()
        selected = [rows[i].text for i in self._selected() if i < len(rows)]
        pinned = [p.text for p in rows if p.pinned]
        for name, texts in (("Selected in Prompts", selected), ("Pinned prompts", pinned)):
            action = menu.addAction(f"{name} ({len(texts)})")
            enable_action(action, bool(texts), "There are none in Prompts.")
            action.triggered.connect(lambda _=False, texts=texts: self.take(texts))
        menu.addSeparator()
        for prompt in rows[:_OFFERED]:
            flat = " ".join(prompt.text[:200].split())
            action = menu.addAction(without_mnemonic(shortened(flat, 60)))
            action.setToolTip(plain_tip(prompt.text))
            action.triggered.connect(lambda _=False, text=prompt.text: self.take([text]))

    # -- making it

    def _build(self) -> None:
        self.prompt = named(QPlainTextEdit(), "try_prompt", "Prompt to try",
                            "What the policies shall go on writing. A line with three dashes "
                            "(---) begins another prompt. Ctrl+Return tries.")
        self.prompt.setPlaceholderText("Type a prompt to go on from")
        self.prompt.setTabChangesFocus(True)
        self.setFocusProxy(self.prompt)
        self.prompt.ensurePolished()  # the style gives it a frame
        around = self.prompt.contentsMargins()
        self.prompt.setFixedHeight(math.ceil(
            self.fontMetrics().lineSpacing() * 3 + 2 * self.prompt.document().documentMargin())
            + around.top() + around.bottom())
        self.button = push_button("Try", "try_button", "", self.try_or_stop)
        self._pick = tool_button("Pick", "try_pick", "Pick prompts",
                                 "Take prompts from the table of prompts")
        self._pick.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._pick.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._pick_menu = QMenu(self._pick)
        self._pick_menu.aboutToShow.connect(self._offer_prompts)
        self._pick.setMenu(self._pick_menu)
        buttons = vbox(None, self.button, self._pick, STRETCH, spacing=4)
        top = hbox(None, (self.prompt, 1), buttons, spacing=8)
        self.controls = Controls()
        self.history = named(QComboBox(), "try_history", "Tries of this session",
                             "Show an earlier try; kept until the window is closed")
        self.history.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.history.setMinimumContentsLength(19)
        self.history.currentIndexChanged.connect(self._show)
        self.reuse_button = tool_button(
            "Reuse", "try_reuse", "Reuse", "Put this try's prompts and settings into the fields")
        self.reuse_button.clicked.connect(self.reuse)
        self.copy_button = tool_button("Copy", "try_copy", "Copy", "Copy this try as Markdown")
        self.copy_button.clicked.connect(self.copy)
        self.line = named(label(role="muted", wrap=True), "try_line", "About trying",
                          "Why nothing can be tried now")
        self.line.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.controls.add(self.history, self.reuse_button, self.copy_button)
        self.results = Results(self._thumbs.of)
        self.results.thumbed.connect(self._give_thumb)
        self._thumbs.changed.connect(self.results.end)
        form = QWidget()
        layout = vbox(form, top, self.controls, (self.results, 1), margins=8, spacing=8)
        layout.addWidget(self.line)  # below: what is read does not move when it comes
        # Where there is little height all of it is scrolled, rather than laid over each other.
        self._scroll = FormScroll(form)
        vbox(self, self._scroll)

    def sizeHint(self) -> QSize:
        """Wide enough for three texts beside each other."""
        return QSize(720, 360)


def _is_try(event: QEvent) -> bool:
    return (isinstance(event, QKeyEvent) and event.key() in _ENTER
            and bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier))
