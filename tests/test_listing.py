"""What the command line prints of runs and settings is whole, at any width."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.algorithms import ALGORITHMS, find_algorithm
from workbench.cli import main
from workbench.learning.metrics import COMPARED, SCORES
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.store.records import Prompt
from workbench.store.store import Store

FOLDER = "/data/home/someone/models/experiments/with_long_names"
NAMES = ("policy-checkpoint-0001", "reward-0001", "reward-0002")


@pytest.fixture
def run(store: Store) -> int:
    """A run whose models differ at the end of their paths alone."""
    facts = {"architecture": "GPT2LMHeadModel", "parameters": 10**6, "dtype": "float32",
             "device": "cpu"}
    return store.create_run(
        name="", policy=f"{FOLDER}/policy-checkpoint-0001", reward=f"{FOLDER}/reward-0002",
        models={"policy": facts, "reward": [
            {"source": f"{FOLDER}/reward-000{i}", "weight": 1.0, "facts": facts} for i in (1, 2)]},
        hyperparameters=Hyperparameters().model_dump(), prompts=[Prompt("one")]).result()


def shown(capsys: pytest.CaptureFixture[str], home: Path, run_id: int) -> list[str]:
    assert main(["show", str(run_id), "--home", str(home)]) == 0
    return capsys.readouterr().out.splitlines()


def test_paths_are_whole_where_no_terminal_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path, run: int
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = shown(capsys, home, run)
    for name in NAMES:
        assert sum(f"{FOLDER}/{name}" in line for line in lines) == 1


def test_a_run_of_whose_models_nothing_is_known(
    capsys: pytest.CaptureFixture[str], home: Path, store: Store
) -> None:
    run_id = store.create_run(
        name="Bare", policy="/models/mine", reward="", models={}, prompts=[Prompt("one")],
        hyperparameters=Hyperparameters().model_dump()).result()
    assert any("/models/mine" in line for line in shown(capsys, home, run_id))


@pytest.mark.parametrize(("algorithms", "title"), [
    (("ppo",), "training reward"), (("dpo", "dpo"), "compared reward"),
    (("ppo", "dpo"), "compared reward")])
def test_the_reward_is_titled_by_what_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path, store: Store,
    algorithms: tuple[str, ...], title: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    for name in algorithms:
        run_id = store.create_run(
            name="", policy="", reward="", models={}, prompts=[Prompt("one")], algorithm=name,
            hyperparameters=find_algorithm(name).settings().model_dump()).result()
        store.record_cycle(run_id, 1, metrics={SCORES: 0.25, COMPARED: 0.75}, rollout=[],
                           comparison=[]).result()
    assert main(["runs", "--home", str(home)]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert f"{title}  " in head
    assert sorted("0.75 to 0.75" in row for row in rows) == sorted(
        "dpo" in algorithms for _ in algorithms)


@pytest.mark.parametrize("columns", [80, 120])
def test_paths_that_differ_at_their_ends_do_so_in_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path, run: int,
    columns: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = shown(capsys, home, run)
    assert max(map(len, lines)) <= columns
    first = lines.index("Models") + 1
    table = lines[first : lines.index("", first)]
    start = len("reward × 1  ")
    end = table[0].index("GPT")
    column = "".join(line[start:end].strip() for line in table)
    assert column == "".join(f"{FOLDER}/{name}" for name in NAMES)


def test_settings_stand_in_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["ppo-workbench", "train", "--help"])
    for columns in ("80", "120"):
        monkeypatch.setenv("COLUMNS", columns)
        with pytest.raises(SystemExit):
            main(["train", "--help"])
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= int(columns)
        for algorithm in ALGORITHMS:
            specs = algorithm.settings.specs()
            title = f"{algorithm.title}: settings for --set, with their defaults:"
            own = lines[lines.index(title):]
            rows = {name: next(line for line in own if line.startswith(f"  {name} "))
                    for name in specs}
            assert len({rows[name].rindex(f"  {spec.label}")
                        for name, spec in specs.items()}) == 1
