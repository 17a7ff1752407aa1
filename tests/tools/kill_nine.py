"""Kill training with SIGKILL at random moments, many times, and see that nothing is lost.

    python tests/tools/kill_nine.py [--kills 100] [--seed 0] [--home DIR]

A child process trains a tiny policy with a checkpoint after every cycle; it is killed, what it left
is examined, and another goes on with the run. torch is imported once: children are forked. Every
run is held against one that was never interrupted, bit for bit.
"""

from __future__ import annotations

import argparse
import os
import queue
import random
import select
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers.folders import save_policy, save_reward

import workbench.training.worker  # noqa: F401 - so that no child has to import torch
from workbench.ppo.hyperparameters import parse
from workbench.store.schema import FILE_NAME, connect
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.run import read_checkpoint
from workbench.training.session import Session

CYCLES = 12
SETTINGS = {
    "num_cycles": CYCLES, "batch_size": 4, "response_length": 6, "learning_rate": 1e-3,
    "kl_coef": 0.05, "kl_controller": "adaptive", "comparison_prompts": 2, "checkpoint_every": 1,
    "keep_checkpoints": 2,
}
PROMPTS = tuple(do.PromptItem(text) for text in ("one", "two", "three"))


@dataclass(frozen=True)
class Cycle:
    """All that is recorded of a cycle but the time it took, and the digests of its weights."""

    metrics: dict[str, float]
    texts: list[object]
    weights: dict[str, str] | None


def train(home: Path, models: tuple[str, str], resume: int | None, say, **more: int) -> None:
    """Train, or go on with a run, and say what happens, a word and a number at a time."""
    store = Store(home)
    events: queue.SimpleQueue[ev.Event] = queue.SimpleQueue()
    session = Session(store, events.put, threads=1)
    session.send(do.LoadModels(*models) if resume is None else do.ResumeRun(resume))
    while True:
        match events.get():
            case ev.ModelsLoaded() if resume is None:
                session.send(do.Start(parse(SETTINGS | more), PROMPTS))
            case ev.RunStarted(run_id=run_id):
                say("run", run_id)
            case ev.RunResumed(cycle=cycle):
                say("resumed", cycle)
            case ev.CycleFinished(cycle=cycle):
                say("cycle", cycle)
            case ev.CheckpointWritten(cycle=cycle):
                say("checkpoint", cycle)
            case ev.RunFinished(outcome=outcome):
                say(outcome, 0)
                break
            case ev.CommandRefused(sentence=sentence) | ev.RunFailed(sentence=sentence):
                raise AssertionError(sentence)
    session.close()
    store.close()


def forked(home: Path, models: tuple[str, str], resume: int | None,
           moments: random.Random | None) -> tuple[list[tuple[str, int]], bool]:
    """Train in a child and return what it said, and whether it was killed.

    A moment is a little while after a random line of the child's, so that checkpoints and commits
    are hit as often as long phases are.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            train(home, models, resume, lambda *words: os.write(
                write, f"{words[0]} {words[1]}\n".encode()))
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    lines = moments.randrange(8) if moments else sys.maxsize
    heard = b""
    while heard.count(b"\n") < lines:
        part = os.read(read, 4096)
        if not part:
            break
        heard += part
    if moments:
        wait = moments.choice((0.4, 0.05, 0.01)) * moments.random()
        select.select([], [], [], wait)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    while part := os.read(read, 4096):
        heard += part
    os.close(read)
    killed = os.WIFSIGNALED(status)
    assert killed or status == 0, "the child failed; see its traceback above"
    said = [line.split() for line in heard.decode().splitlines()]
    return [(word, int(number)) for word, number in said], killed


def recorded(store: Store, run_id: int) -> dict[int, Cycle]:
    """Return what the store has of a run, cycle by cycle."""
    import json

    series = {name: dict(zip(s.cycles, s.values, strict=True))
              for name, s in store.metrics(run_id).items() if "second" not in name}
    weights = {c.cycle: json.loads((c.path / "state.json").read_text())["files"]
               for c in store.checkpoints.all(run_id)}
    return {cycle: Cycle(
        {name: values[cycle] for name, values in series.items() if cycle in values},
        [store.completions(run_id, cycle, kind) for kind in ("rollout", "comparison")],
        weights.get(cycle)) for cycle in range(1, store.runs()[0].cycles + 1)}


def examine(home: Path, said: list[tuple[str, int]], truth: dict[int, Cycle],
            found: Counter[str]) -> int | None:
    """Hold what a killed process left against what it said and against the uninterrupted run.

    Returns the run to go on with; None when there is none.
    """
    found["half checkpoints left aside"] += len(list(home.glob("checkpoints/*/*.partial")))
    store = Store(home)
    try:
        db = connect(home / FILE_NAME)
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        db.close()
        runs = store.runs()
        if not runs:
            assert not said
            return None
        run = runs[0]
        told = max((n for word, n in said if word in ("cycle", "resumed")), default=0)
        assert run.cycles >= told, f"cycle {told} was finished, {run.cycles} are there"
        for cycle, what in recorded(store, run.id).items():
            assert what.metrics == truth[cycle].metrics, f"cycle {cycle} differs"
            assert what.texts == truth[cycle].texts, f"cycle {cycle} differs"
            assert what.weights in (None, truth[cycle].weights), f"weights of {cycle} differ"
        there = [c.cycle for c in store.checkpoints.all(run.id)]
        assert all(store.checkpoints.is_whole(run.id, cycle) for cycle in there)
        written = max((n for word, n in said if word == "checkpoint"), default=0)
        assert max(there, default=0) >= written, f"checkpoint {written} is gone"
        assert max(there, default=0) <= run.cycles
        if run.status == "finished":
            assert run.cycles == CYCLES
            found["runs finished"] += 1
            return None
        assert run.status == "interrupted", run.status
        resumed = read_checkpoint(store, run.id, None).run.cycle if run.cycles < CYCLES else max(
            there)
        assert resumed == max(there, default=0)
        found["cycles to run again"] += run.cycles - resumed
        if resumed == CYCLES:  # killed between its last checkpoint and its outcome
            return None
        return run.id
    finally:
        store.close()


def main(arguments: list[str] | None = None) -> Counter[str]:
    """Kill as often as asked; return and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    moments = random.Random(options.seed)
    found: Counter[str] = Counter()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="kill-nine-") as folder:
        base = Path(folder)
        models = (str(save_policy(base / "policy")), str(save_reward(base / "reward")))
        # Not in this process: what has run torch has threads, and cannot be forked safely.
        if os.fork() == 0:
            try:
                train(base / "truth", models, None, lambda *_: None, keep_checkpoints=CYCLES)
            finally:
                os._exit(0)
        os.wait()
        store = Store(base / "truth")
        truth = recorded(store, 1)
        store.close()
        assert len(truth) == CYCLES
        run: int | None = None
        while found["kills"] < options.kills:
            said, killed = forked(base / "home", models, run, moments)
            found["kills"] += killed
            found[f"after: {said[-1][0] if said else 'nothing yet'}"] += killed
            run = examine(base / "home", said, truth, found)
        if run is not None:
            said, _ = forked(base / "home", models, run, None)
            assert said[-1] == ("finished", 0)
            examine(base / "home", said, truth, found)
    for name, count in sorted(found.items()):
        print(f"{count:5d}  {name}")
    print(f"{time.perf_counter() - began:5.0f}  seconds; nothing was lost")
    return found


if __name__ == "__main__":
    main()
