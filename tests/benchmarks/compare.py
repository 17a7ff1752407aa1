"""Our PPO cycle, DPO, KTO, reward model and GRPO against TRL's, on the same work:
``python tests/benchmarks/compare.py --help``."""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import re
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agreement import compare_numbers, compare_steps
from environments import REQUIREMENTS, TORCH, environment_of, python_of
from model_files import save_models
from platformdirs import user_cache_dir
from process import Side
from table import render
from work import OF, SHAPES, SIDES, Work

_RESULTS = Path(__file__).with_name("RESULTS.md")
_NAMES = {"ppo": "", "dpo": "DPO: ", "kto": "KTO: ", "reward": "Reward model: ",
          "grpo": "GRPO: "}
_HEADINGS = {"ppo": "# The workbench's PPO cycle against TRL's",
             "dpo": "# The workbench's DPO against TRL's",
             "kto": "# The workbench's KTO against TRL's",
             "reward": "# The workbench's training of a reward model against TRL's",
             "grpo": "# The workbench's GRPO cycle against TRL's"}


def main() -> None:
    options = _options()
    cache = Path(options.venvs or user_cache_dir("ppo-workbench-benchmarks"))
    pythons = {side: python_of(side, cache) for side in options.sides}
    every = {side: python_of(side, cache) for side in OF[options.algorithm]
             if side.startswith("ours")} | pythons
    compare = compare_numbers if options.algorithm == "ppo" else compare_steps
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
                add([f"## {_NAMES[options.algorithm]}{shape}: the same numbers?", "",
                     *compare(_works(options, shape, models)[0], every, folder, settings), ""])
            for work in _works(options, shape, models):
                add(_measure(work, pythons, options.rounds, settings))
    if options.write:
        _write(report)


def _write(report: list[str]) -> None:
    """Put a report into the results, in place of the one with the same heading."""
    parts = re.split(r"^(?=# )", _RESULTS.read_text(), flags=re.MULTILINE)
    text = "\n".join(report).rstrip() + "\n"
    kept = [part.rstrip() + "\n" for part in parts if part.strip()]
    same = [i for i, part in enumerate(kept) if part.startswith(f"{report[0]}\n")]
    if same:
        kept[same[0]] = text
    else:
        kept.append(text)
    _RESULTS.write_text("\n".join(kept))


def _measure(
    work: Work, pythons: Mapping[str, Path], rounds: int, settings: dict[str, str]
) -> list[str]:
    """Time all sides in turn, round by round, so that what else the machine does hits all."""
    with ExitStack() as stack:
        sides = [stack.enter_context(Side(name, python, work, settings))
                 for name, python in pythons.items()]
        ours = next((s for s in sides if s.name.startswith("ours")), None)
        kinds = [False, True] if any(s.name.endswith("bf16") for s in sides) else [False]
        rates: list[list[float]] = []
        for turn in range(rounds + 1):
            for side in sides:
                side.cycle(warm_up=turn == 0)
            if ours is not None:
                # A processor without bf16 takes minutes for it.
                rates.append([ours.ask(do="matmul", bf16=bf16)["rate"] for bf16 in kinds])
        # The fastest is what the machine can do; a slower one was disturbed.
        fastest = [max(column) for column in zip(*rates, strict=True)]
        fp32, bf16 = (*fastest, 0.0, 0.0)[:2]
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
        return [f"## {work.label}", "", *render(sides, fp32, bf16), "",
                f"Medians of {rounds} rounds after one to warm up; load {load:.1f}.", ""]


def _works(options: argparse.Namespace, shape: str, models: Path) -> list[Work]:
    """Return what is measured of a shape; the first is also compared in its numbers."""
    smaller = {"rows": 8, "prompt_length": 6, "response_length": 12} if options.quick else {}

    def work(responses: str, **more: Any) -> Work:
        return Work(shape, str(models), ragged=responses == "ragged", threads=options.threads,
                    algorithm=options.algorithm, **{**more, **smaller})

    if options.algorithm in ("dpo", "kto", "reward"):
        return [work(responses, rows=128, mini_batches=4) for responses in options.responses]
    if options.algorithm == "grpo":
        group = 4 if options.quick else 8
        # TRL's defaults; with KL; as the workbench's preset has it.
        ways = ((1, 0.0), (1, 0.05), (4, 0.05))
        return [work(responses, group=group, epochs=steps, kl_coef=kl)
                for responses in options.responses for steps, kl in ways]
    return [work(responses, mini_batches=mini_batches) for mini_batches, responses in
            itertools.product(options.mini_batches, options.responses)]


def _heading(options: argparse.Namespace) -> list[str]:
    used = dict.fromkeys(filter(None, map(environment_of, OF[options.algorithm])))
    return [
        _HEADINGS[options.algorithm],
        "",
        f"{date.today():%d %B %Y}; {_processor()}, {options.threads} threads; Python "
        f"{platform.python_version()}, {TORCH} on all sides; the workbench with transformers "
        f"{version('transformers')}, "
        + ", ".join(f"{name} with {REQUIREMENTS[name][1].replace('==', ' ')}"
                    for name in used) + ".",
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
    parser = argparse.ArgumentParser(
        description="Compare our PPO, DPO, KTO, reward model or GRPO with TRL's.")
    parser.add_argument("--algorithm", choices=OF, default="ppo")
    parser.add_argument("--venvs", help="folder for TRL's environments (default: a user cache)")
    parser.add_argument("--sides", nargs="+", choices=SIDES, help="default: all of the algorithm")
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
    options.sides = options.sides or list(OF[options.algorithm])
    if options.quick:
        options.shapes, options.rounds = ["tiny"], 1
        options.mini_batches, options.responses = [2], ["ragged"]
    return options


if __name__ == "__main__":
    main()
