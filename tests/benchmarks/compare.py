"""Our PPO cycle against TRL's, on the same work: ``python tests/benchmarks/compare.py --help``."""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import date
from importlib.metadata import version
from pathlib import Path

from agreement import compare_numbers
from environments import REQUIREMENTS, TORCH, python_of
from model_files import save_models
from platformdirs import user_cache_dir
from process import Side
from table import render
from work import SHAPES, SIDES, Work

_RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    options = _options()
    cache = Path(options.venvs or user_cache_dir("ppo-workbench-benchmarks"))
    pythons = {side: python_of(side, cache) for side in options.sides}
    every = {side: python_of(side, cache) for side in SIDES if side.startswith("ours")} | pythons
    settings = dict(pair.split("=", 1) for pair in options.set)
    report = [*_heading(options), ""]
    print("\n".join(report), flush=True)

    def add(lines: list[str]) -> None:
        print("\n".join(lines), flush=True)
        report.extend(lines)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for shape in options.shapes:
            models = save_models(shape, folder)
            if options.check:
                work = _work(options, shape, models, 1, "full")
                add([f"## {shape}: the same numbers?", "",
                     *compare_numbers(work, every, folder, settings), ""])
            for mini_batches, responses in itertools.product(
                    options.mini_batches, options.responses):
                work = _work(options, shape, models, mini_batches, responses)
                add(_measure(work, pythons, options.rounds, settings))
    if options.write:
        _RESULTS.write_text("\n".join(report).rstrip() + "\n")


def _measure(
    work: Work, pythons: Mapping[str, Path], rounds: int, settings: dict[str, str]
) -> list[str]:
    """Time all sides in turn, round by round, so that what else the machine does hits all."""
    with ExitStack() as stack:
        sides = [stack.enter_context(Side(name, python, work, settings))
                 for name, python in pythons.items()]
        ours = next((s for s in sides if s.name.startswith("ours")), None)
        rates: list[list[float]] = []
        for turn in range(rounds + 1):
            for side in sides:
                side.cycle(warm_up=turn == 0)
            if ours is not None:
                rates.append(ours.ask(do="matmul")["rates"])
        # The fastest is what the machine can do; a slower one was disturbed.
        fp32, bf16 = (max(column) for column in zip(*rates, strict=True)) if rates else (0, 0)
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
        return [f"## {work.label}", "", *render(sides, fp32, bf16), "",
                f"Medians of {rounds} rounds after one to warm up; load {load:.1f}.", ""]


def _work(
    options: argparse.Namespace, shape: str, models: Path, mini_batches: int, responses: str
) -> Work:
    smaller = {"rows": 8, "prompt_length": 6, "response_length": 12} if options.quick else {}
    return Work(shape, str(models), mini_batches=mini_batches, ragged=responses == "ragged",
                threads=options.threads, **smaller)


def _heading(options: argparse.Namespace) -> list[str]:
    return [
        "# The workbench's PPO cycle against TRL's",
        "",
        f"{date.today():%d %B %Y}; {_processor()}, {options.threads} threads; Python "
        f"{platform.python_version()}, {TORCH} on all sides; the workbench with transformers "
        f"{version('transformers')}, "
        + ", ".join(f"{side} with {requirements[1].replace('==', ' ')}"
                    for side, requirements in REQUIREMENTS.items()) + ".",
        "",
        "Only ratios of one table travel to another machine.",
    ]


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare our PPO cycle with TRL's.")
    parser.add_argument("--venvs", help="folder for TRL's environments (default: a user cache)")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["small"])
    parser.add_argument("--mini-batches", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--responses", nargs="+", choices=["full", "ragged"],
                        default=["full", "ragged"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE",
                        help="hyperparameters of our sides")
    parser.add_argument("--no-check", dest="check", action="store_false",
                        help="do not compare numbers first")
    parser.add_argument("--quick", action="store_true",
                        help="one tiny comparison, one round: to see that all runs")
    parser.add_argument("--write", action="store_true", help=f"write {_RESULTS.name}")
    options = parser.parse_args()
    if options.quick:
        options.shapes, options.rounds = ["tiny"], 1
        options.mini_batches, options.responses = [2], ["ragged"]
    return options


if __name__ == "__main__":
    main()
