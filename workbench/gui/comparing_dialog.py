"""What is to be compared: ways to learn, seeds, and how much each run may use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from workbench.gui.widgets.controls import describe, enable, label, named, push_button
from workbench.gui.widgets.dialog import Dialog
from workbench.gui.widgets.layouts import hbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.settings import HyperparameterError, Settings
from workbench.training.comparing import (
    CompareError,
    OwnSettings,
    Plan,
    Unit,
    Way,
    make_plan,
    usual_budget,
)

_UNITS: Mapping[Unit, str] = {"samples": "completions", "seconds": "seconds"}
_AT_FIRST = ("PPO", "GRPO", "RLOO")
_COLUMNS = 3


class ComparingDialog(Dialog):
    """Asks what is to be compared, says what that would train, and calls ``begin`` with the plan.

    ``unfinished`` are the names of comparisons that can go on, by number, and ``go_on`` is called
    with the number of one. The runs have what they have in common from ``like``, the settings in
    the form, and what is each algorithm's own from ``own``, those that stood there last. ``data``
    tells in words what is learned from by those that need some, by its kind, and ``there`` whether
    there is any already.
    """

    def __init__(
        self, ways: Sequence[Way], like: Settings, unfinished: Mapping[int, str],
        begin: Callable[[Plan], None], go_on: Callable[[int], None], parent: QWidget, *,
        own: OwnSettings | None = None, data: Callable[[str], str] = str,
        there: Callable[[str], bool] = bool,
    ) -> None:
        super().__init__(parent, "compare_algorithms", "Compare algorithms")
        self._ways, self._like, self._begin, self._go_on = ways, like, begin, go_on
        self._own, self._data, self._there = own, data, there
        self._plan: Plan | None = None
        self._newest: QPushButton | None = None
        self._add_unfinished(unfinished)
        self.body.addWidget(label(
            "Train the same policy by the same reward on the same prompts in several ways, one "
            "run after the other.", wrap=True))
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        self.boxes: list[QCheckBox] = []
        for place, way in enumerate(ways):
            box = named(QCheckBox(way.name), f"way_{place}", way.name, plain_tip(way.help))
            box.setChecked(way.name in _AT_FIRST)
            box.toggled.connect(self._refresh)
            grid.addWidget(box, place // _COLUMNS, place % _COLUMNS)
            self.boxes.append(box)
        self.body.addLayout(grid)
        self.seeds = named(QLineEdit("0"), "compare_seeds", "Seeds",
                           "A run of each way for each of these whole numbers, with commas between")
        self.budget = named(
            QLineEdit(str(usual_budget(ways, like, own))), "compare_budget", "Budget",
            "How much each run may use, in whole cycles; one that learns from data writes nothing "
            "and has as many cycles as Hyperparameters say")
        self.unit = named(QComboBox(), "compare_unit", "Budget in",
                          "What the budget counts: completions written, or seconds of the run's "
                          "cycles")
        for unit, title in _UNITS.items():
            self.unit.addItem(title, unit)
        self._has = label()
        for heading, fields in ((label("&Seeds"), (self.seeds,)),
                              (self._has, (self.budget, self.unit))):
            self.body.addLayout(self._line(heading, fields))
        self.seeds.textChanged.connect(self._refresh)
        self.budget.textChanged.connect(self._refresh)
        self.unit.currentIndexChanged.connect(self._refresh)
        self.said = label("", "muted", wrap=True, name="compare_said")
        self.body.addWidget(self.said)
        self.body.addStretch(1)
        self.start = self.add_accept(
            "Compare", "compare_begin", "Train the runs", primary=not unfinished)
        self.accepted.connect(self._accept)
        self.setMinimumWidth(420)
        self._refresh()
        self.finish("Cancel", "Train nothing")
        if self._newest is not None:
            self._newest.setDefault(True)

    def _line(self, title: QLabel, fields: Sequence[QWidget]) -> QHBoxLayout:
        line = QHBoxLayout()
        title.setBuddy(fields[0])
        title.setMinimumWidth(100)
        line.addWidget(title)
        for field in fields:
            line.addWidget(field, 1)
        return line

    def _add_unfinished(self, unfinished: Mapping[int, str]) -> None:
        for number, name in unfinished.items():
            line = hbox(None, (label(name, wrap=True), 1))
            button = push_button(
                "Go on", f"compare_go_on_{number}", "Train the runs that are not done yet",
                partial(self._leave_for, number))
            line.addWidget(button)
            self.body.addLayout(line)
            if self._newest is None:
                self._newest = button
                button.setProperty("role", "primary")

    def _leave_for(self, number: int) -> None:
        self.close()
        self._go_on(number)

    def _refresh(self) -> None:
        """Say what would be trained, or what is wrong."""
        seconds = self.unit.currentData() == "seconds"
        self._has.setText("&Each run has" if seconds else "&Each run writes")
        try:
            self._plan, wrong = self._make(), ""
            self._plan.check_data(self._there)
        except (CompareError, HyperparameterError) as error:
            self._plan, wrong = None, str(error)
        self.said.setProperty("role", "error" if wrong else "muted")
        self.said.style().polish(self.said)
        self.said.setText(wrong or self._summary())
        enable(self.start, not wrong, wrong)
        describe(self.said, self.said.text())
        self.grow()

    def _make(self) -> Plan:
        chosen = [way for way, box in zip(self._ways, self.boxes, strict=True) if box.isChecked()]
        text = self.seeds.text().strip()
        if not re.fullmatch(r"\d{1,9}(\s*,\s*\d{1,9})*", text):
            raise CompareError("Seeds are whole numbers with commas between, such as 0, 1, 2.")
        budget = self.budget.text().strip()
        if not re.fullmatch(r"\d{1,9}", budget):
            raise CompareError("The budget is a whole number, without separators.")
        return make_plan(chosen, [int(part) for part in text.split(",")], self._like,
                         int(budget), self.unit.currentData(), self._own)

    def _summary(self) -> str:
        assert self._plan is not None
        return "\n".join([
            *self._plan.summary(self._data), *self._from_data(),
            "All else is as in Hyperparameters. Stopped, it goes on from here where it stood."])

    def _from_data(self) -> list[str]:
        """Say which runs the budget in completions is not for."""
        assert self._plan is not None
        names = list(dict.fromkeys(run.way for run in self._plan.runs if run.learns_from))
        if not names or self._plan.unit == "seconds":
            return []
        return [f"{', '.join(names)}: from data, for as many cycles as Hyperparameters say."]

    def _accept(self) -> None:
        if self._plan is not None:
            self._begin(self._plan)
