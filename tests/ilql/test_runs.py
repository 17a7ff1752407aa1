"""Runs of ILQL by the command line, with the bundled models: what they learn from is chosen, kept,
resumed, forked and listed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from workbench import cli
from workbench.learning.metrics import COMPARED
from workbench.records import ScoredData
from workbench.store.store import Store

pytestmark = pytest.mark.usefixtures("measured_once")
QUICK = ["--threads", "1", "--set", "batch_size=4", "--set", "steps_per_cycle=2", "--set",
         "response_length=6", "--set", "comparison_prompts=4", "--set", "checkpoint_every=1",
         "--set", "keep_checkpoints=9"]
PPO = ["train", "--threads", "1", "--cycles", "2", "--set", "batch_size=16", "--set",
       "response_length=6", "--set", "comparison_prompts=8", "--set", "checkpoint_every=1"]


def train(*more: str, data: Path | str | None = None, cycles: int = 3) -> int:
    chosen = [] if data is None else ["--data", str(data)]
    return cli.main(
        ["train", "--algorithm", "ilql", *QUICK, "--cycles", str(cycles), *chosen, *more])


def numbers(store: Store, run_id: int) -> dict[str, list[float]]:
    """Return all of a run's numbers that do not depend on the clock."""
    return {name: list(series.values) for name, series in store.metrics(run_id).items()
            if not name.startswith(("seconds", "tokens_per_second"))}


def wrote(path: Path, *records: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


GOOD = {"prompt": "The tea was", "completion": " hot.", "score": 1}
POOR = {"prompt": "The tea was", "completion": " a tea.", "score": -0.5}


def test_a_run_learns_from_another_and_goes_on_bit_for_bit_without_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(PPO) == 0
    capsys.readouterr()
    assert train(data="1") == 0
    said = capsys.readouterr()
    assert "Completions of Run 1: " in said.err
    assert "completions to learn from" in said.err
    assert "Run 2: 3 cycles of 2 steps on 4 completions each." in said.out
    store = Store(home)
    whole, data = numbers(store, 2), store.run_data(2)
    assert isinstance(data, ScoredData)
    # What it learned from, equal texts once; nothing of what was compared.
    known = {(store.run_prompts(1)[c.prompt].text, c.text, c.ended): c.score
             for c in store.every_rollout(1)}
    assert {(t.prompt.text, t.completion, t.ended): t.score for t in data.texts} == known
    assert len(data.texts) == len(known)
    record = store.run(2)
    assert record is not None
    assert (record.data["what"], record.data["completions"]) == ("Completions of Run 1", len(known))
    last = store.checkpoints.read(2, 3)[0]
    store.delete_run(1).result()
    store.close()
    assert cli.main(["resume", "2", "--cycle", "1"]) == 0
    assert cli.main(["fork", "2", "--cycle", "1", "--set", "beta=4"]) == 0
    capsys.readouterr()
    store = Store(home)
    assert numbers(store, 2) == whole
    again = store.checkpoints.read(2, 3)[0]
    assert last.keys() == again.keys()
    assert all(np.array_equal(last[name], again[name]) for name in last)
    fork = numbers(store, 4)
    assert fork["loss/q"] == whole["loss/q"]  # beta is of writing alone
    assert fork[COMPARED][0] == whole[COMPARED][0]
    assert store.run_data(4) == data
    assert cli.main(["show", "2"]) == 0
    assert "Completions of Run 1" in capsys.readouterr().out
    for run in (2, 3, 4):
        store.delete_run(run).result()
    assert list(store._db.query("select * from pair_sets")) == []
    store.close()


def test_without_being_told_it_learns_from_all_finished_runs_of_the_same_models(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(cycles=1) == 2
    assert ("ILQL learns from what finished runs of the same models wrote, and there are none"
            ) in capsys.readouterr().err
    reward = tmp_path / "reward.py"
    reward.write_text("def reward(prompts, completions):\n"
                      "    return [float(len(c)) for c in completions]\n")
    assert cli.main(PPO) == 0
    assert cli.main([*PPO, "--reward", str(reward), "--trust-reward-file"]) == 0
    assert cli.main([*PPO, "--seed", "1"]) == 0
    assert train(cycles=1) == 0
    assert "Completions of Run 3, Run 1: " in capsys.readouterr().err
    assert train("--data", "3", data="1", cycles=1) == 0
    assert "Completions of Run 1, Run 3: " in capsys.readouterr().err
    assert train(data="2", cycles=1) == 2
    assert ("Run 2 cannot be learned from together with these models: another reward scored its "
            "completions; choose another run, or load its models.") in capsys.readouterr().err


def test_a_file_of_completions_with_scores(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = wrote(tmp_path / "mine.jsonl", GOOD, POOR,
                 {"prompt": "Yes, it was", "completion": " good.", "label": True},
                 {**GOOD, "score": None})
    assert train(data=file, cycles=1) == 0
    said = capsys.readouterr().err
    assert "Line 4 has no score." in said
    assert "mine.jsonl: 3 scored completions, 1 left out: 1 without a score." in said
    assert "3 completions to learn from." in said
    store = Store(home)
    data = store.run_data(1)
    assert data is not None
    assert [(t.prompt.text, t.completion, t.score) for t in data.items] == [
        ("The tea was", " hot.", 1.0), ("The tea was", " a tea.", -0.5),
        ("Yes, it was", " good.", 1.0)]
    store.close()
    equal = wrote(tmp_path / "equal.jsonl", GOOD, {**POOR, "score": 1})
    assert train(data=equal, cycles=1) == 0
    assert "All their scores are equal" in capsys.readouterr().err


def test_what_cannot_be_learned_from_is_said_in_a_sentence(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for records, sentence in (
        ([], "mine.jsonl holds no scored completions; write"),
        ([{"prompt": "A", "completion": " b"}],
         "mine.jsonl holds no scored completions (0 scored completions, 1 left out: 1 without a "
         "score); the first: Line 1 has no score."),
        ([{**GOOD, "completion": " so" * 4000}],
         "None of the scored completions can be learned from: 1 longer than the"),
    ):
        assert train(data=wrote(tmp_path / "mine.jsonl", *records)) == 2
        assert sentence in capsys.readouterr().err
    assert train(data="7") == 2
    assert "There is no run 7" in capsys.readouterr().err
    assert train("--data", "1", data=wrote(tmp_path / "mine.jsonl", GOOD)) == 2
    assert "ILQL learns from one file, one run or several runs" in capsys.readouterr().err
    assert cli.main(["train", "--algorithm", "dpo", "--data", "1", "--data", "2"]) == 2
    assert ("DPO learns from one file, one run, or one set of judgements; give"
            ) in capsys.readouterr().err
    assert train("--least-difference", "1", data="1") == 2
    assert "--least-difference goes with --data RUN" in capsys.readouterr().err
    assert cli.main([*PPO, "--cycles", "1"]) == 0
    store = Store(home)
    store._db.execute("update completions set score = null")
    store._db.conn.commit()
    store.close()
    assert train(data="1") == 2
    assert ("Run 1 has no scored completions to learn from (what a run wrote to be compared is "
            "never learned from); choose another run."
            ) in capsys.readouterr().err
