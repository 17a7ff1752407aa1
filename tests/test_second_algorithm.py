"""A second algorithm, which is nothing but its entry in the list: trained, resumed, forked and
listed by the command line and in the window, with the bundled models, beside runs of PPO."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.play import SMALL, play, until
from helpers.reinforce import REINFORCE, ReinforceSettings, add_reinforce
from PySide6.QtWidgets import QApplication

from workbench import cli
from workbench.gui.app import Workbench
from workbench.gui.runs.branch_dialog import BranchDialog
from workbench.learning.metrics import COMPARED, KL, LENGTH, SCORES
from workbench.ppo.declaration import PPO
from workbench.store.store import Store
from workbench.training.events import State

LOSS = "reinforce/loss"
QUICK = ["--threads", "1", "--set", "batch_size=8", "--set", "response_length=6",
         "--set", "comparison_prompts=4", "--set", "checkpoint_every=1",
         "--set", "keep_checkpoints=9"]


@pytest.fixture(autouse=True)
def _two(monkeypatch: pytest.MonkeyPatch, measured_once: None) -> None:
    add_reinforce(monkeypatch)


def numbers(store: Store, run_id: int) -> dict[str, list[float]]:
    """Return all of a run's numbers that do not depend on the clock."""
    return {name: list(series.values) for name, series in store.metrics(run_id).items()
            if not name.startswith(("seconds", "tokens_per_second"))}


def test_it_learns(home: Path) -> None:
    assert cli.main([
        "train", "--algorithm", "reinforce", "--threads", "1", "--seed", "1", "--cycles", "8",
        "--set", "batch_size=32", "--set", "response_length=16", "--set", "learning_rate=1e-3",
        "--set", "lr_scheduler_type=constant", "--set", "comparison_prompts=32"]) == 0
    store = Store(home)
    found = store.metrics(1)
    assert set(found) == {metric.name for metric in REINFORCE.metrics if not metric.absent}
    compared = found[COMPARED].values
    assert compared[-1] > compared[0] + 0.5
    store.close()


def test_it_is_trained_resumed_forked_and_listed(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    train = ["train", *QUICK, "--cycles", "3"]
    assert cli.main([*train, "--algorithm", "reinforce", "--json",
                     "--set", "steps_per_batch=2"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert cli.main(train) == 0
    assert "value loss" in capsys.readouterr().out
    assert cli.main([*train, "--algorithm", "reinforce", "--set", "clip=1"]) == 2
    assert "no hyperparameter named 'clip'" in capsys.readouterr().err
    assert cli.main([*train, "--algorithm", "unheard"]) == 2
    assert "there are: ppo, dpo, kto, ilql, reward, reinforce" in capsys.readouterr().err
    store = Store(home)
    whole, ppo = numbers(store, 1), numbers(store, 2)
    assert whole[LOSS] == [line[LOSS] for line in told]
    assert whole["policy/steps"] == [2.0, 2.0, 2.0]
    store.close()
    assert cli.main(["resume", "1", "--cycle", "1"]) == 0
    assert cli.main(["fork", "1", "--cycle", "1", "--set", "mean_baseline=off"]) == 0
    out = capsys.readouterr().out
    assert "reward " in out
    assert "loss " in out
    store = Store(home)
    assert numbers(store, 1) == whole
    assert numbers(store, 2) == ppo
    assert {run.id: run.algorithm for run in store.runs()} == {
        1: "reinforce", 2: "ppo", 3: "reinforce", 4: "reinforce"}
    fork = numbers(store, 4)
    assert fork[LOSS][0] == whole[LOSS][0]
    assert fork[LOSS][1:] != whole[LOSS][1:]
    store.close()
    assert cli.main(["runs"]) == 0
    assert cli.main(["show", "4"]) == 0
    out = capsys.readouterr().out
    assert out.split()[:3] == ["run", "name", "algorithm"]
    assert "Run 4 (REINFORCE) finished after 3 cycles" in out
    assert "mean_baseline" in out
    assert "REINFORCE loss" in out
    assert "Value loss" not in out


def test_a_home_with_its_runs_is_listed_without_it(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["train", *QUICK, "--cycles", "1", "--algorithm", "reinforce",
                     "--set", "mean_baseline=off"]) == 0
    monkeypatch.undo()
    monkeypatch.setenv("PPO_WORKBENCH_HOME", str(home))
    capsys.readouterr()
    assert cli.main(["runs"]) == 0
    assert cli.main(["show", "1"]) == 0
    out = capsys.readouterr().out
    assert "Run 1" in out
    assert "Metrics of cycle 1" in out
    for command in (["resume", "1", "--cycles", "2"], ["fork", "1"]):
        assert cli.main(command) == 2
        assert ("Run 1 learns by 'reinforce', which this version of PPO Workbench does not know; "
                "go on with it in the one that trained it.") in capsys.readouterr().err


def test_it_is_chosen_and_followed_in_the_window(qapp: QApplication, home: Path) -> None:
    assert cli.main(["train", *QUICK, "--cycles", "2"]) == 0
    before = Store(home)
    ppo = numbers(before, 1)
    before.close()

    async def scenario(workbench: Workbench) -> None:
        window, store = workbench.window, workbench.store
        dock, view = window.hyperparameters, window.metrics

        async def ended() -> None:
            await until(lambda: window.state is State.FINISHED)

        def plotted() -> list[int]:
            return [int(c) for c in view._run.cycles] if view._run else []

        await until(lambda: window.state is State.READY)
        assert view.plots() == list(PPO.default_plots)
        dock.algorithm_field.setCurrentText("REINFORCE")
        dock.algorithm_field.activated.emit(dock.algorithm_field.currentIndex())
        dock.form.set_values({**SMALL, "num_cycles": 3, "checkpoint_every": 1,
                              "keep_checkpoints": 9}, "test")
        assert "by REINFORCE" in window.trains.sentence
        window.actions_["start"].trigger()
        await until(lambda: window.state is State.RUNNING)
        assert not dock.algorithm_field.isEnabled()
        await ended()
        await until(lambda: plotted() == [1, 2, 3])
        assert view.plots() == [SCORES, LOSS, KL, LENGTH]
        run = store.run(2)
        assert run is not None
        assert run.algorithm == "reinforce"
        assert ReinforceSettings.parse(run.hyperparameters).num_cycles == 3
        whole = numbers(store, 2)
        # Back to its first cycle: the same numbers again.
        window.runs.table.selectRow([r.id for r in window.runs.model.runs].index(2))
        window.actions_["go_back"].trigger()
        dialog = window.findChild(BranchDialog, "go_back_dialog")
        assert set(dialog.form.rows) == set(REINFORCE.settings.specs())
        dialog.choose(1)
        dialog.accept()
        await until(lambda: window.state is State.RUNNING)
        await ended()
        await until(lambda: plotted() == [1, 2, 3])
        assert numbers(store, 2) == whole
        # A fork without the baseline, then a run of PPO: neither minds the other.
        window.runs.table.selectRow([r.id for r in window.runs.model.runs].index(2))
        window.actions_["fork_run"].trigger()
        dialog = window.findChild(BranchDialog, "fork_dialog")
        dialog.choose(1)
        dialog.form.set_values({"mean_baseline": False}, "test")
        dialog.accept()
        await until(lambda: window.state is State.RUNNING)
        await ended()
        fork = window.runs.newest
        assert fork is not None
        assert (fork.parent, fork.parent_cycle, fork.algorithm) == (2, 1, "reinforce")
        assert dock.form.values()["mean_baseline"] is False
        window.runs.opened.emit(1)
        await until(lambda: plotted() == [1, 2])
        assert view.plots() == list(PPO.default_plots)
        assert dock.algorithm is PPO
        assert numbers(store, 1) == ppo
        dock.form.set_values({**SMALL, "num_cycles": 1}, "test")
        window.actions_["start"].trigger()
        await until(lambda: window.state is State.RUNNING)
        await ended()
        newest = window.runs.newest
        assert newest is not None
        assert newest.algorithm == "ppo"

    async def again(workbench: Workbench) -> None:
        window = workbench.window
        await until(lambda: window.state is State.READY)
        assert window.hyperparameters.algorithm is PPO
        assert window.hyperparameters._kept["reinforce"].values["mean_baseline"] is False

    play(qapp, home, scenario)
    play(qapp, home, again)
