"""Fill a home folder with many runs and one long one, as a person has them after months.

    python tests/tools/large_store.py HOME [--runs 300] [--cycles 50] [--long 5000]

Every run has all metrics of every cycle and, after its start and its last cycle, compared
completions; every tenth is a fork of the run before it. The long run, which is the newest, has 64
completions and 16 compared ones in every cycle, the token traces of two pinned prompts throughout
and all traces of its last ten cycles. There are no checkpoints. With the numbers above that is
115 MB, made in half a minute; ``make`` does the same for a test.
"""

from __future__ import annotations

import argparse
import json
import math
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.metrics import METRICS
from workbench.records import TokenTrace
from workbench.store.quantiles import pack as pack_quantiles
from workbench.store.records import CompletionRecord, Prompt
from workbench.store.rows import completion_rows, trace_rows
from workbench.store.schema import FILE_NAME
from workbench.store.store import Store

BATCH, COMPARED, PINNED, WHOLE, TOKENS = 64, 16, 2, 10, 24
"""Completions a cycle, compared prompts, pinned ones, cycles traced whole, tokens traced."""
_PLACES = ("hotel", "film", "coffee", "concert", "book", "garden", "train", "museum")
_WORDS = ("clean", "quiet", "slow", "bright", "cold", "kind", "long", "dull", "warm", "loud")
PROMPTS = tuple(f"The {_PLACES[i % len(_PLACES)]} was {_WORDS[i % len(_WORDS)]}, no. {i + 1},"
                for i in range(BATCH))


def make(home: Path, runs: int = 300, cycles: int = 50, long: int = 5000, *,
         compared: int = COMPARED, tokens: int = TOKENS) -> None:
    """Add ``runs`` finished runs of ``cycles`` cycles, then one of ``long`` (0: none), with
    ``compared`` completions after each cycle, and traces of ``tokens``."""
    store = Store(home)
    numbers = np.random.default_rng(0)
    small = [_run(store, cycles, f"Run of {_PLACES[index % len(_PLACES)]} {index + 1}",
                  PROMPTS[:4]) for index in range(runs)]
    last = [_run(store, long, "Long run", PROMPTS)] if long else []

    def write(db: Any) -> None:
        for index, run_id in enumerate(small):
            _small(db.conn, numbers, run_id, cycles, forked=index % 10 == 9)
        for run_id in last:
            _long(db.conn, numbers, run_id, long, compared, tokens)
    store._writer.submit(write).result()
    store.close()


def _small(db: sqlite3.Connection, numbers: np.random.Generator, run_id: int, cycles: int, *,
           forked: bool) -> None:
    _cycles(db, numbers, run_id, cycles)
    for cycle in (0, cycles):
        _add(db, "completions", completion_rows(
            run_id, cycle, "comparison", _completions(numbers, cycle, 4)))
    if forked:
        db.execute("update runs set parent_id = ?, parent_cycle = ? where id = ?",
                   [run_id - 1, cycles // 2, run_id])


def _long(db: sqlite3.Connection, numbers: np.random.Generator, run_id: int, cycles: int,
          compared: int, tokens: int) -> None:
    _cycles(db, numbers, run_id, cycles)
    _add(db, "completions", completion_rows(
        run_id, 0, "comparison", _completions(numbers, 0, compared)))
    for cycle in range(1, cycles + 1):
        rollout = _completions(numbers, cycle, BATCH)
        _add(db, "completions", completion_rows(run_id, cycle, "rollout", rollout))
        _add(db, "completions", completion_rows(
            run_id, cycle, "comparison", _completions(numbers, cycle, compared)))
        traced = [_trace(numbers, i, tokens)
                  for i in range(BATCH if cycle > cycles - WHOLE else PINNED)]
        _add(db, "traces", trace_rows(run_id, cycle, traced))
        _add(db, "quantiles", pack_quantiles(run_id, cycle, traced, {}))


def _run(store: Store, cycles: int, name: str, prompts: Sequence[str]) -> int:
    facts = {"architecture": "GPT2LMHeadModel", "parameters": 1_412_096, "dtype": "float32",
             "device": "cpu"}
    run_id = store.create_run(
        name=name, policy="/models/policy", reward="/models/reward",
        models={"policy": facts, "reward": [
            {"source": "/models/reward", "weight": 1.0, "facts": facts}]},
        hyperparameters=Hyperparameters(num_cycles=cycles, batch_size=BATCH).model_dump(),
        prompts=[Prompt(text, pinned=i < PINNED) for i, text in enumerate(prompts)]).result()
    store.set_status(run_id, "finished").result()
    return run_id


def _cycles(
    db: sqlite3.Connection, numbers: np.random.Generator, run_id: int, cycles: int
) -> None:
    """Record cycles whose curves rise and level off, each with noise of its own."""
    db.execute("update runs set cycles = ? where id = ?", [cycles, run_id])
    db.executemany("insert into cycles values (?, ?, '2026-11-25T12:00:00+00:00')",
                   ((run_id, cycle) for cycle in range(1, cycles + 1)))
    values = (np.linspace(0.5, 3, len(METRICS)) * (
        1 - np.exp(-np.arange(1, cycles + 1) / 20))[:, None]
        + 0.1 * numbers.standard_normal((cycles, len(METRICS))))
    db.executemany(
        "insert into metrics (run_id, cycle, name, value) values (?, ?, ?, ?)",
        ((run_id, cycle, metric.name, float(value)) for cycle, row in enumerate(values, 1)
         for metric, value in zip(METRICS, row, strict=True)))


def _completions(
    numbers: np.random.Generator, cycle: int, count: int
) -> list[CompletionRecord]:
    words = numbers.integers(len(_WORDS), size=(count, 10))
    scores = numbers.standard_normal(count) + math.log1p(cycle / 10)
    return [CompletionRecord(
        i, i, PROMPTS[i], " ".join(["", *(_WORDS[w] for w in words[i])]) + ".",
        float(scores[i]), abs(float(scores[i])) * 2, 11, True) for i in range(count)]


def _trace(numbers: np.random.Generator, position: int, tokens: int) -> TokenTrace:
    pieces = tuple(f" {_WORDS[(position + i) % len(_WORDS)]}" for i in range(tokens))
    columns = ("logprob", "ref_logprob", "value", "reward", "advantage", "return", "ratio",
               "entropy")
    table = numbers.standard_normal((len(columns), tokens)).astype("<f4")
    table[columns.index("ratio")] = np.exp(table[columns.index("ratio")] / 8)
    return TokenTrace(position, position, np.arange(tokens, dtype="<i4"), pieces,
                      dict(zip(columns, table, strict=True)))


def _add(db: sqlite3.Connection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    names = list(rows[0])
    db.executemany(
        f"insert into [{table}] ({json.dumps(names)[1:-1]}) values ({', '.join('?' * len(names))})",
        [tuple(row.values()) for row in rows])


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill a home folder and say how large it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("home", type=Path)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--long", type=int, default=5000)
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    make(options.home, options.runs, options.cycles, options.long)
    size = (options.home / FILE_NAME).stat().st_size
    print(f"{size / 1e6:.0f} MB in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
