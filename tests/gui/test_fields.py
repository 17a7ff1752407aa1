"""Number fields for scientists: any usual form is read, nothing is refused without a reason."""

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from workbench.formatting import format_number, format_value
from workbench.gui.hyperparameters.fields import make_field, tooltip
from workbench.gui.widgets.number_field import NumberField, next_step, next_tenth
from workbench.ppo.hyperparameters import parse, specs
from workbench.settings import HyperparameterError


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


def number_field(qtbot: QtBot, name: str) -> NumberField:
    field = make_field(specs()[name])
    assert isinstance(field, NumberField)
    qtbot.addWidget(field)
    return field


def typed(qtbot: QtBot, field: NumberField, text: str) -> None:
    field.selectAll()
    if text.isascii():
        qtbot.keyClicks(field, text)
    else:  # QTest knows no such keys
        field.lineEdit().insert(text)


def test_every_key_that_leaves_a_number_stages_it(qtbot: QtBot) -> None:
    field = number_field(qtbot, "learning_rate")
    staged: list[float] = []
    wrong: list[bool] = []
    field.edited.connect(staged.append)
    field.problem.connect(lambda sentence: wrong.append(bool(sentence) and not field.unfinished))
    assert field.text() == "2.5e-4"
    typed(qtbot, field, "1e-5")
    # "1e" and "1e-" are no mistakes, and no numbers either: the one before the edit counts.
    assert staged == [1.0, 2.5e-4, 1e-5]
    assert not any(wrong)
    assert field.value() == 1e-5
    with qtbot.waitSignal(field.committed):
        qtbot.keyClick(field, Qt.Key.Key_Return)
    assert field.text() == "1e-5"
    typed(qtbot, field, "0.00020")
    assert field.text() == "0.00020"  # nothing is rewritten under the fingers
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert field.text() == "2e-4"
    assert staged[-1] == 2e-4


def test_escape_takes_the_edit_back_and_nothing_else(qtbot: QtBot) -> None:
    field = number_field(qtbot, "kl_coef")
    staged: list[float] = []
    field.edited.connect(staged.append)
    typed(qtbot, field, "0.03")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    typed(qtbot, field, "7")
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert (field.text(), field.value(), staged[-1]) == ("0.03", 0.03, 0.03)
    typed(qtbot, field, "x")
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert (field.text(), field.value()) == ("0.03", 0.03)


@pytest.mark.parametrize(("name", "text", "sentence"), [
    ("num_cycles", "1e400", "Cycles must be a whole number between 1 and 100000."),
    ("gamma", "5", "Discount (γ) must be a number between 0 and 1."),
    ("batch_size", "2.5", "Batch size must be a whole number between 1 and 65536."),
    ("num_cycles", "0", "Cycles must be a whole number between 1 and 100000."),
    ("learning_rate", "fast", "Learning rate must be a number between 0 and 1."),
    ("learning_rate", "1e-", "Learning rate must be a number between 0 and 1."),
    ("batch_size", "1.000",
     "Batch size: “1.000” may mean 1000 or 1; write it without a thousands separator."),
    ("learning_rate", "1,000",
     "Learning rate: “1,000” may mean 1000 or 1; write it without a thousands separator."),
    ("max_grad_norm", "1.000",
     "Gradient clip: “1.000” may mean 1000 or 1; write it without a thousands separator."),
    ("kl_horizon", "10,000",
     "KL horizon: “10,000” may mean 10000 or 10; write it without a thousands separator."),
    ("kl_horizon", "1.000.000",
     "KL horizon: “1.000.000” has a thousands separator; write the number without one."),
    ("kl_horizon", "10 000",
     "KL horizon: “10 000” has a thousands separator; write the number without one."),
])
def test_what_cannot_be_taken_is_explained_and_not_used(
    qtbot: QtBot, name: str, text: str, sentence: str
) -> None:
    field = number_field(qtbot, name)
    before = field.value()
    said: list[str] = []
    field.problem.connect(said.append)
    typed(qtbot, field, text)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert said[-1] == sentence
    assert not field.unfinished
    assert field.value() == before
    assert field.text() == text  # what is wrong can be mended
    typed(qtbot, field, "1")
    assert said[-1] == ""
    assert field.value() == 1


@pytest.mark.parametrize(("name", "text", "value"), [
    ("kl_coef", "0,04", 0.04), ("kl_coef", "٠٫٠٤", 0.04), ("batch_size", "٣٢", 32),
    ("temperature", "1.125", 1.125),  # 1125 would be above its range: no doubt
    ("temperature", "0,125", 0.125), ("batch_size", "1e3", 1000), ("num_cycles", "1000", 1000),
    ("learning_rate", "1.000e-4", 1e-4), ("gamma", ".5", 0.5),
])
def test_numbers_are_read_as_people_write_them(
    qtbot: QtBot, name: str, text: str, value: float
) -> None:
    field = number_field(qtbot, name)
    typed(qtbot, field, text)
    assert field.value() == value
    assert type(field.value()) is type(specs()[name].default)


@pytest.mark.parametrize(("name", "text"), [
    ("batch_size", "1.000"), ("kl_horizon", "1.000.000"), ("max_grad_norm", "1,000"),
])
def test_the_command_line_takes_no_thousands_separator_either(name: str, text: str) -> None:
    with pytest.raises(HyperparameterError, match="thousands separator"):
        parse({name: text})
    assert parse({"learning_rate": "1.5e-4"}).learning_rate == 1.5e-4


def test_arrows_step_from_what_is_typed(qtbot: QtBot) -> None:
    field = number_field(qtbot, "batch_size")
    typed(qtbot, field, "100")
    qtbot.keyClick(field, Qt.Key.Key_Up)
    assert (field.value(), field.text()) == (110, "110")
    typed(qtbot, field, "3")
    for _ in range(4):
        qtbot.keyClick(field, Qt.Key.Key_Down)
    assert (field.value(), field.text()) == (1, "1")


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
