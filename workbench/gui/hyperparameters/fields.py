"""One editor for each kind of hyperparameter, all with the same three methods.

``value()``, ``set_value(v)`` (silent) and the signal ``edited(value)`` (only for what a person
did); ``problem`` carries a sentence while what is typed cannot be taken, else ""; ``commit()``
ends an edit, which the signal ``committed`` tells.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit

from workbench.gui.setting_facts import facts_of
from workbench.gui.widgets.number_field import NumberField
from workbench.gui.widgets.plain_text import plain_tip
from workbench.settings import Spec, Value


class SwitchField(QCheckBox):
    """On or off."""

    edited = Signal(object)
    problem = Signal(str)
    committed = Signal()
    unfinished = False

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

    def commit(self) -> None:
        """Nothing to do: a switch is never half way."""

    def _name(self, checked: bool) -> None:
        self.setText("on" if checked else "off")


class ChoiceField(QComboBox):
    """One of a few names."""

    edited = Signal(object)
    problem = Signal(str)
    committed = Signal()
    unfinished = False

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

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Turn only where it was chosen: what is scrolled past does not change."""
        super().wheelEvent(event) if self.hasFocus() else event.ignore()

    def commit(self) -> None:
        """Nothing to do: a choice is never half made."""


class TextField(QLineEdit):
    """A line of text; what it may say is checked with the other settings."""

    edited = Signal(object)
    problem = Signal(str)
    committed = Signal()
    unfinished = False

    def __init__(self, spec: Spec) -> None:
        super().__init__(placeholderText=spec.empty_text)
        self.textEdited.connect(self.edited.emit)
        self.editingFinished.connect(self.committed.emit)

    def value(self) -> str:
        """Return the text."""
        return self.text()

    def set_value(self, value: Value) -> None:
        """Show ``value`` without telling anyone."""
        with QSignalBlocker(self):
            if str(value) != self.text():  # else the cursor would jump
                self.setText(str(value))

    def commit(self) -> None:
        """Nothing to do: every text is whole."""


Field = NumberField | SwitchField | ChoiceField | TextField
_KINDS: dict[str, Callable[[Spec], Field]] = {
    "int": NumberField, "float": NumberField, "bool": SwitchField, "choice": ChoiceField,
    "text": TextField,
}


def make_field(spec: Spec) -> Field:
    """Return the editor for one hyperparameter, named and explained."""
    field = _KINDS[spec.kind](spec)
    field.setObjectName(spec.name)
    field.setAccessibleName(f"{spec.label}, {spec.unit}" if spec.unit else spec.label)
    field.setAccessibleDescription(spec.help)
    field.setToolTip(plain_tip(tooltip(spec)))
    field.set_value(spec.default)
    return field


def tooltip(spec: Spec, why: str = "") -> str:
    """Return help, name, range, unit, default and when a change counts, line by line, after
    ``why`` the field is disabled."""
    return "\n".join([*([why] if why else []), spec.help, f"Name: {spec.name}", *facts_of(spec)])
