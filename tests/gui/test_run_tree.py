"""The tree of runs: how it shows, forking, going back, drawing over, comparing settings."""

from pathlib import Path

import pytest
import shiboken6
from helpers.play import play, until
from helpers.window import DEFAULTS, Opened, fill, metrics
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QGuiApplication, QTextDocumentFragment
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QLabel, QTableWidget, QWidget
from pytestqt.qtbot import QtBot

from workbench.algorithms import headlines
from workbench.gui.actions import SPECS
from workbench.gui.app import Workbench
from workbench.gui.command_palette import plain
from workbench.gui.hyperparameters.form import HyperparametersForm
from workbench.gui.metrics.overlays import mix
from workbench.gui.runs.branch_dialog import BranchDialog
from workbench.gui.runs.comparison import as_markdown, as_tsv, compare
from workbench.gui.runs.delegate import STEP
from workbench.gui.runs.model import BRANCH_ROLE, RunsModel
from workbench.gui.runs.settings_table import SettingsTable
from workbench.gui.widgets.run_colours import run_colour, run_line, swatch
from workbench.gui.widgets.theme import DARK, LIGHT, themes
from workbench.ppo.declaration import PPO
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.records import Pair, PairData
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.reward_parts import RewardPart

pytestmark = pytest.mark.slow
CHANGED = [("learning_rate", 1e-4, 5e-5, "person")]


def fork(store: Store, parent: int, cycle: int, cycles: int = 0, **more: object) -> int:
    """Record a fork that has run on to ``cycles``."""
    record = store.run(parent)
    assert record
    run_id = store.fork_run(
        parent, cycle, name=str(more.get("name", "")), hyperparameters=record.hyperparameters,
        changes=more.get("changes", ())).result()  # type: ignore[arg-type]
    for done in range(cycle + 1, cycles + 1):
        store.record_cycle(run_id, done, metrics=metrics(2 * done), rollout=[],
                           comparison=[]).result()
    store.set_status(run_id, "finished").result()
    return run_id


@pytest.fixture
def family(store: Store) -> None:
    """Run 1 of six cycles with checkpoints; run 2, forked after 2; 3, forked from that; 4 alone;
    5, what run 1 did before it went back to cycle 4."""
    fill(store, 6)
    for cycle in (2, 4, 6):
        store.checkpoints.write(1, cycle, {}, {})
    fork(store, 1, 2, 5, changes=CHANGED)
    fork(store, 2, 4, 5)
    fill(store, 3, "Alone")
    store.go_back(1, 4, replay=False).result()
    store.set_status(1, "stopped").result()


def names(model: RunsModel) -> list[tuple[str, int]]:
    return [(model.index(row, 0).data(), model.index(row, 0).data(BRANCH_ROLE).depth)
            for row in range(model.rowCount())]


def select(opened: Opened, run_id: int) -> None:
    opened.window.runs.refresh()
    opened.window.runs._select(run_id)


def ready(opened: Opened) -> None:
    opened.controller.handle([ev.StateChanged(State.READY)])


def dialog(opened: Opened) -> BranchDialog:
    found = opened.window.findChild(BranchDialog)
    assert found
    return found


def ask_fork(opened: Opened, run_id: int) -> BranchDialog:
    """Ask for a fork of a run, with the models in memory."""
    ready(opened)
    select(opened, run_id)
    opened.window.actions_["fork_run"].trigger()
    return dialog(opened)


# -- the tree

@pytest.mark.usefixtures("family")
def test_forks_stand_below_the_run_they_came_from(store: Store) -> None:
    model = RunsModel()
    tester = QAbstractItemModelTester(
        model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.fill(store.runs(), store.metric_spans(headlines()))
    assert names(model) == [
        ("Alone", 0), ("Run 1", 0), ("Run 1, up to cycle 6", 1), ("Run 2", 1), ("Run 3", 2)]
    lines = [model.index(row, 0).data(BRANCH_ROLE).lines for row in range(5)]
    assert lines == [(), (), (True,), (False,), (False, False)]
    assert model.origin(store.run(3)) == "from Run 2, cycle 4"  # type: ignore[arg-type]
    spoken = model.index(4, 0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "Run 3, from Run 2, cycle 4"
    assert model.index(2, 3).data() == "abandoned"
    store.delete_run(2).result()
    model.fill(store.runs(), store.metric_spans(headlines()))
    assert names(model)[-1] == ("Run 3", 1)  # the fork of a fork stays, one step up
    assert model.origin(store.run(3)) == "from Run 1, cycle 2"  # type: ignore[arg-type]
    del tester


@pytest.mark.usefixtures("family")
def test_the_newest_run_is_the_one_started_last(opened: Opened) -> None:
    assert opened.window.runs.newest.id == 5  # type: ignore[union-attr]


@pytest.mark.usefixtures("family")
def test_the_list_draws_the_tree_and_takes_clicks_beside_it(opened: Opened, qtbot: QtBot) -> None:
    runs = opened.window.runs
    opened.window.reveal("runs")
    row = next(r for r in range(5) if runs.model.runs[r].id == 3)
    cell = runs.table.visualRect(runs.model.index(row, 0))
    for _ in range(2):
        beside = cell.left() + 2 * STEP + 11
        qtbot.mouseClick(runs.table.viewport(), Qt.MouseButton.LeftButton,
                         pos=QPoint(cell.left() + 11, cell.center().y()))  # where no box is
        before = runs.model.ticks
        qtbot.mouseClick(runs.table.viewport(), Qt.MouseButton.LeftButton,
                         pos=QPoint(beside, cell.center().y()))
        assert runs.model.ticks == before ^ {3}
    assert not runs.model.ticks


@pytest.mark.usefixtures("family")
def test_deleting_a_run_says_that_its_forks_stay(opened: Opened) -> None:
    select(opened, 1)
    opened.window.actions_["delete_selected"].trigger()
    box = opened.window.findChild(QWidget, "delete_run")
    said = box.informativeText()  # type: ignore[attr-defined]
    assert "Its forks are kept" in said
    assert "The curves, completions, checkpoints and settings of Run 1 are removed" in said
    assert "on display is another" not in said


@pytest.mark.usefixtures("family")
def test_deleting_another_run_than_the_one_on_display_says_so(opened: Opened) -> None:
    opened.controller.show_run(1)
    select(opened, 2)
    opened.window.actions_["delete_selected"].trigger()
    box = opened.window.findChild(QWidget, "delete_run")
    said = box.informativeText()  # type: ignore[attr-defined]
    assert "settings of Run 2" in said
    assert "the run on display is another" in said


@pytest.mark.usefixtures("family")
def test_the_fork_dialog_follows_the_run_that_is_alive(opened: Opened) -> None:
    opened.controller.resuming.live = 2
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    select(opened, 1)
    opened.window.actions_["fork_run"].trigger()
    warning = dialog(opened).findChild(QLabel, "branch_warning")
    assert warning.text().startswith("Run 2 is training now")
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    assert warning.text().startswith("Run 2 is paused: it will be ended.")
    opened.controller.handle([
        ev.RunFinished(2, "finished", 4, ""), ev.StateChanged(State.FINISHED)])
    assert warning.isHidden()
    dialog(opened).reject()


@pytest.mark.usefixtures("family")
def test_the_menu_of_a_run_has_what_the_palette_has(opened: Opened) -> None:
    ready(opened)
    select(opened, 2)
    texts = {action.text() for action in opened.window.runs.make_menu().actions()}
    assert {"Fork Run 2 from checkpoint…", "Go back in Run 2 to checkpoint…", "Rename Run 2",
            "Delete Run 2…", "Compare settings…"} <= texts
    assert texts <= {action.text() for action in opened.window.all_actions()}


def test_what_acts_on_the_selected_run_names_it(opened: Opened, store: Store) -> None:
    fill(store, 2)
    fill(store, 2, "R&D with a name that is far too long for any menu to show")
    ready(opened)
    actions = [opened.window.actions_[spec.id] for spec in SPECS if spec.of_run]
    assert len(actions) == 9
    assert not [a.text() for a in actions if "Run 1" in a.text()]
    select(opened, 1)
    assert [a.text() for a in actions if "Run 1" not in a.text()] == []
    select(opened, 2)
    assert [plain(a) for a in actions if "R&D with a" not in plain(a)] == []
    assert all(len(a.text()) < 70 for a in actions)
    # It is the run as it is called now.
    store.rename_run(2, "Short").result()
    opened.window.runs.refresh()
    assert opened.window.actions_["delete_selected"].text() == "Delete Short…"


@pytest.mark.parametrize("action", ["fork_run", "go_back"])
def test_a_branch_of_a_run_that_is_not_on_display_says_so(
    opened: Opened, store: Store, action: str
) -> None:
    for _ in range(2):
        store.checkpoints.write(fill(store, 2), 2, {}, {})
    ready(opened)
    opened.window.runs.refresh()
    opened.controller.show_run(2)
    said = "Run 1 is selected in Runs; the window shows Run 2."
    for run_id, tells in ((1, True), (2, False)):
        select(opened, run_id)
        opened.window.actions_[action].trigger()
        asked = dialog(opened)
        texts = [text.text() for text in asked.findChildren(QLabel)]
        assert any(text.startswith(said) for text in texts) is tells
        asked.reject()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


# -- fork and go back

@pytest.mark.usefixtures("family")
def test_the_fork_dialog_is_there_before_its_settings(opened: Opened, qtbot: QtBot) -> None:
    ready(opened)
    select(opened, 1)

    def forms() -> list[HyperparametersForm]:
        return dialog(opened).findChildren(HyperparametersForm)
    for early in (Qt.Key.Key_Escape, Qt.Key.Key_Return):
        opened.window.actions_["fork_run"].trigger()
        asked = dialog(opened)
        assert asked.isVisible()
        assert not forms()
        qtbot.keyClick(asked, early)
        assert not asked.isVisible()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert [c for c in opened.sent if isinstance(c, do.Fork)] == [do.Fork(1, 4, {}, "")]
    opened.window.show_starting(False)
    opened.window.actions_["fork_run"].trigger()
    asked = dialog(opened)
    qtbot.waitUntil(lambda: bool(forms()))
    passed = [asked.focusWidget()]
    while asked.focusWidget() is not asked.ok:
        qtbot.keyClick(asked.focusWidget(), Qt.Key.Key_Tab)
        passed.append(asked.focusWidget())
    assert asked.form.rows["kl_coef"].field in passed  # the buttons come last
    asked.reject()


@pytest.mark.usefixtures("family")
def test_a_fork_is_asked_for_with_checkpoint_settings_and_name(opened: Opened) -> None:
    asked = ask_fork(opened, 1)
    cells = [[asked.checkpoints.item(r, c).text() for c in range(3)] for r in range(3)]
    # What the policy wrote after that cycle, as in Checkpoints; not the batch it learned from.
    assert cells == [["4", "0.20", "0.800"], ["2", "−0.40", "0.400"], ["0, the start", "", ""]]
    asked.form.commit()  # which the summary waits for
    assert asked._summary.text() == "Nothing changes: it goes the way Run 1 went."
    assert not asked.form.rows["lora_rank"].field.isEnabled()
    asked.form.set_values({"learning_rate": 2e-4, "seed": 3}, "test")
    assert asked._summary.text() == "Changes: Seed 0 → 3; Learning rate 1e-4 → 2e-4."
    asked.choose(2)
    assert asked.changes() == {"learning_rate": 2e-4, "seed": 3}
    asked.name.setText("Bold")
    asked.accept()
    assert opened.sent == [do.Fork(1, 2, {"learning_rate": 2e-4, "seed": 3}, "Bold")]


@pytest.mark.usefixtures("family")
def test_a_fork_may_go_on_with_the_reward_in_models(opened: Opened) -> None:
    ready(opened)
    opened.window.models.reward.set_source("/models/reward")  # the run's
    select(opened, 1)
    opened.window.actions_["fork_run"].trigger()
    asked = dialog(opened)
    assert not asked.with_reward.isVisibleTo(asked)
    asked.reject()
    asked.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    opened.window.models.reward.set_source("/models/other")
    opened.window.actions_["fork_run"].trigger()
    asked = dialog(opened)
    assert asked.with_reward.isVisibleTo(asked)
    assert asked.with_reward.text() == "With the reward in Models: other"
    asked.form.commit()
    assert asked._summary.text() == "Nothing changes: it goes the way Run 1 went."
    asked.with_reward.click()
    assert "It goes on with other, and keeps no scores of reward" in asked._summary.text()
    asked.choose(0)
    assert "Choose a later checkpoint" in asked._summary.text()
    assert not asked.ok.isEnabled()
    asked.choose(2)
    asked.accept()
    assert opened.sent == [do.Fork(1, 2, reward=(RewardPart("/models/other"),))]


@pytest.mark.usefixtures("family")
def test_a_fork_may_learn_by_another_algorithm(
    opened: Opened, qtbot: QtBot, tmp_path: Path
) -> None:
    asked = ask_fork(opened, 1)
    field = asked.algorithm_field
    assert (field.currentText(), field.isVisibleTo(asked)) == ("PPO", True)
    offered = opened.window.hyperparameters.algorithm_field
    assert [field.itemText(place) for place in range(field.count())] == [
        offered.itemText(place) for place in range(offered.count())
        if offered.itemText(place) != "Reward model"]
    assert not asked.data_line.isVisibleTo(asked)
    assert "kl_coef" in asked.form.values()
    asked.choose_algorithm("dpo")
    # What means the same to both is kept.
    assert asked.form.values()["learning_rate"] == 1e-4
    assert "kl_coef" not in asked.form.values()
    assert not asked.form.rows["lora_rank"].field.isEnabled()
    asked.form.set_values({"beta": 0.5}, "test")
    assert asked._summary.text() == "It goes on by DPO. Changes: Beta (β) 0.1 → 0.5."
    assert field.currentText() == "DPO"
    assert asked.data_line.text.text() == "Bundled pairs (1,921 pairs)"
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "tea", "chosen": " good", "rejected": " bad"}\n')
    asked.data_line.open_file(path)
    qtbot.waitUntil(lambda: asked.data_line.text.text() == "mine.jsonl (1 pair)")
    assert opened.window.hyperparameters.data_line.data is None  # which has its own
    asked.accept()
    (fork,) = opened.sent
    assert isinstance(fork, do.Fork)
    assert (fork.run_id, fork.cycle, fork.changes, fork.algorithm) == (1, 4, {"beta": 0.5}, "dpo")
    assert isinstance(fork.data, PairData)
    assert fork.data.pairs == (Pair("tea", " good", " bad"),)


@pytest.mark.usefixtures("family")
def test_a_fork_may_learn_in_another_way_of_its_algorithm(opened: Opened) -> None:
    asked = ask_fork(opened, 1)
    place = asked.algorithm_field.findText("GRPO")
    asked.algorithm_field.setCurrentIndex(place)
    asked.algorithm_field.activated.emit(place)
    assert asked.algorithm_field.currentText() == "GRPO"
    asked.accept()
    (fork,) = opened.sent
    assert isinstance(fork, do.Fork)
    assert (fork.algorithm, fork.changes["advantage_estimator"]) == ("", "group")


@pytest.mark.parametrize("back", [False, True])
def test_what_a_run_changed_after_the_checkpoint_is_not_called_its_way(
    opened: Opened, store: Store, back: bool
) -> None:
    run_id = fill(store, 4)
    store.checkpoints.write(run_id, 3, {}, {})
    store.record_changes(run_id, 3, [("temperature", 1.0, 0.8, "person")]).result()
    store.set_status(run_id, "stopped").result()
    ready(opened)
    select(opened, run_id)
    opened.window.actions_["go_back" if back else "fork_run"].trigger()
    asked = dialog(opened)
    assert asked.form.isVisibleTo(asked)  # which the dialog brings once it is on the screen
    asked.choose(3)
    assert asked._summary.text() == "Nothing changes: it goes the way Run 1 went."
    asked.choose(0)
    later = ("What Run 1 changed after that is not repeated: cycle 2: KL coefficient (β) 0.05 → "
             "0.1; cycle 3: Temperature 1 → 0.8.")
    assert asked._summary.text() == f"No setting changes. {later}"
    asked.form.set_values({"seed": 3}, "test")
    assert asked._summary.text() == f"Changes: Seed 0 → 3. {later}"


@pytest.mark.usefixtures("family")
def test_the_reward_of_a_checkpoint_has_the_name_of_what_it_is(opened: Opened) -> None:
    ready(opened)
    select(opened, 1)
    for action in ("fork_run", "checkpoints"):
        opened.window.actions_[action].trigger()
        tables = [t for t in opened.window.findChildren(QTableWidget)
                  if t.objectName() in ("checkpoints", "checkpoints_table")]
        titles = [t.horizontalHeaderItem(1).text() for t in tables]
        assert titles == ["Compared reward"], action
        tables[0].window().close()
        shiboken6.delete(tables[0].window())


@pytest.mark.usefixtures("family")
def test_from_the_start_of_a_run_everything_can_change(opened: Opened) -> None:
    ready(opened)
    select(opened, 1)
    opened.window.runs.fork_button.click()
    asked = dialog(opened)
    asked.choose(0)
    asked.form.set_values({"lora_rank": 4}, "test")
    assert asked.changes() == {"lora_rank": 4}
    asked.choose(4)
    assert asked.changes() == {}


def test_a_run_that_did_all_its_cycles_gets_more_in_its_fork(
    opened: Opened, store: Store
) -> None:
    store.checkpoints.write(fill(store, 3), 3, {}, {})
    ready(opened)
    select(opened, 1)
    opened.controller.branching.fork()
    assert dialog(opened).changes() == {"num_cycles": 23}
    dialog(opened).choose(0)
    assert dialog(opened).changes() == {}
    dialog(opened).form.set_values({"num_mini_batches": 7}, "test")
    assert "must divide" in dialog(opened)._summary.text()
    assert not dialog(opened).ok.isEnabled()


@pytest.mark.usefixtures("family")
def test_going_back_changes_only_what_is_live(opened: Opened) -> None:
    ready(opened)
    select(opened, 1)
    opened.window.actions_["go_back"].trigger()
    asked = dialog(opened)
    assert not asked.name.isVisible()
    assert asked.cycle == 2  # the run stands after 4
    assert not asked.form.rows["seed"].field.isEnabled()
    asked.accept()
    assert opened.sent == [do.GoBack(1, 2, {})]
    opened.controller.handle([ev.RunResumed(1, "Run 1", 2, "ppo", DEFAULTS, abandoned=6)])
    assert opened.window.toast.text == (
        "Run 1 goes on after cycle 2. What it did later is kept in Runs as an abandoned branch.")


@pytest.mark.usefixtures("family")
def test_a_run_of_another_process_can_be_forked_but_not_sent_back(
    opened: Opened, store: Store
) -> None:
    store.set_status(1, "running").result()
    ready(opened)
    select(opened, 1)
    assert opened.window.actions_["fork_run"].isEnabled()
    assert not opened.window.actions_["go_back"].isEnabled()


def test_a_running_run_is_paused_before_its_fork(opened: Opened, store: Store) -> None:
    run_id = fill(store, 3, status="running")
    store.checkpoints.write(run_id, 2, {}, {})
    settings = Hyperparameters(learning_rate=1e-4, num_cycles=20)
    opened.controller.handle([
        ev.RunStarted(run_id, "Run 1", "ppo", settings.model_dump()),
        ev.StateChanged(State.RUNNING)])
    form = opened.window.hyperparameters.form
    form.set_values({**settings.model_dump(), "seed": 9}, "test")
    form.fork_button.click()
    asked = dialog(opened)
    assert asked.cycle is None  # the cycle in hand
    assert asked.changes()["seed"] == 9
    asked.accept()
    assert opened.sent == [do.Pause()]
    opened.controller.handle([ev.StateChanged(State.RUNNING, "Pausing after cycle 4")])
    assert len(opened.sent) == 1
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    [command] = opened.sent[1:]
    assert isinstance(command, do.Fork)
    assert (command.run_id, command.cycle, command.changes["seed"]) == (run_id, None, 9)


def test_a_fork_shows_the_shared_past_and_where_it_branched(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    fill(store, 4)
    fork(store, 1, 2, 4, changes=CHANGED)
    opened.controller.handle([ev.RunResumed(
        2, "Run 2", 2, "ppo", Hyperparameters(kl_coef=0.3).model_dump(), parent="Run 1")])
    assert opened.window.toast.text == "Run 2 is a fork of Run 1 after cycle 2."
    assert opened.window.hyperparameters.undo_stack.undoText() == "settings of Run 2"
    view = opened.window.metrics
    qtbot.waitUntil(lambda: view._run is not None and len(view._run.cycles) == 4)
    view.repaint_now()
    assert view._run.origin == (2, "Forked from Run 1 after cycle 2")  # type: ignore[union-attr]
    line = view._grid._plots[0].marks.fork
    assert line.isVisible()
    assert line.value() == 2
    assert opened.window.completions.controls.pickers[1].findText("2 (fork)") >= 0
    # The fork's change, journaled before its cycle began, is not shown twice.
    change = ev.Change("learning_rate", 1e-4, 5e-5)
    opened.controller.handle([ev.HyperparametersApplied(2, 3, (change,), DEFAULTS)])
    history = opened.window.hyperparameters.history.tree
    assert [history.topLevelItem(i).text(0) for i in range(history.topLevelItemCount())] == [
        "2", "3"]


def test_a_fork_in_the_application(qapp: QApplication, home: Path) -> None:
    async def scene(workbench: Workbench) -> None:
        window = workbench.window
        await until(lambda: window.state is State.READY)
        window.hyperparameters.form.set_values(
            {"num_cycles": 2, "batch_size": 8, "response_length": 8, "comparison_prompts": 2},
            "test")
        window.actions_["start"].trigger()
        await until(lambda: window.state is State.FINISHED)
        window.runs._select(1)
        window.actions_["fork_run"].trigger()
        asked = window.findChild(BranchDialog)
        assert asked.changes() == {"num_cycles": 22}
        asked.form.set_values({"num_cycles": 3, "seed": 4}, "test")
        asked.accept()
        await until(lambda: workbench.controller.shown == 2
                    and window.state is State.FINISHED)
        view = window.metrics
        assert window.runs.model.ticks == {1}  # its parent
        await until(lambda: len(view._overlays()) == 1 and view._run.run_id == 2)
        await until(lambda: list(view._run.cycles) == [1, 2, 3])
        view.repaint_now()
        assert [d.name for d in view._grid._plots[0]._overlays.runs] == ["Run 1"]

    play(qapp, home, scene)


# -- drawing over

@pytest.fixture
def drawn(qtbot: QtBot, opened: Opened, store: Store) -> Opened:
    """A window that shows run 1 with its fork, run 2, and run 3 drawn over it."""
    fill(store, 6)
    fork(store, 1, 2, 5, changes=CHANGED)
    fill(store, 3, "Alone")
    opened.window.runs.refresh()
    opened.controller.show_run(1)
    opened.window.runs.model.set_ticked({1, 2, 3})
    view = opened.window.metrics
    qtbot.waitUntil(lambda: view._run is not None and len(view._run.cycles) == 6
                    and len(view._overlays()) == 2)
    view.repaint_now()
    return opened


def test_ticked_runs_are_drawn_behind_the_one_on_display(drawn: Opened, store: Store) -> None:
    view = drawn.window.metrics
    for plot in view._grid._plots:
        first, second = plot._overlays.runs
        assert (first.name, second.name) == ("Run 2", "Alone")
        assert first.x.tolist() == [2, 3, 4, 5]  # the past it shares with run 1 is drawn once
        assert second.values.tolist() == store.metrics(3)[plot.about.name].values
    assert view.plots() == list(PPO.default_plots)
    low, high = view._grid._plots[0]._box.viewRange()[1]
    assert low < 0.5
    assert high > 5  # the fork's scores are twice as high
    assert all(name in view._grid.legend.text() for name in ("Run&nbsp;1", "Run&nbsp;2", "Alone"))
    drawn.window.actions_["clear_overlays"].trigger()
    view.repaint_now()
    assert view._grid._plots[0]._overlays.runs == []
    assert not view._grid.legend.isVisible()


def test_a_drawn_over_run_goes_on_growing(qtbot: QtBot, drawn: Opened) -> None:
    view = drawn.window.metrics
    drawn.controller.handle([ev.CycleFinished(3, 4, 20, metrics(4))])
    view.repaint_now()
    assert view._grid._plots[0]._overlays.runs[1].x.tolist() == [1, 2, 3, 4]
    drawn.window.runs.model.set_ticked({3})  # nothing has to be read anew
    view.repaint_now()
    assert view._grid._plots[0]._overlays.runs[0].x.tolist() == [1, 2, 3, 4]


def test_a_fork_that_begins_is_drawn_with_its_parent_and_what_was_ticked(
    qtbot: QtBot, drawn: Opened, store: Store
) -> None:
    view, model = drawn.window.metrics, drawn.window.runs.model
    model.set_ticked({3})
    qtbot.waitUntil(lambda: len(view._overlays()) == 1)
    begun = fork(store, 1, 3)
    drawn.controller.handle([
        ev.RunResumed(begun, "Run 4", 3, "ppo", DEFAULTS, parent="Run 1"),
        ev.StateChanged(State.RUNNING)])
    assert model.ticks == {1, 3}
    qtbot.waitUntil(lambda: view._run.run_id == begun and len(view._run.cycles) == 3
                    and [run.run_id for run in view._overlays()] == [1, 3])
    view.repaint_now()
    assert [run.name for run in view._grid._plots[0]._overlays.runs] == ["Run 1", "Alone"]


def test_the_pointer_names_the_curve_it_is_on(qtbot: QtBot, drawn: Opened) -> None:
    plot = drawn.window.metrics._grid._plots[0]
    drawn.window.resize(1280, 720)
    drawn.window.dock_layout.reset()
    qtbot.waitUntil(lambda: plot._box.height() > 0)
    assert plot.nearest(5.0, 5.0) == "Run 2"
    assert plot.nearest(5.0, 2.5) == "Run 1"
    low, high = plot._box.viewRange()[1]
    assert plot.nearest(5.0, 5.0 + 30 * (high - low) / plot._box.height()) == ""
    assert plot.nearest(5.0, 5.0 + 9 * (high - low) / plot._box.height()) == "Run 2"


def test_the_crosshair_reads_every_run(qtbot: QtBot, drawn: Opened, store: Store) -> None:
    view = drawn.window.metrics
    plots = list(view._grid)
    drawn.window.resize(1280, 720)
    drawn.window.dock_layout.reset()
    qtbot.waitUntil(lambda: plots[0].width() > 300)
    table = view.findChild(QLabel, "crosshair_values")

    def read() -> str:
        view.repaint_now()
        assert table.isVisible()
        return " ".join(QTextDocumentFragment.fromHtml(table.text()).toPlainText().split())

    plots[0].hovered.emit((3.0, 3.0))
    assert read() == "Run 1 1.50 Run 2 3.00 Alone 1.50"  # run 2 is twice as high
    assert "<b>Run 2" in table.text()  # the curve that is pointed at
    view._grid.plot_of("objective/kl").hovered.emit((3.0, 50.0))
    assert read() == "Run 1 0.600 Run 2 1.20 Alone 0.600"
    assert "<b>" not in table.text()
    plots[0].hovered.emit((5.0, 5.0))
    assert read() == "Run 1 2.50 Run 2 5.00 Alone –"  # which has three cycles
    assert not table.geometry().intersects(plots[0].geometry())
    assert view._grid.rect().contains(table.geometry())
    view.show_run(3, store.metrics(3), [])  # shorter than those drawn over it
    view.repaint_now()
    plots[0].hovered.emit((5.2, 5.0))
    assert read() == "Alone – Run 1 2.50 Run 2 5.00"
    qtbot.keyClick(view, Qt.Key.Key_Return)
    assert view._pointing.choice.cycle is None  # there is no such cycle to go to
    plots[0].hovered.emit(None)
    view.repaint_now()
    assert not table.isVisible()


def test_smoothing_and_scale_reach_the_drawn_over_runs(drawn: Opened) -> None:
    view = drawn.window.metrics
    before = view._grid._plots[0]._overlays.runs[1].values.tolist()
    view.controls.slider.setValue(80)
    view.controls.log.setChecked(True)
    view.controls.x_axis["time"].setChecked(True)
    view.repaint_now()
    after = view._grid._plots[0]._overlays.runs[1]
    assert after.values.tolist() != before
    assert after.x.tolist() == [2, 4, 6]


def test_colours_belong_to_runs_in_both_themes(drawn: Opened, theme: None) -> None:
    view = drawn.window.metrics
    for look in (LIGHT, DARK):
        themes().set_mode(look.name)
        main = view._grid._plots[0]._curves.items[0][1].opts["pen"].color().name()
        assert main == run_colour(1, look) == look.series[0]
        assert run_colour(2, look) in view._grid.legend.text()


def test_a_ticked_run_gets_a_colour_that_no_other_has(
    qtbot: QtBot, drawn: Opened, store: Store
) -> None:
    for _ in range(7):
        fill(store, 2)  # runs 4 to 10
    drawn.window.runs.refresh()
    model, view = drawn.window.runs.model, drawn.window.metrics

    def tick(*runs: int) -> dict[int, str]:
        model.set_ticked(runs)
        qtbot.waitUntil(lambda: {run.run_id for run in view._others} == set(runs))
        view.repaint_now()
        return {run: run_colour(run, LIGHT) for run in {1, *runs}}

    assert run_colour(9, LIGHT) != run_colour(1, LIGHT)  # which is on display
    before = tick(9, 2)
    assert len(set(before.values())) == 3
    after = tick(9, 2, 10, 3)
    assert len(set(after.values())) == 5
    assert before.items() <= after.items()
    themes().set_mode("light")
    drawn_in = [item.opts["pen"].color().name()
                for item in view._grid._plots[0]._overlays._curves]
    assert drawn_in == [mix(after[run], LIGHT.base, 0.8) for run in (2, 3, 9, 10)]
    assert tick(2, 10).items() <= after.items()
    every = tick(*range(2, 11))
    assert len(set(every.values())) == len(LIGHT.series)  # then the kind of line tells
    assert len({(run_colour(i, LIGHT), run_line(i)) for i in every}) == 10
    pictures = [swatch(i, LIGHT, True) for i in every]
    assert all(a != b for i, a in enumerate(pictures) for b in pictures[:i])


def test_ticks_are_remembered(drawn: Opened) -> None:
    saved = drawn.window.save_state()
    model = drawn.window.runs.model
    model.set_ticked(())
    drawn.window.restore_views(saved)
    assert model.ticks == {1, 2, 3}
    drawn.window.runs.restore_state({"ticked": [2, 99, "x"]})
    assert model.ticks == {2}


def test_a_deleted_run_is_no_longer_drawn(drawn: Opened, store: Store) -> None:
    store.delete_run(3).result()
    drawn.window.runs.refresh()
    drawn.window.metrics.repaint_now()
    assert [d.name for d in drawn.window.metrics._grid._plots[0]._overlays.runs] == ["Run 2"]


# -- comparing settings

@pytest.mark.usefixtures("family")
def test_only_what_differs_is_compared(store: Store) -> None:
    runs = [store.run(i) for i in (2, 4)]
    rows = {row.title: row.cells for row in compare(store, runs)}  # type: ignore[arg-type]
    assert rows["Learning rate"] == ("1e-4 → 5e-5 at cycle 3", "1e-4")
    assert rows["Cycles"] == ("6", "3")
    assert rows["Cycles run"] == ("5", "3")
    assert rows["Best training reward"] == ("5.00 at cycle 5", "1.50 at cycle 3")
    assert rows["Last KL to start policy"] == ("2.00 nats", "0.600 nats")
    assert rows["Forked from"] == ("Run 1, cycle 2", "–")
    assert not {"Policy", "Prompts", "Seed", "Temperature"} & set(rows)
    text = as_tsv(runs, compare(store, runs))  # type: ignore[arg-type]
    assert text.splitlines()[0] == "Setting\tRun 2\tAlone"
    assert "Learning rate\t1e-4 → 5e-5 at cycle 3\t1e-4" in text
    assert "| Learning rate | 1e-4 → 5e-5 at cycle 3 | 1e-4 |" in as_markdown(
        runs, compare(store, runs))  # type: ignore[arg-type]


def test_the_table_of_the_runs_in_the_plots(drawn: Opened) -> None:
    drawn.window.actions_["compare_settings"].trigger()
    table = drawn.window.findChild(SettingsTable)
    headings = [table.table.horizontalHeaderItem(i).text() for i in range(3)]
    assert sorted(headings) == ["Alone", "Run 1", "Run 2"]
    table.findChild(QWidget, "copy_settings_tsv").click()  # type: ignore[attr-defined]
    assert QGuiApplication.clipboard().text().startswith("Setting\t")
    assert drawn.window.toast.text == "Copied."
    table.close()


def test_one_run_alone_is_not_compared(opened: Opened, store: Store) -> None:
    fill(store)
    opened.window.runs.refresh()
    opened.controller.show_run(1)
    opened.window.actions_["compare_settings"].trigger()
    assert opened.window.findChild(SettingsTable) is None
    assert "Tick one or more" in opened.window.toast.text
