"""Having a judge asked: which, how far it is, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QProgressBar, QWidget
from superqt import QElidingLabel

from workbench.formatting import counted
from workbench.gui.judge.judge_dialog import JudgeDialog, Wanted
from workbench.gui.models.consent import ask_to_trust
from workbench.gui.widgets.controls import describe, named, push_button
from workbench.gui.widgets.layouts import hbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.judging.asking import MARKED_BY
from workbench.judging.choice import Chosen
from workbench.store.judged_rows import guidelines_digest
from workbench.training import events as ev
from workbench.training.commands import JudgePairs, StopTrying
from workbench.training.events import State
from workbench.training.states import WHEN, allowed

if TYPE_CHECKING:
    from workbench.store.store import Store

JudgingEvent = ev.Judging | ev.PairsJudged | ev.JudgingFailed


_STOP = "Ask no more; what was answered is kept, and asking again goes on from there"


class Asking(QWidget):
    """The line that says how far a judge is, which is there while it is asked. ``command`` carries
    what to send, ``message`` what to tell; ``judged`` says that a set, by its number, has marks
    that were not there."""

    command = Signal(object)
    message = Signal(str, str)
    judged = Signal(int)
    shown = Signal(bool)
    """The line is there, or no longer."""

    def __init__(self, store: Store, set_name: Callable[[], str],
                 person: Callable[[], str]) -> None:
        """``set_name`` gives the set that is judged, ``person`` whose marks a judge is held
        against."""
        super().__init__()
        self._store, self._set_name, self._person = store, set_name, person
        self._state = State.IDLE
        self._number = 0
        self._failed = ""
        self._asked: JudgePairs | None = None
        self.wanted = Wanted()
        self.said = named(QElidingLabel(textFormat=Qt.TextFormat.PlainText), "judge_asking",
                          "How far the judge is", "")
        self.said.setMinimumWidth(1)
        self.progress = named(QProgressBar(textVisible=False), "judge_asking_bar",
                              "Share of the questions that the judge has answered", "")
        self.stop_button = push_button(
            "Stop", "judge_asking_stop", _STOP, self.stop)
        hbox(self, (self.said, 2), (self.progress, 1), self.stop_button, spacing=8)
        self.hide()

    # -- what the window tells

    def set_state(self, state: State) -> None:
        """Take note of what can be asked for."""
        self._state = state

    def why_not(self) -> str:
        """Return why no judge can be asked now; "" where one can."""
        if self._asked is not None:
            return "A judge is asked already; stop it, or wait."
        return "" if self._state in allowed(JudgePairs) else WHEN[JudgePairs][1]

    def save_state(self) -> dict[str, object]:
        """Return what is to be remembered."""
        return asdict(self.wanted)

    def restore_state(self, state: object) -> None:
        """Choose as :meth:`save_state` told."""
        if isinstance(state, dict):
            known: dict[str, Any] = {
                name: state[name] for name, value in asdict(Wanted()).items()
                if type(state.get(name)) is type(value)}
            self.wanted = Wanted(**known)

    # -- asking

    def choose(self) -> None:
        """Ask which judge, and of how many pairs."""
        found = self._store.judgements.set(self._set_name())
        if found is None or self.why_not():
            return
        answers = self._store.judge_answers
        JudgeDialog(
            self.window(), found.name, found.pairs, self.wanted,
            answers.qualities(found.id, self._person()),
            lambda by, rubric, most: len(answers.missing(found.id, by, rubric, most)),
            lambda wanted: self.ask(found.id, wanted)).open()

    def ask(self, set_id: int, wanted: Wanted) -> None:
        """Have a judge asked, once the person agrees to what that sends."""
        self.wanted = wanted
        chosen = wanted.chosen
        self._number += 1
        command = JudgePairs(self._number, set_id, wanted.source, wanted.rubric,
                             wanted.most or None, wanted.model)
        if not chosen.remote:
            self._begin(command)
            return
        by = f"{MARKED_BY}{chosen.name}" if chosen.name else ""
        server = ev.UntrustedJudge(chosen.source, len(
            self._store.judge_answers.missing(set_id, by, wanted.rubric, command.most)))
        if self._store.is_trusted(server.sha256):
            self._begin(command)
            return

        def agreed() -> None:
            self._store.trust(server.sha256, server.path).result()
            self._begin(command)
        ask_to_trust(self.window(), server, agreed, lambda: self.message.emit(
            "info", f"{server.path} was not asked."))

    def stop(self) -> None:
        """Ask no more; of what has ended, close the line."""
        if self._asked is not None:
            self.command.emit(StopTrying())
        else:
            self._close()

    def handle(self, event: JudgingEvent) -> None:
        """Take note of how far a judge is."""
        asked = self._asked
        if asked is None or event.id != asked.id:
            return
        match event:
            case ev.Judging(text=text) if text:
                self.said.setText(f"{text} …")
            case ev.Judging(done=done, total=total, failed=failed):
                self.progress.setMaximum(max(1, total))
                self.progress.setValue(done)
                self._failed = f"{failed:,} of {counted(total, 'question')} failed" if failed else (
                    "")
                self.said.setText(f"The judge has answered {done - failed:,} of "
                                  f"{counted(total, 'question')}"
                                  + (f"; {failed:,} failed" if failed else ""))
            case ev.PairsJudged(by=by):
                self._end(asked, self._failed and f"{self._failed}; asking again asks them anew.")
                self._tell(asked, by)
            case ev.JudgingFailed(sentence=sentence):
                self._end(asked, sentence and (
                    f"{self._failed}. {sentence}" if self._failed else sentence))
                self.message.emit("warning" if sentence else "info", sentence or (
                    "The judge was stopped; what it said is kept, and asking again goes on from "
                    "there."))

    def refused(self) -> None:
        """What was asked for was not begun."""
        if self._asked is not None:
            self._end(self._asked)

    def _begin(self, command: JudgePairs) -> None:
        self._asked, self._failed = command, ""
        self._offer("Stop", _STOP)
        self.progress.setMaximum(0)
        self.said.setText(f"{_title(self.wanted.chosen)} is asked …")
        self.show()
        self.shown.emit(True)
        self.command.emit(command)

    def _end(self, asked: JudgePairs, why: str = "") -> None:
        """Ask no more; ``why`` is what stays to be read, until the person closes it."""
        self._asked = None
        if why:
            self._offer("Close", "Close this line")
            self.said.setText(why)
            self.said.setToolTip(plain_tip(why))
        else:
            self._close()
        self.judged.emit(asked.set_id)

    def _close(self) -> None:
        self.hide()
        self.shown.emit(False)

    def _offer(self, text: str, tip: str) -> None:
        """Let the button be one to stop, with how far it is beside, or one to close what ended."""
        self.stop_button.setText(text)
        self.stop_button.setAccessibleName(text)
        describe(self.stop_button, tip)
        self.progress.setVisible(text == "Stop")
        self.said.setToolTip("")

    def _tell(self, asked: JudgePairs, by: str) -> None:
        digest = guidelines_digest(asked.rubric)
        for quality in self._store.judge_answers.qualities(asked.set_id, self._person()):
            if (quality.by, quality.rubric) == (by, digest):
                self.message.emit("info", f"{by.removeprefix(MARKED_BY)}: {quality.summary}")


def _title(chosen: Chosen) -> str:
    return chosen.name or (chosen.source if chosen.remote else "The policy in memory")
