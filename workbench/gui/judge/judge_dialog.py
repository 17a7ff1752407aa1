"""Which judge is asked, by which rubric, and of how many pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtWidgets import QComboBox, QFormLayout, QLineEdit, QPlainTextEdit, QSpinBox, QWidget

from workbench.formatting import counted
from workbench.gui.widgets.controls import enable, label, named
from workbench.gui.widgets.dialog import Dialog
from workbench.gui.widgets.layouts import hbox
from workbench.judging.asking import MARKED_BY
from workbench.judging.choice import BUNDLED, IN_MEMORY, Chosen
from workbench.judging.questions import RUBRIC
from workbench.judging.server import KEY, RETRIES
from workbench.known_models import KNOWN_POLICIES
from workbench.models.sources import LoadError
from workbench.store.judge_answers import Quality
from workbench.store.judged_rows import guidelines_digest

_KNOWN = {"Bundled model": BUNDLED, "Policy in memory": IN_MEMORY} | {
    known.title: known.short for known in KNOWN_POLICIES}
_WIDTH, _HEIGHT = 600, 360


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person wants asked; ``most`` pairs at most, 0 for all."""

    judge: str = next(iter(_KNOWN))
    model: str = ""
    rubric: str = RUBRIC
    most: int = 0

    @property
    def chosen(self) -> Chosen:
        """The judge.

        Raises:
            LoadError: there is none of that name.
        """
        named_so = _KNOWN.get(self.judge.strip(), self.judge)
        if not named_so.strip():
            raise LoadError("Choose a judge, or type a folder or the address of a server.")
        return Chosen.of(named_so, self.model)

    @property
    def source(self) -> str:
        """What the command calls the judge."""
        return _KNOWN.get(self.judge.strip(), self.judge.strip())


class JudgeDialog(Dialog):
    """Asks what is wanted, beginning with what was last time, says how many questions that is and
    how far the judge could be trusted so far, and calls ``then``.

    ``questions`` gives how many are still to be asked of a judge with a name, by a rubric, of so
    many pairs at most; ``qualities`` are those of the set.
    """

    def __init__(self, parent: QWidget, set_name: str, pairs: int, wanted: Wanted,
                 qualities: list[Quality], questions: Callable[[str, str, int | None], int],
                 then: Callable[[Wanted], object]) -> None:
        super().__init__(parent, "judge_ask", "Ask a judge")
        self._pairs, self._qualities, self._questions = pairs, qualities, questions
        self.judge = named(QComboBox(editable=True), "judge_ask_judge", "Judge",
                           "A model that is loaded for it, the folder, GGUF file or hub name of "
                           "one, or the address of a server that speaks OpenAI's chat completions")
        self.judge.addItems(list(_KNOWN))
        self.judge.setCurrentText(wanted.judge)
        self.model = named(QLineEdit(wanted.model), "judge_ask_model", "Model at the server",
                           "Which of the server's models judges; empty: the first that it names")
        self.rubric = named(QPlainTextEdit(wanted.rubric), "judge_ask_rubric", "Rubric",
                            "What makes an answer better, in words for the judge; each mark keeps "
                            "which were there")
        self.rubric.setTabChangesFocus(True)
        self.rubric.setMinimumHeight(52)
        self.most = named(QSpinBox(minimum=1, maximum=max(1, pairs)), "judge_ask_most", "Pairs",
                          "Of so many pairs at most, of those that it has not judged by this "
                          "rubric")
        self.most.setGroupSeparatorShown(True)
        self.most.setSuffix(f" of {max(1, pairs):,}")
        self.most.setValue(wanted.most or pairs)
        self.cost = label("", "muted", wrap=True, name="judge_ask_cost")
        self.trust = label("", wrap=True, name="judge_ask_quality")
        form = QFormLayout()
        form.setVerticalSpacing(6)
        for text, field, row in (
                ("&Judge", self.judge, hbox(None, (self.judge, 3), (self.model, 2), spacing=6)),
                ("&Rubric", self.rubric, hbox(None, self.rubric)),
                ("&Pairs", self.most, hbox(None, self.most, (self.cost, 1), spacing=10))):
            title = label(text)
            title.setBuddy(field)
            form.addRow(title, row)
        self.body.addWidget(label(
            f"Of the pairs of “{set_name}”, each in both orders; a verdict counts where both "
            "agree, else it is a tie. Choose a judge, or type a folder, a hub name or the address "
            "of a server (http://…).", wrap=True))
        self.body.addLayout(form)
        self.body.addWidget(self.trust)
        self.body.setSpacing(8)
        self.ask = self.add_accept("Ask", "judge_ask_begin", "Ask the judge, in the background")
        self.finish("Cancel", "Ask nothing", _WIDTH, _HEIGHT)
        self.model.setPlaceholderText("model")
        self.accepted.connect(lambda: then(self.wanted))
        self.judge.currentTextChanged.connect(self._refresh)
        self.model.textChanged.connect(self._refresh)
        self.rubric.textChanged.connect(self._refresh)
        self.most.valueChanged.connect(self._refresh)
        self._refresh()

    @property
    def wanted(self) -> Wanted:
        """What is filled in."""
        most = self.most.value()
        return Wanted(self.judge.currentText().strip(), self.model.text().strip(),
                      self.rubric.toPlainText().strip(), most if most < self._pairs else 0)

    def _refresh(self) -> None:
        wanted = self.wanted
        try:
            chosen = wanted.chosen
        except LoadError as error:
            enable(self.model, False, "Only a server has several models.")
            self._say(str(error), "", str(error))
            return
        enable(self.model, chosen.remote, "Only a server has several models.")
        by = f"{MARKED_BY}{chosen.name}" if chosen.name else ""
        questions = self._questions(by, wanted.rubric, wanted.most or None)
        up_to = "" if by else "up to "
        said = f"{up_to}{counted(questions, 'question')}"
        if chosen.remote:
            said = (f"{up_to}{counted(questions, 'request')}, each sent again up to {RETRIES} "
                    f"times where the server fails; a key comes from {KEY}")
        why_not = "" if wanted.rubric else "Say what makes an answer better."
        if not questions:
            why_not = why_not or "It has judged all of them by this rubric."
            said = "It has judged all of them by this rubric"
        self._say(f"{said[0].upper()}{said[1:]}.", self._quality(chosen, by, wanted.rubric),
                  why_not)

    def _quality(self, chosen: Chosen, by: str, rubric: str) -> str:
        """Say how far the judge could be trusted so far."""
        digest = guidelines_digest(rubric)
        found = [q for q in self._qualities if q.rubric == digest and (
            q.by == by if by else chosen.remote and q.by.endswith(chosen.at))]
        return "\n".join(f"{q.by.removeprefix(MARKED_BY)}: {q.summary}" for q in found[-2:])

    def _say(self, cost: str, quality: str, why_not: str) -> None:
        self.cost.setText(cost)
        self.trust.setText(quality)
        self.trust.setVisible(bool(quality))
        enable(self.ask, not why_not, why_not)
