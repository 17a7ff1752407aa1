"""A field for one number: anything can be typed, what makes no sense is explained."""

from __future__ import annotations

import math
import re

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QKeySequence, QWheelEvent
from PySide6.QtWidgets import QAbstractSpinBox

from workbench.formatting import format_number, format_value
from workbench.gui.widgets.theme import number_font
from workbench.settings import Spec, Value
from workbench.thousands_separators import about_thousands_separators

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
# What may still become a number, such as "1e-".
_BEGINNING = re.compile(r"[+-]?\.?|(\d+\.?\d*|\.\d+)e[+-]?", re.IGNORECASE)
# Where the arrows begin from 0 in a field that steps by factors, and where they end at 0 again.
_FIRST_STEP, _LAST_STEP = 1e-4, 1e-9
_DECIMAL_MARKS = str.maketrans({",": ".", "٫": "."})


def range_sentence(spec: Spec) -> str:
    """Return what a number must be to be accepted, with bounds as they can be typed."""
    low, high = (
        f"{bound:.0f}" if abs(bound) >= 100_000 else format_number(bound)
        for bound in (spec.minimum or 0, spec.maximum or 0))
    whole = "a whole number" if spec.kind == "int" else "a number"
    return f"{spec.label} must be {whole} between {low} and {high}."


def next_step(value: float, up: bool) -> float:
    """Return the neighbour of ``value`` in 1, 2, 5, 10, 20, 50, ..."""
    if value <= 0:
        return _FIRST_STEP if up else 0.0
    exponent = math.floor(math.log10(value) + 1e-9)
    ladder = [m * 10.0**e for e in (exponent - 1, exponent, exponent + 1) for m in (1, 2, 5)]
    if up:
        return float(f"{next(x for x in ladder if x > value * (1 + 1e-9)):.3g}")
    below = float(f"{next(x for x in reversed(ladder) if x < value * (1 - 1e-9)):.3g}")
    return below if below >= _LAST_STEP else 0.0


def next_tenth(value: float, up: bool, least: float = 0.01) -> float:
    """Return ``value`` a tenth of its order of magnitude up or down, at least ``least``."""
    if value <= 0:
        return max(0.1, least) if up else value
    just_inside = value if up else value * (1 - 1e-9)
    step = max(10.0 ** (math.floor(math.log10(just_inside) + 1e-12) - 1), least)
    return round(value + (step if up else -step), 10)


class NumberField(QAbstractSpinBox):
    """A number that is staged at each key that leaves a valid one.

    ``edited`` tells the new value. What cannot be taken stays as it was typed, ``problem`` says
    why ("" when all is well again), and the value is the one before. Enter or leaving the field
    ends an edit (``committed``), Escape takes it back. In a ``scientific`` field the arrows step
    by factors (1, 2, 5, 10), else by a tenth part.

    Not a QDoubleSpinBox: that one writes its last value over what is typed whenever it likes.
    """

    edited = Signal(object)
    problem = Signal(str)
    committed = Signal()

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self._spec = spec
        self._value = self._before = self._number(float(spec.default))
        self._staging = False
        self._complaint = ""
        self.unfinished = False
        """Whether what is typed is no number yet but may become one, such as "1e-"."""
        self.setFont(number_font())
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.lineEdit().textEdited.connect(self._typed)
        self._write()

    def value(self) -> int | float:
        """Return the number that counts."""
        return self._value

    def set_value(self, value: Value) -> None:
        """Show ``value`` without telling anyone; what is being typed gives way."""
        if self._staging and value == self._value:
            return  # told by whoever was just told
        self._value = self._before = self._number(float(value))
        self._complain("")
        self._write()

    def take(self, value: float) -> None:
        """Stage ``value`` as if it had been typed."""
        self._complain("")
        number = self._number(value)
        self.lineEdit().setText(format_value(self._spec, number))
        self._stage(number)

    def commit(self) -> None:
        """End the edit: write the number in its usual form, or say why it cannot be taken."""
        if self._complaint:
            self._complain(self._complaint)
        elif self._is_edited():
            self._before = self._value
            self._write()
            self.committed.emit()

    def revert(self) -> None:
        """Go back to the number before the edit."""
        self._complain("")
        self._stage(self._before)
        self._write()

    def stepBy(self, steps: int) -> None:
        """Step by factors where the field spans orders of magnitude, else by a tenth part."""
        value, up = float(self._value), steps > 0
        low, high = self._bounds()
        for _ in range(abs(steps)):
            value = next_step(value, up) if self._spec.scientific else next_tenth(
                value, up, 1 if self._spec.kind == "int" else 0.01)
        self.take(min(max(value, low), high))
        self.selectAll()

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        """Return in which directions there is something."""
        low, high = self._bounds()
        flags = QAbstractSpinBox.StepEnabledFlag
        return ((flags.StepUpEnabled if self._value < high else flags.StepNone)
                | (flags.StepDownEnabled if self._value > low else flags.StepNone))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter ends an edit, Escape takes it back; without one both are for the dialog around."""
        undo = event.matches(QKeySequence.StandardKey.Undo)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._is_edited():
            self.commit()
            self.selectAll()
            # With Control it means more than this field.
            event.setAccepted(not event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        elif (undo or event.key() == Qt.Key.Key_Escape) and self._is_edited():
            self.revert()
            self.selectAll()
        elif undo or event.matches(QKeySequence.StandardKey.Redo):
            event.ignore()
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """Leave undo and redo to the window: those of the line edit go key by key and know nothing
        of the form. What cannot be taken is not in the window's, so the field undoes it itself."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            undo = event.matches(QKeySequence.StandardKey.Undo)
            if undo or event.matches(QKeySequence.StandardKey.Redo):
                event.setAccepted(undo and bool(self._complaint))
                return event.isAccepted()
        return super().event(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Turn only where it was chosen: what is scrolled past does not change."""
        super().wheelEvent(event) if self.hasFocus() else event.ignore()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Leaving the field ends the edit; leaving the window does not."""
        super().focusOutEvent(event)
        if event.reason() not in (Qt.FocusReason.ActiveWindowFocusReason,
                                  Qt.FocusReason.PopupFocusReason):
            self.commit()

    # -- inside

    def _number(self, value: float) -> int | float:
        return round(value) if self._spec.kind == "int" else value

    def _bounds(self) -> tuple[float, float]:
        return self._spec.minimum or 0, self._spec.maximum or 0

    def _is_edited(self) -> bool:
        return (self._value != self._before
                or self.text() != format_value(self._spec, self._value))

    def _write(self) -> None:
        text = format_value(self._spec, self._value)
        if self.text() != text:
            self.lineEdit().setText(text)

    def _typed(self, text: str) -> None:
        number = self._read(text)
        if number is None:
            unfinished = self._may_become(text.strip())
            self._complain(self._why_not(text), unfinished)
            self._stage(self._before)  # nothing half typed is ever used
        else:
            self._complain("")
            self._stage(number)

    def _stage(self, value: int | float) -> None:
        if value == self._value:
            return
        self._value = value
        self._staging = True
        try:
            self.edited.emit(value)
        finally:
            self._staging = False

    def _complain(self, sentence: str, unfinished: bool = False) -> None:
        if (sentence, unfinished) != (self._complaint, self.unfinished):
            self._complaint, self.unfinished = sentence, unfinished
            self.problem.emit(sentence)

    def _why_not(self, text: str) -> str:
        spec = self._spec
        said = about_thousands_separators(text, whole=spec.kind == "int", maximum=spec.maximum)
        return f"{spec.label}: {said}" if said else range_sentence(spec)

    def _read(self, text: str) -> int | float | None:
        """Return the number meant by ``text``, None where it is none that can be taken."""
        spec, text = self._spec, text.strip()
        if text and text == spec.zero_text:
            return self._number(0.0)
        if about_thousands_separators(text, whole=spec.kind == "int", maximum=spec.maximum):
            return None
        if spec.kind == "float":
            text = text.translate(_DECIMAL_MARKS)
        if not _NUMBER.fullmatch(text):
            return None
        number = float(text)
        if not math.isfinite(number):  # 1e400
            return None
        if spec.kind == "int" and number != int(number):
            return None
        low, high = self._bounds()
        return self._number(number) if low <= number <= high else None

    def _may_become(self, text: str) -> bool:
        if _BEGINNING.fullmatch(text) or self._spec.zero_text.startswith(text):
            return True
        # 2 may become 2048; -1 becomes nothing.
        return bool(_NUMBER.fullmatch(text)) and 0 <= float(text) < (self._spec.minimum or 0)
