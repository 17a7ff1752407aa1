"""One editor for each kind of hyperparameter, all with the same three methods.

``value()``, ``set_value(v)`` (silent) and the signal ``edited(value)`` (only for what a person
did); ``problem`` carries a sentence while what is typed cannot be taken, else "".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, cast

from PySide6.QtCore import QEvent, QLocale, QObject, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QSpinBox,
    QWidget,
)

from workbench.gui.plain_text import plain_tip
from workbench.gui.theme import number_font
from workbench.ppo.hyperparameters import Spec, Value
from workbench.ppo.wording import format_number, format_value

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
# What may still become a number, such as "1e-".
_BEGINNING = re.compile(r"[+-]?\.?|(\d+\.?\d*|\.\d+)e[+-]?", re.IGNORECASE)
# Where the arrows begin from 0 in a field that steps by factors, and where they end at 0 again.
_FIRST_STEP, _LAST_STEP = 1e-4, 1e-9


def range_sentence(spec: Spec) -> str:
    """Return what a number must be to be accepted."""
    low, high = (
        f"{bound:,.0f}" if abs(bound) >= 10_000 else format_number(bound)
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


def next_tenth(value: float, up: bool) -> float:
    """Return ``value`` a tenth of its order of magnitude up or down, at least 0.01."""
    if value <= 0:
        return 0.1 if up else value
    just_inside = value if up else value * (1 - 1e-9)
    step = max(10.0 ** (math.floor(math.log10(just_inside) + 1e-12) - 1), 0.01)
    return round(value + (step if up else -step), 10)


class _FreeTyping:
    """What both number fields share: anything can be typed, what makes no sense is explained."""

    _spec: Spec
    _complained = False
    problem: Any

    def _prepare(self, spec: Spec, box: QAbstractSpinBox) -> None:
        self._spec = spec
        box.setLocale(QLocale.c())
        box.setFont(number_font())
        box.setKeyboardTracking(False)
        box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        box.setCorrectionMode(QAbstractSpinBox.CorrectionMode.CorrectToPreviousValue)
        box.setAlignment(Qt.AlignmentFlag.AlignRight)
        if spec.zero_text:
            box.setSpecialValueText(spec.zero_text)
        box.lineEdit().textEdited.connect(self._check)

    def _parse(self, text: str) -> float | None:
        text = text.strip().replace(",", ".") if self._spec.kind == "float" else text.strip()
        if text == self._spec.zero_text and text:
            return 0.0
        if not _NUMBER.fullmatch(text):
            return None
        number = float(text)
        if not math.isfinite(number):  # 1e400
            return None
        if self._spec.kind == "int" and number != int(number):
            return None
        low, high = self._spec.minimum or 0, self._spec.maximum or 0
        return number if low <= number <= high else None

    def _check(self, text: str) -> None:
        """Say what is wrong while it is typed; it stays said until the next edit."""
        self._complain(self._parse(text) is None and not self._may_become(text.strip()))

    def _may_become(self, text: str) -> bool:
        if _BEGINNING.fullmatch(text):
            return True
        # 2 may become 2048; -1 becomes nothing.
        return bool(_NUMBER.fullmatch(text)) and 0 <= float(text) < (self._spec.minimum or 0)

    def _complain(self, bad: bool) -> None:
        if bad or self._complained:
            self.problem.emit(range_sentence(self._spec) if bad else "")
        self._complained = bad

    def _judge(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Let everything be typed: a refused key teaches nobody the range."""
        good = self._parse(text) is not None
        state = QValidator.State.Acceptable if good else QValidator.State.Intermediate
        return (state, text, position)


class IntegerField(_FreeTyping, QSpinBox):
    """A whole number."""

    edited = Signal(object)
    problem = Signal(str)

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self._prepare(spec, self)
        self.setRange(int(spec.minimum or 0), int(spec.maximum or 0))
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self.valueChanged.connect(self.edited.emit)

    def set_value(self, value: Value) -> None:
        """Show ``value`` without telling anyone."""
        with QSignalBlocker(self):
            self.setValue(int(value))

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Say whether ``text`` can be taken as it is."""
        return self._judge(text, position)

    def fixup(self, text: str) -> str:
        """Say why what was typed is not taken; the value before comes back."""
        self._complain(True)
        return text

    def valueFromText(self, text: str) -> int:
        """Read what was typed."""
        number = self._parse(text)
        return self.value() if number is None else int(number)


class NumberField(_FreeTyping, QDoubleSpinBox):
    """A number; in a ``scientific`` field the arrows step by factors (1, 2, 5, 10)."""

    edited = Signal(object)
    problem = Signal(str)

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self._prepare(spec, self)
        self.setDecimals(14)
        self.setRange(spec.minimum or 0.0, spec.maximum or 0.0)
        self.valueChanged.connect(self.edited.emit)

    def set_value(self, value: Value) -> None:
        """Show ``value`` without telling anyone."""
        with QSignalBlocker(self):
            self.setValue(float(value))

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Say whether ``text`` can be taken as it is."""
        return self._judge(text, position)

    def fixup(self, text: str) -> str:
        """Say why what was typed is not taken; the value before comes back."""
        self._complain(True)
        return text

    def textFromValue(self, value: float) -> str:
        """Show 3e-4, not 0.00030000000000."""
        return format_number(value)

    def valueFromText(self, text: str) -> float:
        """Read what was typed, in any usual form."""
        number = self._parse(text)
        return self.value() if number is None else number

    def stepBy(self, steps: int) -> None:
        """Step by factors where the field spans orders of magnitude, else by a tenth part."""
        self.interpretText()
        value, up = self.value(), steps > 0
        for _ in range(abs(steps)):
            value = next_step(value, up) if self._spec.scientific else next_tenth(value, up)
        self.setValue(value)
        self.selectAll()


class SwitchField(QCheckBox):
    """On or off."""

    edited = Signal(object)
    problem = Signal(str)

    def __init__(self, spec: Spec) -> None:
        super().__init__("on")
        self.toggled.connect(self.edited.emit)
        self.toggled.connect(self._name)

    def value(self) -> bool:
        """Return whether it is on."""
        return self.isChecked()

    def set_value(self, value: Value) -> None:
        """Show ``value`` without telling anyone."""
        with QSignalBlocker(self):
            self.setChecked(bool(value))
        self._name(bool(value))

    def _name(self, checked: bool) -> None:
        self.setText("on" if checked else "off")


class ChoiceField(QComboBox):
    """One of a few names."""

    edited = Signal(object)
    problem = Signal(str)

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.addItems(spec.choices)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.currentTextChanged.connect(self.edited.emit)

    def value(self) -> str:
        """Return the chosen name."""
        return self.currentText()

    def set_value(self, value: Value) -> None:
        """Show ``value`` without telling anyone."""
        with QSignalBlocker(self):
            self.setCurrentText(str(value))


Field = IntegerField | NumberField | SwitchField | ChoiceField
_KINDS: dict[str, Callable[[Spec], Field]] = {
    "int": IntegerField, "float": NumberField, "bool": SwitchField, "choice": ChoiceField,
}


class _WheelGuard(QObject):
    """Lets the wheel turn only a field that was chosen, so that scrolling changes nothing."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Hand the wheel on to what scrolls."""
        if event.type() == QEvent.Type.Wheel and not cast(QWidget, watched).hasFocus():
            event.ignore()
            return True
        return False


def make_field(spec: Spec) -> Field:
    """Return the editor for one hyperparameter, named and explained."""
    field = _KINDS[spec.kind](spec)
    field.installEventFilter(_WheelGuard(field))
    field.setObjectName(spec.name)
    field.setAccessibleName(f"{spec.label}, {spec.unit}" if spec.unit else spec.label)
    field.setAccessibleDescription(spec.help)
    field.setToolTip(plain_tip(tooltip(spec)))
    field.set_value(spec.default)
    return field


def tooltip(spec: Spec) -> str:
    """Return help, name, range, unit, default and when a change counts, line by line."""
    facts = [f"Name: {spec.name}"]
    if spec.minimum is not None and spec.maximum is not None:
        low, high = format_number(spec.minimum), format_number(spec.maximum)
        facts.append(f"Range: {low} to {high} {spec.unit}".strip())
    if spec.choices:
        facts.append(f"One of: {', '.join(spec.choices)}")
    facts.append(f"Default: {format_value(spec, spec.default)}")
    facts.append("A change counts from the next cycle on." if spec.live
                 else "Fixed at the start of a run.")
    return "\n".join([spec.help, *facts])
