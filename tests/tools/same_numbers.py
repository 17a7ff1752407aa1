"""Does this tree train as an older revision did, number for number?

    python tests/tools/same_numbers.py REV [--only NAME ...]

Checks REV out beside this tree, trains a few short runs with both, each with as many threads, and
compares every metric (times apart) and every completion in their databases. Equal means equal to
the last bit. It is the proof of a change that is to change no number.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
CASES: dict[str, Sequence[str]] = {
    "defaults": (),
    "lora": ("--set", "lora_rank=4"),
    "value model": ("--set", "value_model=policy"),
    "kl in the loss": ("--set", "kl_in=loss", "--set", "kl_estimator=k2",
                       "--set", "kl_controller=adaptive"),
    "mini-batches": ("--set", "num_mini_batches=4"),
    "weighted reward": ("--reward", "bundled=0.7", "--reward", "length_and_repetition=0.3",
                        "--trust-reward-file"),
}
_TIMES = ("seconds", "seconds/%", "tokens_per_second")
_TABLES = {
    "metrics": ("cycle", "name", "value"),
    "completions": ("cycle", "kind", "position", "prompt", "text", "score", "kl", "length",
                    "ended"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train with both trees and print what differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("revision", metavar="REV")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of both, where its default is another since")
    options = parser.parse_args(arguments)
    more = [part for setting in options.set for part in ("--set", setting)]
    differences = 0
    with TemporaryDirectory() as folder:
        old = Path(folder) / "old"
        git("worktree", "add", "--detach", str(old), options.revision)
        try:
            for case in options.only:
                homes = []
                for name, tree in ("old", old), ("new", ROOT):
                    homes.append(Path(folder) / f"home-{name}-{case.replace(' ', '-')}")
                    train(tree, homes[-1], (*CASES[case], *more), options.cycles, options.threads)
                found = compare(*homes)
                differences += len(found)
                print(f"{case}: {'all equal' if not found else f'{len(found)} differ'}", flush=True)
                for line in found[:10]:
                    print(f"    {line}", flush=True)
        finally:
            git("worktree", "remove", "--force", str(old))
    return 1 if differences else 0


def git(*arguments: str) -> None:
    """Run git in this tree."""
    subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def train(tree: Path, home: Path, arguments: Sequence[str], cycles: int, threads: int) -> None:
    """Train with the code in ``tree``, in a process of its own that finds no other."""
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "train", "--home", str(home), "--cycles", str(cycles),
         "--threads", str(threads), *arguments],
        cwd=tree, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tree), "HF_HUB_OFFLINE": "1"})
    if done.returncode:
        raise SystemExit(f"Training with {tree} failed:\n{done.stdout}{done.stderr}")


def compare(old: Path, new: Path) -> list[str]:
    """Return one line for everything that differs between the last runs of two homes."""
    found = []
    for table, columns in _TABLES.items():
        ours, theirs = (_rows(home, table, columns) for home in (old, new))
        # Two values that are not numbers (NULL) are equal, as in Python.
        found += [f"{table}: {row} only in the old one" for row in ours if row not in theirs]
        found += [f"{table}: {row} only in the new one" for row in theirs if row not in ours]
        if not ours:
            found.append(f"{table}: nothing was recorded")
    return found


def _rows(home: Path, table: str, columns: Sequence[str]) -> dict[tuple[object, ...], None]:
    """Return the rows of the last run, in order."""
    query = (f"select {', '.join(columns)} from {table} "
             "where run_id = (select max(id) from runs)")
    if table == "metrics":
        query += "".join(f" and name not like '{name}'" for name in _TIMES)
    with closing(sqlite3.connect(home / "workbench.db")) as db:
        return dict.fromkeys(db.execute(f"{query} order by {', '.join(columns[:3])}"))


if __name__ == "__main__":
    sys.exit(main())
