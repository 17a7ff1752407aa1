"""The last card: what a run gained, what that cost, which answers changed, and what to try."""

from __future__ import annotations

import html
import math
from textwrap import fill

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QPushButton, QSizePolicy, QWidget

from workbench.formatting import count_cycles, difference, number
from workbench.gui.guide.pencil import LEFT, RIGHT, Pencil
from workbench.gui.guide.results import Answer, Results, Trial
from workbench.gui.widgets.controls import enable, label, named, push_button
from workbench.gui.widgets.layouts import vbox
from workbench.gui.widgets.theme import themes

_LETTERS = 30  # in a line of a button
_LINES = 2
_PAD, _GAP = 8, 3

_EMPTY = ("When a run has ended, this page says what it gained, what that cost, which answers "
          "changed most and what could be tried next.")
_NOTHING = ("No cycle of this run is complete, so there is nothing to compare the start policy "
            "with.")


class Summary(QWidget):
    """``answer_wanted`` carries the two cycles and the number of a prompt, ``trial_wanted`` the
    number of the run and a :class:`Trial`."""

    answer_wanted = Signal(int, int, int)
    trial_wanted = Signal(int, object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("guide_summary")
        self.results: Results | None = None
        self._busy = ""
        self.answers: list[AnswerButton] = []
        self.trials: list[QPushButton] = []
        self._title = label(role="heading", wrap=True, name="guide_summary_title")
        self._gain = label(rich=True, wrap=True, name="guide_gain")
        self._cost = label(wrap=True, name="guide_cost")
        self._beside = label(wrap=True, name="guide_beside")
        self._which = label("The answers that changed most", "heading", wrap=True)
        self._next = label("What if?", "heading", wrap=True)
        self._about = label(
            "Each begins a new run from the same start with that one change, and draws both over "
            "each other in Metrics. Edits in Hyperparameters stay as they are, and are not used.",
            "muted", wrap=True)
        column = vbox(
            self, self._title, self._gain, self._cost, self._beside, margins=(10, 4, 10, 8),
            spacing=6)
        column.addSpacing(4)
        column.addWidget(self._which)
        self._list = vbox(None, spacing=6)
        column.addLayout(self._list)
        column.addSpacing(4)
        column.addWidget(self._next)
        self._buttons = vbox(None, spacing=6)
        column.addLayout(self._buttons)
        column.addWidget(self._about)
        column.addStretch(1)
        themes().changed.connect(self._say)
        self.show_results(None)

    def show_results(self, results: Results | None) -> None:
        """Show what came of a run."""
        self.results = results
        for button in (*self.answers, *self.trials):
            button.hide()
            button.deleteLater()
        self.answers = [AnswerButton(row, answer, results.makes if results else "policy")
                        for row, answer in enumerate(results.changed if results else ())]
        for answer in self.answers:
            answer.clicked.connect(lambda _=False, a=answer: self._open(a))
            self._list.addWidget(answer)
        self.trials = [self._trial(trial) for trial in (results.trials if results else ())]
        for button in self.trials:
            self._buttons.addWidget(button)
        policy = results is None or results.makes == "policy"
        self._which.setText("The answers that changed most" if policy else
                            "The answers whose score changed most")
        self._which.setVisible(bool(self.answers))
        self._next.setVisible(bool(self.trials))
        self._about.setVisible(bool(self.trials))
        self._say()
        self.set_busy(self._busy)

    def set_busy(self, why: str) -> None:
        """Say why no experiment can begin now; "" where one can."""
        self._busy = why
        for button, trial in zip(
            self.trials, self.results.trials if self.results else (), strict=True
        ):
            enable(button, not (why or trial.why_not), why or trial.why_not)

    def _trial(self, trial: Trial) -> QPushButton:
        question = trial.experiment.question
        button = push_button(
            question, f"guide_try_{trial.experiment.setting}",
            f"{trial.change}. {trial.experiment.look}",
            lambda: self.trial_wanted.emit(self.results.run_id, trial) if self.results else None)
        button.setText(fill(question, _LETTERS))  # which a button does not wrap by itself
        return button

    def _open(self, button: AnswerButton) -> None:
        if self.results is not None:
            self.answer_wanted.emit(*self.results.cycles, button.answer.before.prompt)

    def _say(self) -> None:
        results, theme = self.results, themes().theme
        if results is None:
            self._title.setText("What came of a run")
            self._gain.setText(_EMPTY)
        elif results.makes != "policy":
            self._title.setText(f"What came of {results.name}")
            self._gain.setText(
                (f"<b>{html.escape(results.made)}</b>. " if results.made else "")
                + "The policy stays as it is, and so do its answers; only what the reward model "
                "gives them has changed. How high its scores are means nothing: what counts is "
                "which of two answers it scores higher."
                if results.made or results.changed else _NOTHING)
        elif math.isnan(results.gain):
            self._title.setText(f"What came of {results.name}")
            self._gain.setText(_NOTHING)
        else:
            self._title.setText(f"What came of {results.name}")
            ends = number(results.before), number(results.after)
            colour = (theme.muted if results.reserve else
                      theme.good if results.gain > 0 else theme.bad)
            first, last = results.cycles
            where = f"after {count_cycles(last)}" if not first else f"from cycle {first} to {last}"
            many = f"{results.prompts:,} compared prompts" if results.prompts != 1 else (
                "one compared prompt")
            self._gain.setText(
                f"<b style='font-size: large; color: {colour}'>{difference(*ends)}</b> reward: "
                f"<b>{' → '.join(ends)}</b>, the mean of "
                f"{html.escape(many)} {where}.")
            if results.reserve:
                self._gain.setText(f"{self._gain.text()} {html.escape(results.reserve)}")
        cost = results.cost if results else ""
        self._cost.setText(f"What it cost: {cost}, in the same answers." if cost else "")
        self._cost.setVisible(bool(cost))
        beside = results.beside.say() if results and results.beside else ""
        self._beside.setText(beside)
        self._beside.setVisible(bool(beside))
        self._gain.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)


class AnswerButton(QAbstractButton):
    """The prompt, below it both completions as far as there is room, with their rewards; where the
    run ``makes`` no policy, the one that there is, with its scores before and after."""

    def __init__(self, row: int, answer: Answer, makes: str = "policy") -> None:
        super().__init__()
        self.answer, self._makes = answer, makes
        before, after = answer.before, answer.after
        named(self, f"guide_answer_{row}", f"Answer to {before.prompt_text}",
              f"{before.prompt_text}\n\n{after.text}\n\nScore {number(before.score)} before, "
              f"{number(after.score)} after\n\nShow it in Completions" if makes != "policy" else
              f"{before.prompt_text}\n\nBefore ({number(before.score)}): {before.text}\n\n"
              f"After ({number(after.score)}): {after.text}\n\nShow both in Completions")
        self.setAccessibleDescription(
            f"reward {number(before.score)} before, {number(after.score)} after")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """As high as prompt and both completions."""
        high = QFontMetricsF(self.font()).height()
        return QSize(236, round(high * (1 + 2 * _LINES * 0.9) + 2 * _PAD + 3 * _GAP))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        painter = QPainter(self)
        pencil = Pencil(painter, self.font())
        theme, answer = pencil.theme, self.answer
        box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        lit = self.hasFocus() or (self.underMouse() and self.isEnabled())
        pencil.box(box, theme.base, theme.accent if lit else theme.border,
                   2 if self.hasFocus() else 1)
        inside = box.adjusted(_PAD, _PAD - 2, -_PAD, -_PAD + 2)
        high = QFontMetricsF(self.font()).height()
        gain = difference(number(answer.before.score), number(answer.after.score))
        room = pencil.wide(gain, pencil.bold) + 6
        top = QRectF(inside.left(), inside.top(), inside.width(), high)
        pencil.write(top.adjusted(0, 0, -room, 0), answer.before.prompt_text, theme.text, LEFT,
                     pencil.bold)
        policy = self._makes == "policy"
        colour = theme.muted if not policy else theme.good if answer.gain >= 0 else theme.bad
        pencil.write(top, gain, colour, RIGHT, pencil.bold)
        if not policy:
            at = QRectF(inside.left(), top.bottom() + _GAP, inside.width(),
                        inside.bottom() - top.bottom() - _GAP)
            pencil.write_lines(at.adjusted(2, 0, 0, 0), answer.after.text, theme.text, 2 * _LINES)
            return
        each = (inside.bottom() - top.bottom() - 2 * _GAP) / 2
        for row, (of, ground) in enumerate(((answer.before, theme.base),
                                            (answer.after, theme.changed))):
            at = QRectF(inside.left(), top.bottom() + _GAP + row * (each + _GAP), inside.width(),
                        each)
            pencil.box(at, ground)
            score = number(of.score)
            wide = pencil.wide("−0.00") + 6
            pencil.write_lines(at.adjusted(2, 0, -wide, 0), of.text,
                               theme.text if row else theme.muted, _LINES)
            pencil.write(QRectF(at.right() - wide, at.top(), wide - 2, pencil.line), score,
                         theme.text if row else theme.muted, RIGHT)
