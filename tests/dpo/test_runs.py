"""Runs of DPO by the command line, with the bundled models: trained, resumed, forked, listed; their
pairs are kept with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.preferences import few_bundled_pairs

from workbench import cli
from workbench.assets import DEFAULT_PAIRS
from workbench.records import Pair, PairData
from workbench.store.judged import PairToJudge, Side
from workbench.store.pair_files import read_pairs
from workbench.store.store import Store
from workbench.training.pair_data import bundled_pairs

pytestmark = pytest.mark.usefixtures("measured_once")
QUICK = ["--threads", "1", "--set", "batch_size=4", "--set", "steps_per_cycle=2", "--set",
         "response_length=6", "--set", "comparison_prompts=4", "--set", "eval_pairs=8", "--set",
         "checkpoint_every=1", "--set", "keep_checkpoints=9"]
PAIRS = [Pair(f"The {noun} was", " lovely and warm.", " awful and cold.", margin=1.0)
         for noun in ("tea", "hotel", "book", "film", "garden", "phone")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of a few pairs, with a tie among them."""
    path = tmp_path / "mine.jsonl"
    rows = [{"prompt": p.prompt, "chosen": p.chosen, "rejected": p.rejected} for p in PAIRS]
    rows.append({**rows[0], "score_chosen": 1, "score_rejected": 1})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def numbers(store: Store, run_id: int) -> dict[str, list[float]]:
    """Return all of a run's numbers that do not depend on the clock."""
    return {name: list(series.values) for name, series in store.metrics(run_id).items()
            if not name.startswith(("seconds", "tokens_per_second"))}


def train(*more: str, data: Path | str | None = None, cycles: int = 3) -> int:
    chosen = [] if data is None else ["--data", str(data)]
    return cli.main(
        ["train", "--algorithm", "dpo", *QUICK, "--cycles", str(cycles), *chosen, *more])


def test_a_run_keeps_its_pairs_and_goes_on_bit_for_bit(
    home: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data=file) == 0
    said = capsys.readouterr()
    assert "Line 7 is a tie." in said.err
    assert "mine.jsonl: 6 pairs, 1 tie." in said.err
    assert "5 pairs to learn from, 1 held out." in said.err
    assert "Run 1: 3 cycles of 2 steps on 4 pairs each." in said.out
    assert "The start policy has read 6 pairs" in said.out
    assert cli.main(["fork", "1", "--algorithm", "dpo", "--data", str(file)]) == 2
    assert "learns as before learns from the same" in capsys.readouterr().err
    file.unlink()  # a run needs it no more
    store = Store(home)
    whole = numbers(store, 1)
    kept = store.run_data(1)
    assert kept is not None
    assert [(p.prompt, p.answers) for p in kept.pairs] == [(p.prompt, p.answers) for p in PAIRS]
    record = store.run(1)
    assert record is not None
    assert (record.data["what"], record.data["pairs"]) == ("mine.jsonl", 6)
    last = store.checkpoints.read(1, 3)[0]
    store.close()
    assert cli.main(["resume", "1", "--cycle", "1"]) == 0
    assert cli.main(["fork", "1", "--cycle", "1", "--set", "beta=1"]) == 0
    capsys.readouterr()
    store = Store(home)
    assert numbers(store, 1) == whole
    again = store.checkpoints.read(1, 3)[0]
    assert last.keys() == again.keys()
    assert all(np.array_equal(last[name], again[name]) for name in last)
    fork = numbers(store, 3)
    assert fork["rewards/margins"][0] == whole["rewards/margins"][0]
    assert fork["rewards/margins"][1:] != whole["rewards/margins"][1:]
    # The pairs stay for as long as a run learns from them.
    for run in (1, 2):
        store.delete_run(run).result()
        assert store.run_data(3) is not None
    store.delete_run(3).result()
    assert list(store._db.query("select * from pair_sets")) == []
    store.close()


def test_pairs_of_a_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Each prompt is drawn twice.
    assert cli.main(["train", "--threads", "1", "--cycles", "2", "--set", "batch_size=64", "--set",
                     "response_length=6", "--set", "comparison_prompts=1"]) == 0
    assert train(data="1", cycles=1) == 0
    assert "Pairs of Run 1: " in capsys.readouterr().err
    store = Store(home)
    record = store.run(2)
    assert record is not None
    assert record.data["what"] == "Pairs of Run 1"
    assert int(record.data["pairs"]) > 4
    data = store.run_data(2)
    assert data is not None
    assert all(pair.margin is not None and pair.margin > 0 for pair in data.pairs)
    store.close()
    assert train("--least-difference", "99", data="1") == 2
    assert ("Run 1 has no two completions of one prompt whose scores are far enough apart to make "
            "a pair") in capsys.readouterr().err
    assert cli.main(["show", "2"]) == 0
    assert "Pairs of Run 1" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "sentence"), [
    ("", "mine.jsonl holds no pairs; write"),
    ('{"prompt": "A", "chosen": "b", "rejected": "c", "score_chosen": 1, "score_rejected": 1}',
     "mine.jsonl holds no pairs but ties (0 pairs, 1 tie); the first: Line 1 is a tie."),
    ('{"prompt": "A", "chosen": " b", "rejected": " b"}',
     "mine.jsonl holds no pairs (0 pairs, 1 left out: 1 equal texts); the first: Line 1 has two "
     "equal answers."),
])
def test_a_file_without_pairs(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(text)
    assert train(data=path) == 2
    assert sentence in capsys.readouterr().err


def test_what_people_judged_is_learned_from(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(home)
    set_id = store.judgements.make_set("Taste").result()
    store.judgements.add(set_id, [
        PairToJudge(f"The tea of day {i} was", Side(" hot."), Side(" a tea.")) for i in range(9)])
    for number in range(1, 9):
        store.judgements.mark(number, "ann", ("first", "second", "tie")[number % 3]).result()
    store.close()
    assert train(data="judgements:Taste", cycles=1) == 0
    assert "Taste: 5 preferences, 3 ties." in capsys.readouterr().err
    store = Store(home)
    learned = store.run_data(1)
    store.close()
    assert (learned.what, len(learned.items)) == ("Taste", 5)
    assert {pair.by for pair in learned.items} == {"ann"}
    assert train(data="judgements:None") == 2
    assert "There are no judgements called “None”; there are: “Taste”." in capsys.readouterr().err


def test_a_rule_stops_a_run_that_was_told_to_pause(
    home: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--set", "learning_rate=1e-3", "--set", "steps_per_cycle=16", "--set",
                 "held_out_share=0", "--set", "pause_on_dpo_by_heart=on", data=file, cycles=9) == 3
    said = capsys.readouterr()
    assert "nothing is held out that tells whether others are" in said.err
    assert "Stopping, as told for: Pairs known by heart." in said.err
    store = Store(home)
    run = store.run(1)
    assert run is not None
    assert run.status == "stopped"
    assert [c.cycle for c in store.checkpoints.all(1)][-1] == run.cycles < 9
    store.close()


def test_what_cannot_be_asked_for(home: Path, tmp_path: Path,
                                  capsys: pytest.CaptureFixture[str]) -> None:
    assert train(data="7") == 2
    assert "There is no run 7" in capsys.readouterr().err
    assert cli.main(["train", "--data", "7"]) == 2
    assert ("PPO learns from what the policy writes and takes no --data; that goes with "
            "--algorithm dpo, kto, ilql or reward.") in capsys.readouterr().err
    assert train("--least-difference", "1") == 2
    assert "--least-difference goes with --data RUN" in capsys.readouterr().err
    assert train("--set", "loss_type=robust") == 2
    assert "set it above 0, or Loss (loss_type) to sigmoid" in capsys.readouterr().err
    long = tmp_path / "long.jsonl"
    long.write_text(json.dumps({"prompt": "It was", "chosen": " so" * 4000, "rejected": " no."}))
    assert train(data=long) == 2
    assert "None of the 1 pair can be learned from: 1 longer than the" in capsys.readouterr().err


def test_the_bundled_pairs() -> None:
    """They are what the bundled models make, small, and all of them can be learned from."""
    assert DEFAULT_PAIRS.stat().st_size <= 600_000
    data = bundled_pairs()
    assert 1900 <= len(data.pairs) <= 2100
    assert len({pair.prompt for pair in data.pairs}) == 64
    found = read_pairs(DEFAULT_PAIRS)
    assert found.problems == ()
    assert all(pair.margin is not None and pair.margin >= 0.25 for pair in data.pairs)


def test_a_run_on_the_bundled_pairs_without_asking(home: Path, tmp_path: Path) -> None:
    with few_bundled_pairs(tmp_path):
        assert train(cycles=1) == 0
        store = Store(home)
        record = store.run(1)
        assert record is not None
        assert (record.data["what"], record.data["pairs"]) == ("Bundled pairs", 60)
        assert store.run_data(1) == PairData(
            "Bundled pairs", bundled_pairs().pairs, bundled_pairs().summary)
        store.close()
