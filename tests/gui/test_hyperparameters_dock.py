"""Edits are staged, applied, reverted, undone; what is wrong is said in place."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from workbench.gui.actions import tip_of
from workbench.gui.hyperparameters.dock import HyperparametersDock
from workbench.gui.hyperparameters.form import FIXED, LOCKED
from workbench.gui.hyperparameters.row import Row
from workbench.gui.widgets.number_field import NumberField
from workbench.ppo.declaration import PPO
from workbench.ppo.hyperparameters import Hyperparameters, parse, specs
from workbench.settings import HyperparameterError
from workbench.store.records import ChangeRecord
from workbench.training.events import (
    Change,
    HyperparametersApplied,
    HyperparametersStaged,
    State,
)


@pytest.fixture
def dock(qtbot: QtBot) -> HyperparametersDock:
    dock = HyperparametersDock()
    qtbot.addWidget(dock)
    dock.resize(320, 600)
    dock.show()
    return dock


@pytest.fixture
def running(dock: HyperparametersDock) -> HyperparametersDock:
    """The dock while a run with the defaults is alive."""
    dock.run_started(Hyperparameters())
    dock.set_state(State.RUNNING)
    return dock


def edit(dock: HyperparametersDock, **values: object) -> None:
    for name, value in values.items():
        dock.form.rows[name].field.take(value)  # type: ignore[union-attr]


def line(dock: HyperparametersDock) -> str:
    return dock._line.text()


def test_every_declared_hyperparameter_has_a_row(dock: HyperparametersDock) -> None:
    assert list(dock.form.rows) == list(specs())
    assert dock.hyperparameters() == Hyperparameters()


def test_rows_are_made_when_they_are_to_be_seen(dock: HyperparametersDock) -> None:
    form = dock.form
    assert 0 < len(form.rows.made) < len(specs()) / 2
    assert all(row.isVisible() for row in form.rows.made.values())
    closed = next(title for title, section in form.sections.items() if not section.is_open)
    form.set_values({"kl_coef": 0.2}, "test")
    form.sections[closed].set_open(True)
    dock._show_all.click()
    form.set_open_sections(form.sections)
    assert form.rows.made["kl_coef"].field.value() == 0.2
    for title, section in form.sections.items():
        shown = [row for row in section.content.findChildren(Row) if row.isVisible()]
        in_order = [name for name, spec in specs().items()
                    if (spec.group if spec.live else FIXED) == title and name in form.rows.made
                    and form.rows[name] in shown]
        assert [row.spec.name for row in sorted(shown, key=Row.y)] == in_order


def test_tab_goes_from_above_to_below_whenever_a_row_was_made(dock: HyperparametersDock) -> None:
    form = dock.form
    form.rows["seed"], form.rows["dual_clip"]  # before those above them
    dock._show_all.click()
    form.set_open_sections(form.sections)
    QApplication.processEvents()
    rows = [row for row in form.rows.made.values() if row.isVisible()]
    places = {row.field: row.mapTo(form, QPoint()).y() for row in rows}
    passed: list[int] = []
    at = form.sections[next(iter(form.sections))].header.nextInFocusChain()
    for _ in range(2000):
        if at in places:
            passed.append(places.pop(at))
        at = at.nextInFocusChain()
    assert not places
    assert passed == sorted(passed)


def test_what_is_wrong_opens_its_section_and_is_said(running: HyperparametersDock) -> None:
    name = next(n for n, spec in specs().items() if spec.live and n not in running.form.rows.made)
    running.refused({name: "That cannot be."})
    assert running.form.rows.made[name].isVisible()
    assert running.form.rows[name].problem.text() == "That cannot be."


def test_edits_are_what_start_uses(dock: HyperparametersDock) -> None:
    edit(dock, batch_size=32, learning_rate=1e-4)
    assert dock.hyperparameters() == Hyperparameters(batch_size=32, learning_rate=1e-4)
    assert not dock.apply_button.isEnabled()


def test_an_edit_left_unapplied_at_close_is_still_one_when_the_run_goes_on(
    qtbot: QtBot, running: HyperparametersDock
) -> None:
    edit(running, kl_coef=0.1)
    other = HyperparametersDock()
    qtbot.addWidget(other)
    other.restore_state(running.save_state())
    assert other.form.values()["kl_coef"] == 0.1
    other.set_state(State.RUNNING)
    other.run_resumed(Hyperparameters(batch_size=32), "Run 1")
    assert other.form.values()["kl_coef"] == 0.1
    assert other.form.values()["batch_size"] == 32
    assert line(other) == "KL coefficient (β) edited, not applied."
    # What no run has used is none of what an older window kept.
    older = HyperparametersDock()
    qtbot.addWidget(older)
    older.restore_state({"values": {"kl_coef": 0.1}})
    older.set_state(State.RUNNING)
    older.run_resumed(Hyperparameters(), "Run 1")
    assert line(older) == "The run uses these settings."


def test_apply_sends_only_what_changed(qtbot: QtBot, running: HyperparametersDock) -> None:
    edit(running, kl_coef=0.1)
    assert running.form.rows["kl_coef"].field.property("state") == "edited"
    assert line(running) == "KL coefficient (β) edited, not applied."
    with qtbot.waitSignal(running.apply) as sent:
        running.apply_button.click()
    assert sent.args == [{"kl_coef": 0.1}]
    running.staged(HyperparametersStaged({"kl_coef": 0.1}, 7))
    assert line(running) == "Takes effect at cycle 7."
    assert not running.apply_button.isEnabled()
    change = Change("kl_coef", 0.05, 0.1)
    running.applied(HyperparametersApplied(1, 7, (change,), Hyperparameters(kl_coef=0.1)))
    assert line(running) == "The run uses these settings."
    assert running.form.rows["kl_coef"].field.property("state") == ""


def test_a_change_that_was_made_elsewhere_is_undone_by_its_name(
    running: HyperparametersDock,
) -> None:
    changes = (Change("kl_coef", 0.04, 0.1), Change("lam", 0.95, 0.9))
    running.applied(HyperparametersApplied(1, 7, changes, Hyperparameters(kl_coef=0.1, lam=0.9)))
    assert running.undo_stack.undoText() == ", ".join(
        specs()[name].label for name in ("kl_coef", "lam"))


def test_revert_shows_what_the_run_uses(running: HyperparametersDock) -> None:
    edit(running, kl_coef=0.1, lam=0.5)
    running.revert_button.click()
    assert running.hyperparameters() == Hyperparameters()
    assert not running.revert_button.isEnabled()
    running.undo_stack.undo()
    assert running.hyperparameters() == Hyperparameters(kl_coef=0.1, lam=0.5)


def test_what_differs_from_the_last_run_counts_what_is_fixed_during_one(
    running: HyperparametersDock
) -> None:
    running.set_state(State.FINISHED)
    assert line(running) == "Start uses these settings."
    running.form.set_values({"processes": 2}, "test")
    assert line(running) == "Processes differs from the last run: Start uses this."
    running.form.set_values({"sharding": "shard"}, "test")
    assert line(running) == "Processes and Sharding differ from the last run: Start uses this."
    running.form.set_values({"kl_coef": 0.4}, "test")
    assert line(running).endswith("and 2 more differ from the last run: Start uses this.")
    running.revert()
    assert line(running) == "Start uses these settings."


def test_undo_takes_a_whole_edit_back(dock: HyperparametersDock) -> None:
    for value in (65, 66, 67):
        edit(dock, batch_size=value)
    edit(dock, lam=0.5)
    dock.undo_stack.undo()
    assert dock.hyperparameters() == Hyperparameters(batch_size=67)
    dock.undo_stack.undo()
    assert dock.hyperparameters() == Hyperparameters()
    dock.undo_stack.redo()
    assert dock.hyperparameters() == Hyperparameters(batch_size=67)


def test_what_is_fixed_says_why_and_offers_a_fork(
    qtbot: QtBot, running: HyperparametersDock
) -> None:
    form = running.form
    form.sections[FIXED].set_open(True)
    assert form._lock_hint.text() == LOCKED
    assert not form.fork_button.isVisible()
    form.set_values({"seed": 5, "lam": 0.5}, "test")
    assert form._lock_hint.text().startswith("Seed decides the whole run")
    assert running.apply_button.isEnabled()  # for what is live
    with qtbot.waitSignal(running.fork_wanted) as wanted:
        form.fork_button.click()
    assert wanted.args == [{"seed": 5, "lam": 0.5}]
    form.set_values({"lam": 0.95}, "test")
    assert running._line.text() == "Seed can only change in a fork."
    assert not running.apply_button.isEnabled()
    running.revert()
    assert not form.fork_button.isVisible()
    form.set_values({"seed": 5}, "test")
    running.set_state(State.FINISHED)
    assert not form.fork_button.isVisible()
    assert not form._lock_hint.isVisible()


def test_conflict_is_said_in_place_and_nothing_is_sent(running: HyperparametersDock) -> None:
    edit(running, num_mini_batches=3)
    row = running.form.rows["num_mini_batches"]
    assert not row.problem.isVisible()  # it would cover the field that has the keyboard
    assert "divide" in row.field.toolTip()
    assert "divide" in line(running)
    running.activateWindow()
    row.field.setFocus()
    assert row.problem.isVisible()
    assert "divide" in row.problem.text()
    assert line(running) == "Mini-batches is to be mended first."  # said once is enough
    running.form.rows["num_cycles"].field.setFocus()
    assert "divide" in line(running)
    row.field.setFocus()
    assert not running.apply_button.isEnabled()
    with pytest.raises(HyperparameterError):
        running.hyperparameters()
    edit(running, num_mini_batches=4)
    assert not row.problem.isVisible()


def test_what_the_run_refuses_is_said_until_it_is_edited(running: HyperparametersDock) -> None:
    edit(running, response_length=400)
    running.refused({"response_length": "The policy reads at most 256 tokens."})
    assert running.form.rows["response_length"].problem.text().startswith("The policy reads")
    edit(running, response_length=100)
    assert running.form.problems() == {}


def test_reset_one_field(dock: HyperparametersDock) -> None:
    row = dock.form.rows["batch_size"]
    assert not row.reset.isVisible()
    edit(dock, batch_size=32)
    assert row.reset.isVisible()
    row.reset.click()
    assert row.field.value() == 64


@pytest.mark.parametrize("preset", PPO.presets, ids=lambda p: p.name)
def test_presets_are_valid(preset: object) -> None:
    parse(preset.values)  # type: ignore[attr-defined]


def test_defaults_leave_what_is_locked(running: HyperparametersDock) -> None:
    running.form.set_values({"seed": 5, "lam": 0.5}, "test")
    running._take_preset("Defaults", {n: s.default for n, s in specs().items()})
    assert running.form.values()["seed"] == 5
    assert running.form.values()["lam"] == 0.95


def test_advanced_settings_are_behind_show_all_and_found_by_word(dock: HyperparametersDock) -> None:
    assert not dock.form.rows["dual_clip"].isVisible()
    dock._show_all.click()
    assert dock.form.rows["dual_clip"].isVisible()
    dock._show_all.click()
    dock._find.setText("dual_clip")
    visible = [name for name, row in dock.form.rows.items() if row.isVisible()]
    assert visible == ["dual_clip"]


def test_history(dock: HyperparametersDock) -> None:
    dock.show_history([ChangeRecord(5, "2026-03-01T10:00:00+00:00", "learning_rate", 3e-4, 1e-4,
                                    "person")])
    dock.add_history(7, [Change("max_grad_norm", 1.0, 0.0)])
    rows = [[dock.history.tree.topLevelItem(i).text(c) for c in range(3)] for i in range(2)]
    assert rows == [["5", "Learning rate", "3e-4 → 1e-4"], ["7", "Gradient clip", "1 → off"]]
    item = dock.history.tree.topLevelItem(0)
    assert item.text(3) == "person"
    assert "changed by person on 2026-0" in item.toolTip(3)


def test_state_is_remembered_without_what_is_invalid(
    qtbot: QtBot, dock: HyperparametersDock
) -> None:
    edit(dock, batch_size=32, lam=0.5)
    saved = dock.save_state()
    saved["values"] |= {"gamma": 7, "no_such_thing": 1, "temperature": "hot"}  # type: ignore[operator]
    other = HyperparametersDock()
    qtbot.addWidget(other)
    other.restore_state(saved)
    assert other.hyperparameters() == Hyperparameters(batch_size=32, lam=0.5)
    assert not other.undo_stack.canUndo()


def test_undo_after_apply_stages_the_old_value(running: HyperparametersDock) -> None:
    for value in (0.1, 0.2):
        edit(running, kl_coef=value)
        running.apply_button.click()
        running.staged(HyperparametersStaged({"kl_coef": value}, 3))
    running.undo_stack.undo()
    assert running.hyperparameters().kl_coef == 0.1  # not the value before both
    assert line(running) == "KL coefficient (β) edited, not applied."


def test_what_was_applied_can_be_taken_back_before_it_is_used(
    qtbot: QtBot, running: HyperparametersDock
) -> None:
    edit(running, kl_coef=0.1)
    running.apply_button.click()
    running.staged(HyperparametersStaged({"kl_coef": 0.1}, 3))
    before = Hyperparameters().kl_coef
    with qtbot.waitSignal(running.apply) as sent:
        running.revert_button.click()
    assert sent.args == [{"kl_coef": before}]
    running.staged(HyperparametersStaged({"kl_coef": before}, 3))
    assert line(running) == "The run uses these settings."
    assert not running.revert_button.isEnabled()


def test_a_conflict_is_said_at_every_field_that_takes_part(running: HyperparametersDock) -> None:
    edit(running, num_mini_batches=3)
    rows = running.form.rows
    for name in ("num_mini_batches", "batch_size"):
        assert "2 or 4 would" in rows[name].problem.text()
    assert line(running).count("must divide") == 1
    edit(running, num_mini_batches=1, dual_clip=1.1)
    assert "trust region" in rows["dual_clip"].problem.text()
    edit(running, dual_clip=3.0, kl_coef=0.0)
    running.form.set_values({"kl_controller": "adaptive"}, "test")
    assert "never leaves 0" in rows["kl_coef"].problem.text()


def test_nothing_moves_when_a_field_says_what_is_wrong(
    qtbot: QtBot, running: HyperparametersDock
) -> None:
    running.resize(300, 700)
    rows = running.form.rows
    field = type_in(qtbot, running, "num_mini_batches", "4")

    def places() -> list[tuple[int, int, int]]:
        QApplication.processEvents()
        return [(row.field.mapTo(running, QPoint()).x(), row.field.mapTo(running, QPoint()).y(),
                 row.field.width()) for row in rows.values() if row.isVisible()]
    before = places()
    field.selectAll()
    qtbot.keyClicks(field, "3")
    note = rows["num_mini_batches"].problem
    assert note.isVisible()
    assert note.height() >= note.heightForWidth(note.width())
    assert places() == before
    qtbot.keyClick(field, Qt.Key.Key_Backspace)
    qtbot.keyClicks(field, "4")
    assert not note.isVisible()
    assert places() == before
    for title in running.form.open_sections():  # until there is nothing to scroll
        wide = rows["num_cycles"].width()
        running.form.sections[title].set_open(False)
        QApplication.processEvents()
        assert rows["num_cycles"].width() == wide


def test_a_preset_takes_away_what_could_not_be_read(
    qtbot: QtBot, dock: HyperparametersDock
) -> None:
    row = dock.form.rows["kl_coef"]
    row.field.setFocus()
    row.field.selectAll()  # type: ignore[union-attr]
    qtbot.keyClicks(row.field, "x")
    assert row.problem.isVisible()
    dock.form.set_values({"kl_coef": row.spec.default}, "Defaults")
    assert not row.problem.isVisible()
    assert row.field.text() == "0.04"  # type: ignore[union-attr]


def test_buttons_stand_beside_their_texts_where_there_is_room(
    qtbot: QtBot, dock: HyperparametersDock
) -> None:
    assert dock.apply_button.y() > dock._line.geometry().bottom()
    dock.resize(600, 400)
    qtbot.waitUntil(lambda: dock.apply_button.y() < dock._footer.geometry().bottom() - 24)
    assert dock.apply_button.x() > dock._line.geometry().right()


def type_in(qtbot: QtBot, dock: HyperparametersDock, name: str, text: str) -> NumberField:
    field = dock.form.rows[name].field
    assert isinstance(field, NumberField)
    dock.activateWindow()
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, text)
    return field


def test_apply_lights_up_at_the_first_key_and_takes_the_click(
    qtbot: QtBot, running: HyperparametersDock
) -> None:
    row = running.form.rows["kl_coef"]
    type_in(qtbot, running, "kl_coef", "0.0")
    assert running.apply_button.isEnabled()
    type_in(qtbot, running, "kl_coef", "0.03")
    assert line(running) == "KL coefficient (β) edited, not applied."
    assert row.note.text() == "was 0.04"
    assert row.note.isVisible()
    with qtbot.waitSignal(running.apply) as sent:
        qtbot.mouseClick(running.apply_button, Qt.MouseButton.LeftButton)
    assert sent.args == [{"kl_coef": 0.03}]


def test_what_cannot_be_read_is_not_applied_and_the_line_says_what_the_run_uses(
    qtbot: QtBot, running: HyperparametersDock
) -> None:
    field = type_in(qtbot, running, "kl_coef", "3e-")
    row = running.form.rows["kl_coef"]
    assert line(running) == "KL coefficient (β) is not complete; the run uses 0.04."
    assert not row.problem.isVisible()  # it may still become a number
    assert not running.apply_button.isEnabled()
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert row.problem.isVisible()
    assert field.property("state") == "invalid"
    with pytest.raises(HyperparameterError, match="between 0 and 10"):
        running.hyperparameters()
    running.apply_changes()
    assert field.text() == "3e-"
    assert running.revert_button.isEnabled()
    running.revert_button.click()
    assert field.text() == "0.04"
    assert line(running) == "The run uses these settings."


def test_escape_takes_an_edit_back_and_enter_ends_it(
    qtbot: QtBot, running: HyperparametersDock
) -> None:
    field = type_in(qtbot, running, "kl_coef", "0.03")
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert field.text() == "0.04"
    assert not running.undo_stack.canUndo()
    assert line(running) == "The run uses these settings."
    for text in ("0.03", "0.02"):
        field = type_in(qtbot, running, "kl_coef", text)
        qtbot.keyClick(field, Qt.Key.Key_Return)
    assert running.undo_stack.count() == 2  # one step for each edit, not for each key
    running.undo_stack.undo()
    assert field.text() == "0.03"
    type_in(qtbot, running, "kl_coef", "7x")
    running.undo_stack.undo()
    assert field.text() == "0.04"
    assert not running.form.problems()


def test_what_means_something_only_with_another_shows_only_then(
    dock: HyperparametersDock
) -> None:
    dock._show_all.click()
    rows = dock.form.rows
    assert not rows["kl_target"].isVisible()
    dock.form.set_values({"kl_controller": "adaptive"}, "test")
    assert rows["kl_target"].isVisible()
    assert rows["kl_target"].field.isEnabled()
    dock.undo_stack.undo()
    assert not rows["kl_target"].isVisible()
    dock._find.setText("kl_target")  # asked for by name, it shows and says why it is off
    assert rows["kl_target"].isVisible()
    assert not rows["kl_target"].field.isEnabled()
    assert ("Has an effect only while KL controller is adaptive."
            in rows["kl_target"].field.toolTip())
    dock._find.setText("gamma")
    assert rows["gamma"].field.isEnabled()
    dock.form.set_values(
        {"advantage_estimator": "group", "completions_per_prompt": 8}, "test")
    assert not rows["gamma"].field.isEnabled()
    assert ("Has an effect only while Advantage estimator is gae or batch."
            in rows["gamma"].field.toolTip())


def test_every_setting_another_depends_on_is_there() -> None:
    for spec in specs().values():
        if spec.only_with:
            master, wanted = specs()[spec.only_with[0]], spec.only_with[1]
            for value in wanted if isinstance(wanted, tuple) else (wanted,):
                assert value is True or parse({master.name: value, "completions_per_prompt": 2})
                assert spec.matters({master.name: value})


def test_no_label_says_its_unit_twice() -> None:
    for spec in specs().values():
        word = spec.unit.removesuffix("s").lower()
        assert not word or word not in spec.label.lower(), spec.label


def test_a_narrow_form_has_the_label_above_and_keeps_the_reset_button(
    qtbot: QtBot, dock: HyperparametersDock
) -> None:
    edit(dock, batch_size=32)
    row = dock.form.rows["batch_size"]
    for width, narrow in ((340, False), (220, True), (340, False)):
        dock.resize(width, 600)
        QApplication.processEvents()
        assert dock.width() < 260 or not narrow
        assert row.narrow is narrow
        assert row.reset.isVisible()
        right = row.reset.mapTo(dock, QPoint(row.reset.width(), 0)).x()
        assert right <= dock.width()
        below = row.field.mapTo(dock, QPoint(0, 0)).y() >= row.label.mapTo(
            dock, QPoint(0, row.label.height())).y()
        assert below is narrow


def test_presets_say_what_they_change(dock: HyperparametersDock) -> None:
    tips = {a.objectName(): tip_of(a) for a in dock.findChildren(QAction)}
    assert tips["preset_careful"].endswith(
        "Learning rate 1e-4, KL coefficient (β) 0.1, PPO epochs 2, Clip range (ε) 0.1.")


def test_undo_of_what_was_applied_and_waits_for_its_cycle_says_what_will_be_used(
    qtbot: QtBot, running: HyperparametersDock
) -> None:
    row = running.form.rows["batch_size"]
    edit(running, batch_size=32)
    running.apply_button.click()
    running.staged(HyperparametersStaged({"batch_size": 32}, 3))
    assert row.note.text() == "completions, was 64"  # which the cycle in hand still uses
    running.undo_stack.undo()
    assert (row.field.value(), row.field.property("state")) == (64, "edited")
    assert row.note.text() == "completions, was to be 32"
    assert line(running) == "Batch size edited, not applied."
    with qtbot.waitSignal(running.apply) as sent:
        running.apply_button.click()
    assert sent.args == [{"batch_size": 64}]
    running.staged(HyperparametersStaged({"batch_size": 64}, 3))
    assert (row.note.text(), row.field.property("state")) == ("completions", "")
    assert line(running) == "The run uses these settings."


def test_what_was_is_what_the_run_uses(running: HyperparametersDock) -> None:
    note = running.form.rows["kl_coef"].note
    edit(running, kl_coef=1.0)
    running.staged(HyperparametersStaged({"kl_coef": 1.0}, 3))
    assert note.text() == "was 0.04"
    edit(running, kl_coef=0.05)
    assert note.text() == "was 0.04"
    assert running.apply_button.isEnabled()
    edit(running, kl_coef=0.04)
    assert note.text() == "was to be 1"


def test_what_is_applied_and_not_used_yet_is_listed_as_pending(
    running: HyperparametersDock
) -> None:
    running.show_history([ChangeRecord(2, "2026-03-01T10:00:00+00:00", "cliprange", 0.2, 0.1,
                                       "person")])
    running.staged(HyperparametersStaged({"kl_coef": 1.0, "gamma": 0.9}, 3))

    def rows() -> list[list[str]]:
        items = [running.history.tree.topLevelItem(i) for i in range(
            running.history.tree.topLevelItemCount())]
        return [[item.text(c) for c in range(4)] for item in items if item]
    assert [row[0] for row in rows()] == ["2", "from 3", "from 3"]
    assert rows()[1][2:] == ["0.04 → 1", "pending"]
    assert running.history.header.text() == "History (3)"
    used = Hyperparameters(kl_coef=1.0, gamma=0.9)
    changes = (Change("kl_coef", 0.04, 1.0), Change("gamma", 1.0, 0.9))
    running.applied(HyperparametersApplied(1, 3, changes, used))
    running.add_history(3, changes)
    assert [row[0] for row in rows()] == ["2", "3", "3"]
    running.staged(HyperparametersStaged({"kl_coef": 0.5}, 4))
    running.set_state(State.FINISHED)
    assert [row[0] for row in rows()] == ["2", "3", "3"]
