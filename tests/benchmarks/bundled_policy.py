"""What the defaults do to the bundled policy: ``python tests/benchmarks/bundled_policy.py``.

Trains it headless from a fresh start for each seed, as `ppo-workbench train` does, and prints the
table of the README: end values of the curves, and the slowest and median cycle.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile

COLUMNS = (
    ("value loss", "loss/value_avg", "{:.2f}"),
    ("entropy", "policy/entropy_avg", "{:.2f}"),
    ("KL", "objective/kl", "{:.1f}"),
    ("distinct", "objective/distinct", "{:.0%}"),
)


def train(seed: int, cycles: int, extra: list[str]) -> list[dict[str, float]]:
    """Return the metrics of every cycle."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-m", "workbench", "train", "--json", "--home", home,
             "--seed", str(seed), "--cycles", str(cycles), *extra],
            capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def row(seed: int, run: list[dict[str, float]]) -> str:
    """Return one line of the table."""
    first, last = run[0], run[-1]
    seconds = [cycle["seconds"] for cycle in run]
    cells = [str(seed), f"{first['objective/scores']:+.2f}", f"{last['objective/scores']:+.2f}",
             f"{last['objective/scores'] - first['objective/scores']:+.2f}"]
    cells += [form.format(last.get(name, math.nan)) for _, name, form in COLUMNS]
    cells += [f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table, a row as soon as its run is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("extra", nargs="*", help="passed on to ppo-workbench train, after --")
    options = parser.parse_args()
    heads = ["seed", "reward, first", "last", "lift", *(c[0] for c in COLUMNS),
             "median s", "slowest s"]
    print("| " + " | ".join(heads) + " |")
    print("|" + " ---: |" * len(heads))
    for seed in range(options.seeds):
        print(row(seed, train(seed, options.cycles, options.extra)), flush=True)


if __name__ == "__main__":
    main()
