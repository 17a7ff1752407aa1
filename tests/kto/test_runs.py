"""Runs of KTO by the command line, with the bundled models: what they learn from is chosen, kept,
resumed, forked and listed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from workbench import cli
from workbench.records import ScoredData
from workbench.store.store import Store

pytestmark = pytest.mark.usefixtures("measured_once")
QUICK = ["--threads", "1", "--set", "batch_size=4", "--set", "steps_per_cycle=2", "--set",
         "response_length=6", "--set", "comparison_prompts=4", "--set", "checkpoint_every=1",
         "--set", "keep_checkpoints=9"]
PPO = ["train", "--threads", "1", "--cycles", "2", "--set", "batch_size=16", "--set",
       "response_length=6", "--set", "comparison_prompts=8", "--set", "checkpoint_every=1"]


def train(*more: str, data: Path | str, cycles: int = 3) -> int:
    return cli.main(["train", "--algorithm", "kto", *QUICK, "--cycles", str(cycles),
                     "--data", str(data), *more])


def numbers(store: Store, run_id: int) -> dict[str, list[float]]:
    """Return all of a run's numbers that do not depend on the clock."""
    return {name: list(series.values) for name, series in store.metrics(run_id).items()
            if not name.startswith(("seconds", "tokens_per_second"))}


def wrote(path: Path, *records: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def mark(label: object, completion: object = " hot.", prompt: object = "The tea was"
         ) -> dict[str, object]:
    return {"prompt": prompt, "completion": completion, "label": label}


def test_a_run_learns_from_another_and_goes_on_bit_for_bit_without_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(PPO) == 0
    capsys.readouterr()
    assert train(data="1") == 0
    said = capsys.readouterr()
    assert "Completions of Run 1: " in said.err
    assert "completions to learn from" in said.err
    assert "are good, with scores of at least" in said.out
    assert "Run 2: 3 cycles of 2 steps on 4 completions each." in said.out
    store = Store(home)
    whole, data = numbers(store, 2), store.run_data(2)
    assert isinstance(data, ScoredData)
    last = store.checkpoints.read(2, 3)[0]
    store.delete_run(1).result()
    store.close()
    assert cli.main(["resume", "2", "--cycle", "1"]) == 0
    assert cli.main(["fork", "2", "--cycle", "1", "--set", "desirable_weight=4"]) == 0
    capsys.readouterr()
    store = Store(home)
    assert numbers(store, 2) == whole
    again = store.checkpoints.read(2, 3)[0]
    assert last.keys() == again.keys()
    assert all(np.array_equal(last[name], again[name]) for name in last)
    fork = numbers(store, 4)
    assert fork["loss/kto"][0] == whole["loss/kto"][0]
    assert fork["loss/kto"][1] != whole["loss/kto"][1]
    assert store.run_data(4) == data
    store.close()
    assert cli.main(["show", "2"]) == 0
    assert "Completions of Run 1" in capsys.readouterr().out


def test_a_file_of_labels(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [{"role": "user", "content": "How was the tea?"}]
    file = wrote(
        tmp_path / "mine.jsonl", mark(True), mark(False, " a tea."), mark("good", " so good."),
        mark("bad", prompt=asked), mark("fair"),
        mark(1, [{"role": "assistant", "content": "Hot."}], asked))
    assert train("--set", "held_out_share=0", data=file, cycles=1) == 0
    said = capsys.readouterr()
    assert 'Line 5 has no number under "label", nor good or bad.' in said.err
    assert "mine.jsonl: 5 scored completions, 1 left out: 1 without a score." in said.err
    assert "5 completions to learn from, 0 held out (Held-out share is 0)." in said.err
    store = Store(home)
    data = store.run_data(1)
    assert data is not None
    assert [t.score for t in data.items] == [1.0, 0.0, 1.0, 0.0, 1.0]
    assert store.metrics(1)["loss/kto"].values[0] > 0
    store.close()


def test_all_of_one_kind_is_refused_before_anything_is_recorded(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = wrote(tmp_path / "same.jsonl", mark(True), mark(True, " warm."))
    assert train(data=same) == 2
    assert "are good, with scores of at least 1.00, and KTO needs bad ones" in (
        capsys.readouterr().err)
    store = Store(home)
    assert store.runs() == []
    store.close()
