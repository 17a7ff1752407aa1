"""One hyperparameter in the form: its name, its field, the way back, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QSize
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from workbench.formatting import format_value
from workbench.gui.hyperparameters.fields import make_field, tooltip
from workbench.gui.what_is import explain_by, of_setting
from workbench.gui.widgets.controls import enable, label, tool_button
from workbench.gui.widgets.formula import terms_html
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.layouts import STRETCH, vbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.problem_note import ProblemNote
from workbench.gui.widgets.theme import number_font, set_look
from workbench.settings import Spec, Value

_LABEL_CHARACTERS = 13  # for which the label must have room to stand beside its field


class Row(QWidget):
    """Label, field, reset button, and over what is below them what is wrong. Where it is narrow
    the label stands above the field."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.field = make_field(spec)
        explain_by(self, lambda: of_setting(spec))
        digits = QFontMetrics(number_font())
        self.field.setFixedWidth(digits.horizontalAdvance("0" * 9) + 48)
        title = terms_html(spec.label)
        self.label = label(title, wrap=True, rich=title != spec.label)
        self.label.setBuddy(self.field)
        self.note = label(spec.unit, "muted", wrap=True, name=f"note_{spec.name}")
        small = self.note.font()
        small.setPointSizeF(0.9 * small.pointSizeF())
        self.note.setFont(small)
        self.reset = tool_button(
            "", f"reset_{spec.name}", f"Reset {spec.label}",
            f"Back to the default, {format_value(spec, spec.default)}", "flat")
        keep = self.reset.sizePolicy()
        keep.setRetainSizeWhenHidden(True)
        self.reset.setSizePolicy(keep)
        # It goes when it has done its work; the focus must not go on to the next field.
        self.reset.clicked.connect(lambda: self.field.setFocus())
        self.problem = ProblemNote(self, self.field)
        self.problem.setObjectName(f"problem_{spec.name}")
        self._why: str | None = None
        self._title = QWidget()
        vbox(self._title, STRETCH, self.label, self.note, STRETCH, spacing=0)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(4)
        self._grid.setVerticalSpacing(2)
        self.narrow: bool | None = None
        """Whether the label stands above the field."""
        self._arrange(False)
        self.explain("")
        # Shown before it had a parent, it would be a window of its own.
        self.note.setVisible(bool(spec.unit))

    def draw(self) -> None:
        """Draw in the colours of the theme."""
        self.reset.setIcon(icon("undo"))

    def show_value(self, value: Value, used: Value | None, soon: Value) -> None:
        """Mark what differs from the default and, saying what it was, from what is ``used``, or
        was to be used ``soon``."""
        self.reset.setVisible(value != self.spec.default)
        parts = [self.spec.unit] if self.spec.unit else []
        if used is not None and used != value:
            parts.append(f"was {format_value(self.spec, used)}")
        elif used is not None and soon != value:
            parts.append(f"was to be {format_value(self.spec, soon)}")
        self.note.setText(", ".join(parts))
        self.note.setVisible(bool(parts))

    def show_problem(self, sentence: str, *, edited: bool) -> None:
        """Say what is wrong with the field, "" when nothing is; else mark an edit."""
        if sentence != self.problem.text():
            self.problem.say(sentence)
            self._tell()
        set_look(self.field, state="invalid" if sentence else "edited" if edited else "")

    def explain(self, why: str) -> None:
        """Disable the field and say ``why``, or enable it with ""."""
        if why == self._why:
            return
        for widget in (self.field, self.reset, self.label):
            enable(widget, not why, why)
        self._why = why
        self._tell()

    def _tell(self) -> None:
        tip = tooltip(self.spec, self._why or "")
        wrong = self.problem.text()
        self.field.setAccessibleDescription(wrong or self.spec.help)
        self.field.setToolTip(plain_tip(f"{wrong}\n{tip}" if wrong else tip))
        tip = plain_tip(tip)
        self.label.setToolTip(tip)
        self.note.setToolTip(tip)

    def minimumSizeHint(self) -> QSize:
        """Need no more width than the field and its reset button."""
        return QSize(self._beside(), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the label beside its field or above it."""
        super().resizeEvent(event)
        least = self.fontMetrics().averageCharWidth() * _LABEL_CHARACTERS
        self._arrange(event.size().width() < self._beside() + least)

    def _beside(self) -> int:
        return self.field.width() + self.reset.sizeHint().width() + 8

    def _arrange(self, narrow: bool) -> None:
        if narrow == self.narrow:
            return
        self.narrow = narrow
        grid, line = self._grid, int(narrow)
        grid.addWidget(self._title, 0, 0, 1, 3 if narrow else 1)
        grid.addWidget(self.field, line, 0 if narrow else 1)
        grid.addWidget(self.reset, line, 1 if narrow else 2)
        grid.setContentsMargins(0, 0, 0, 6 if narrow else 0)
        grid.setColumnStretch(0, int(not narrow))
        grid.setColumnStretch(2, int(narrow))


def matches(spec: Spec, words: Iterable[str]) -> bool:
    """Return whether every word occurs in the label, the name or the help."""
    text = f"{spec.label} {spec.name} {spec.group} {spec.help}".lower()
    return all(word in text for word in words)
