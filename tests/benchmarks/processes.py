"""Several processes on one machine against one: ``python tests/benchmarks/processes.py``.

The same run is trained by one process with all threads and by several that have as many between
them. They take turns, in pairs in either order (1 2, 2 1, ...), so that a busy machine slows both;
each pair gives a ratio of their median cycles. The first cycle of each run warms up. Beside the
seconds stand those of the processor, of all threads and processes together: what is computed in
vain shows there however busy the machine is, best against one process of one thread (``--threads-
of-one 1``), whose threads wait for none. Memory is the most that each process had resident (VmHWM,
Linux), libraries included.

    python tests/benchmarks/processes.py --policy FOLDER --reward FOLDER --prompts FILE
    python tests/benchmarks/processes.py --shape 124m --batch 16 --cycles 3    # random weights
    python tests/benchmarks/processes.py --sharding shard                      # weights shared out
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil
from model_files import save_models
from work import SHAPES, word

ROOT = Path(__file__).parents[2]


@dataclass
class Found:
    """Of one run: seconds of its cycles but the first and of the processor in them, and the peak
    of each process in bytes."""

    seconds: list[float]
    processor: list[float]
    peaks: list[int]

    @property
    def cycle(self) -> float:
        """The median cycle."""
        return statistics.median(self.seconds)

    def told(self) -> str:
        """Both medians."""
        return f"{self.cycle:.3f} s, processor {statistics.median(self.processor):.3f} s"


def train(words: list[str], processes: int, threads: int) -> Found:
    """Train in so many processes of so many threads each."""
    seconds, used, peaks = [], [], {}
    with tempfile.TemporaryDirectory() as home, subprocess.Popen(
            [sys.executable, "-m", "workbench", "train", "--json", "--home", home, *words,
             "--processes", str(processes), "--threads", str(threads)],
            stdout=subprocess.PIPE, text=True, env=os.environ | {
                "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"},
            ) as started:
        for line in started.stdout:
            told = json.loads(line)
            if "seconds" in told:
                seconds.append(told["seconds"])
                with suppress(psutil.NoSuchProcess, FileNotFoundError):  # the last cycle's line
                    computing = _computing(started.pid, processes)
                    used.append(sum(sum(p.cpu_times()[:2]) for p in computing))
                    peaks |= {p.pid: _peak(p) for p in computing}
    if started.returncode:
        raise SystemExit(f"training in {processes} processes ended with {started.returncode}")
    return Found(seconds[1:], [b - a for a, b in pairwise(used)], list(peaks.values()))


def _computing(pid: int, processes: int) -> list[psutil.Process]:
    """Return the processes that compute, in their order."""
    started = psutil.Process(pid)
    return [started] if processes == 1 else sorted(
        (child for child in started.children() if "RANK" in child.environ()),
        key=lambda child: int(child.environ()["RANK"]))


def _peak(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def made(shape: str, folder: Path) -> list[str]:
    """Return the words that name models of a shape, with random weights, and prompts of theirs."""
    home = save_models(shape, folder)
    draw = random.Random(0)
    (folder / "prompts.txt").write_text("\n".join(
        " ".join(word(draw.randrange(2, SHAPES[shape].vocabulary)) for _ in range(16))
        for _ in range(64)))
    return ["--policy", str(home / "policy"), "--reward", str(home / "reward"),
            "--prompts", str(folder / "prompts.txt")]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("policy", "reward", "prompts"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--algorithm", default="ppo")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of each")
    parser.add_argument("--threads-of-one", type=int, help="default: as many as all have")
    parser.add_argument("--cycles", type=int, default=6)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--sharding", help="of the several: replicate, shard or auto")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    number, threads = options.processes, options.threads
    all_threads = options.threads_of_one or number * threads
    settings = [f"num_cycles={options.cycles}", f"batch_size={options.batch}", *options.set]
    words = ["--algorithm", options.algorithm,
             *(part for setting in settings for part in ("--set", setting))]
    for name in ("policy", "reward", "prompts"):
        if given := getattr(options, name):
            words += [f"--{name}", given]
    shared = ["--set", f"sharding={options.sharding}"] if options.sharding else []
    print(f"load {os.getloadavg()[0]:.1f} before", flush=True)
    ratios, of_one, of_several = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        if options.shape:
            # So small that every cycle is alike.
            words += [*made(options.shape, Path(folder)), "--set", "learning_rate=1e-6"]

        def one() -> None:
            of_one.append(train(words, 1, all_threads))

        def several() -> None:
            of_several.append(train([*words, *shared], number, threads))

        for pair in range(options.pairs):
            for turn in (one, several) if pair % 2 == 0 else (several, one):
                turn()
            ratios.append(of_one[-1].cycle / of_several[-1].cycle)
            print(f"cycle of 1 x {all_threads}: {of_one[-1].told()}; of {number} x {threads}: "
                  f"{of_several[-1].told()}; speed {ratios[-1]:.3f}, load "
                  f"{os.getloadavg()[0]:.1f}", flush=True)
    print(f"{number} processes of {threads} thread(s) compute at {statistics.median(ratios):.3f} "
          f"of the speed of one of {all_threads} ({min(ratios):.3f} to {max(ratios):.3f}, "
          f"{options.pairs} pairs). Peak of the one: {_size(max(f.peaks[0] for f in of_one))}; of "
          f"each: {', '.join(_size(max(f.peaks[i] for f in of_several)) for i in range(number))}.")


def _size(bytes_: int) -> str:
    return f"{bytes_ / 2**20:,.0f} MiB"


if __name__ == "__main__":
    main()
