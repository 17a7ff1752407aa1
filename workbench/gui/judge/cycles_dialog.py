"""Asks of which cycles pairs are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QComboBox, QFormLayout, QWidget

from workbench.gui.completions.rows import cycle_name
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.dialog import Dialog


class CyclesDialog(Dialog):
    """Asks for as many cycles as there are ``titles``; ``then`` is called with them."""

    def __init__(self, parent: QWidget, title: str, sentence: str, titles: Sequence[str],
                 cycles: Sequence[int], chosen: Sequence[int],
                 then: Callable[..., object]) -> None:
        super().__init__(parent, "judge_cycles", title)
        self.setMinimumWidth(360)
        self.body.addWidget(label(sentence, wrap=True))
        form = QFormLayout()
        self.fields = []
        for number, (name, cycle) in enumerate(zip(titles, chosen, strict=True), 1):
            field = named(QComboBox(), f"judge_cycle_{number}", name,
                          "The policy after this cycle wrote it")
            for each in cycles:
                field.addItem(cycle_name(each).capitalize(), each)
            field.setCurrentIndex(max(0, field.findData(cycle)))
            form.addRow(name, field)
            self.fields.append(field)
        self.body.addLayout(form)
        self.add_accept("Add pairs", "judge_cycles_add", "Put these pairs into the set")
        self.finish("Cancel", "Add nothing")
        self.accepted.connect(
            lambda: then(*(field.currentData() for field in self.fields)))
