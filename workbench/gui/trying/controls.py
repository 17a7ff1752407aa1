"""How and by whom prompts are completed in a try."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QHBoxLayout, QMenu, QToolButton, QWidget
from superqt import QFlowLayout

from workbench.gui.hyperparameters.fields import Field, make_field
from workbench.gui.widgets.controls import enable, label, tool_button
from workbench.gui.widgets.layouts import hbox
from workbench.gui.widgets.number_field import range_sentence
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import number_font, set_look
from workbench.models.decoding import DECODING
from workbench.store.checkpoints import Checkpoint
from workbench.training.commands import TrySource

_DIGITS = {"temperature": 5, "top_p": 4, "seed": 7, "length": 5}
_NO_CHECKPOINT = "The run has no checkpoint on disk."


class Controls(QWidget):
    """The columns to fill, temperature, top-p, seed and length."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = self._flow = QFlowLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(12)
        layout.setVerticalSpacing(4)
        layout.addWidget(self._sources())
        self.fields: dict[str, Field] = {}
        self._problems: dict[str, str] = {}
        for name, spec in DECODING.items():
            box, row = _row()
            field = self.fields[name] = make_field(spec)
            field.setObjectName(f"try_{name}")
            field.setToolTip(plain_tip(f"{spec.help}\n{range_sentence(spec)}"))
            field.problem.connect(lambda sentence, name=name: self._say(name, sentence))
            digits = QFontMetrics(number_font())
            field.setFixedWidth(digits.horizontalAdvance("0" * _DIGITS[name]) + 36)
            title = label(spec.label)
            title.setBuddy(field)
            title.setToolTip(field.toolTip())
            row.addWidget(title)
            row.addWidget(field)
            layout.addWidget(box)
        self._even()

    def add(self, *widgets: QWidget) -> None:
        """Let these stand together behind the settings, or on a line below."""
        box, row = _row()
        for widget in widgets:
            row.addWidget(widget)
        self._flow.addWidget(box)
        self._even()

    def sources(self) -> tuple[TrySource, ...]:
        """Return the chosen columns in the order of training."""
        found = [TrySource("start")] if self.start.isChecked() else []
        found += [TrySource("checkpoint", *action.data()) for action in self._menu.actions()
                  if action.isChecked()]
        found += [TrySource("current")] if self.current.isChecked() else []
        return tuple(found)

    def choose(self, *, start: bool, current: bool) -> None:
        """Tick these columns."""
        self.start.setChecked(start)
        self.current.setChecked(current)

    def show_checkpoints(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Offer these checkpoints; those that were ticked and are still there stay so."""
        ticked = {action.data() for action in self._menu.actions() if action.isChecked()}
        self._menu.clear()
        for checkpoint in checkpoints:
            action = self._menu.addAction(f"After cycle {checkpoint.cycle:,}")
            action.setCheckable(True)
            action.setData((checkpoint.run_id, checkpoint.cycle))
            action.setChecked(action.data() in ticked)
            action.toggled.connect(self._count)
        enable(self.checkpoints, not self._menu.isEmpty(), _NO_CHECKPOINT)
        self._count()

    def values(self) -> dict[str, float | int]:
        """Return temperature, top-p, seed and length by name; what is being typed counts."""
        for field in self.fields.values():
            field.commit()
        return {name: field.value() for name, field in self.fields.items()}  # type: ignore[misc]

    def problem(self) -> str:
        """Return why a number cannot be taken, if one cannot."""
        return next(filter(None, self._problems.values()), "")

    def set_values(self, values: dict[str, object]) -> None:
        """Show what is given and within its range."""
        for name, spec in DECODING.items():
            value = values.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and (
                    (spec.minimum or 0) <= value <= (spec.maximum or 0)):
                self.fields[name].set_value(value)

    def _say(self, name: str, sentence: str) -> None:
        self._problems[name] = sentence
        field = self.fields[name]
        set_look(field, state="invalid" if sentence and not field.unfinished else "")

    def _even(self) -> None:
        """Centre the parts of a line on each other."""
        height = max(f.sizeHint().height() for f in (self.start, *self.fields.values()))
        for child in self.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly):
            child.setMinimumHeight(height)

    def _sources(self) -> QWidget:
        box, row = _row()
        self.start = _toggle("Start policy", "try_start", "A column for the start policy")
        self.current = _toggle(
            "Current", "try_current", "A column for the policy as it stands in memory: as this "
            "window's last run left it. For an earlier run pick a checkpoint.")
        self.checkpoints = tool_button(
            "Checkpoints", "try_checkpoints", "Checkpoints",
            "Columns for checkpoints of the run; only its last ones are on disk (see "
            "Checkpoints kept)")
        self.checkpoints.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QMenu(self.checkpoints)
        self.checkpoints.setMenu(self._menu)
        enable(self.checkpoints, False, _NO_CHECKPOINT)
        self.choose(start=True, current=True)
        for widget in (self.start, self.checkpoints, self.current):
            row.addWidget(widget)
        return box

    def _count(self) -> None:
        count = sum(action.isChecked() for action in self._menu.actions())
        self.checkpoints.setText(f"Checkpoints ({count})" if count else "Checkpoints")


def _toggle(text: str, name: str, tip: str) -> QToolButton:
    return tool_button(text, name, tip, tip, checkable=True)


def _row() -> tuple[QWidget, QHBoxLayout]:
    box = QWidget()
    row = hbox(box, spacing=4)
    return box, row
