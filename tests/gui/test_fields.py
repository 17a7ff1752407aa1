"""Number fields for scientists: any usual form is read, nothing is refused without a reason."""

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from workbench.gui.fields import (
    format_number,
    format_value,
    make_field,
    next_step,
    next_tenth,
    tooltip,
)
from workbench.ppo.hyperparameters import specs


@pytest.mark.parametrize(("value", "text"), [
    (0.0, "0"), (3e-4, "3e-4"), (1e-5, "1e-5"), (1.25e-3, "1.25e-3"), (0.05, "0.05"),
    (0.01, "0.01"), (1.0, "1"), (0.95, "0.95"), (250000.0, "2.5e5"), (1e-12, "1e-12"),
])
def test_numbers_are_short(value: float, text: str) -> None:
    assert format_number(value) == text
    assert float(text) == value


def test_arrows_climb_1_2_5() -> None:
    up = [1e-5]
    for _ in range(6):
        up.append(next_step(up[-1], up=True))
    assert up == [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3]
    down = [1e-3]
    for _ in range(6):
        down.append(next_step(down[-1], up=False))
    assert down == up[::-1]
    assert next_step(3e-4, up=True) == 5e-4
    assert next_step(3e-4, up=False) == 2e-4
    assert next_step(0.0, up=True) == 1e-4
    assert next_step(1e-9, up=False) == 0.0


def test_other_numbers_step_by_a_tenth() -> None:
    assert next_tenth(0.95, up=True) == 0.96
    assert next_tenth(1.0, up=False) == 0.99
    assert next_tenth(1.0, up=True) == 1.1
    assert next_tenth(0.0, up=True) == 0.1


@pytest.mark.parametrize("name", specs())
def test_every_field_shows_its_default_and_explains_itself(qtbot: QtBot, name: str) -> None:
    spec = specs()[name]
    field = make_field(spec)
    qtbot.addWidget(field)
    assert field.value() == spec.default
    assert field.objectName() == name
    assert spec.label in field.accessibleName()
    assert spec.help in field.toolTip()
    assert name in tooltip(spec)


def test_typed_scientific_number(qtbot: QtBot) -> None:
    field = make_field(specs()["learning_rate"])
    qtbot.addWidget(field)
    problems: list[str] = []
    field.problem.connect(problems.append)
    assert field.text() == "5e-4"
    field.selectAll()
    with qtbot.waitSignal(field.edited) as edited:
        qtbot.keyClicks(field, "1e-5")
        qtbot.keyClick(field, Qt.Key.Key_Return)
    assert edited.args == [1e-5]
    assert field.text() == "1e-5"
    assert problems == []  # "1e-" on the way is no mistake


@pytest.mark.parametrize(("name", "typed", "sentence"), [
    ("num_cycles", "1e400", "Cycles must be a whole number between 1 and 100,000."),
    ("gamma", "5", "Discount (γ) must be a number between 0 and 1."),
    ("batch_size", "2.5", "Batch size must be a whole number between 1 and 65,536."),
    ("num_cycles", "0", "Cycles must be a whole number between 1 and 100,000."),
    ("learning_rate", "fast", "Learning rate must be a number between 0 and 1."),
])
def test_what_cannot_be_taken_is_explained(
    qtbot: QtBot, name: str, typed: str, sentence: str
) -> None:
    field = make_field(specs()[name])
    qtbot.addWidget(field)
    before = field.value()
    said: list[str] = []
    field.problem.connect(said.append)
    field.selectAll()
    qtbot.keyClicks(field, typed)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert said[-1] == sentence
    assert field.value() == before
    field.selectAll()
    qtbot.keyClicks(field, "1")
    assert said[-1] == ""


def test_zero_has_a_name(qtbot: QtBot) -> None:
    field = make_field(specs()["max_grad_norm"])
    qtbot.addWidget(field)
    field.set_value(0.0)
    assert field.text() == "off"
    field.selectAll()
    qtbot.keyClicks(field, "off")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert field.value() == 0.0


def test_wheel_turns_nothing_without_focus(qtbot: QtBot) -> None:
    for name in ("batch_size", "learning_rate", "kl_estimator"):
        field = make_field(specs()[name])
        qtbot.addWidget(field)
        field.show()
        before = field.value()
        QApplication.sendEvent(field, QWheelEvent(
            QPointF(5, 5), QPointF(5, 5), QPoint(0, 0), QPoint(0, -120), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False))
        assert field.value() == before


def test_values_in_words() -> None:
    assert format_value(specs()["whiten_rewards"], True) == "on"
    assert format_value(specs()["score_clip"], 0.0) == "off"
    assert format_value(None, "k1") == "k1"
