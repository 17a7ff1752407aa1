"""The ways to learn, side by side on the bundled models: ``python tests/benchmarks/algorithms.py``.

Every seed trains with PPO, GRPO and RLOO on 20 cycles of 64 completions. DPO, KTO and ILQL learn
from what the seed's own PPO run wrote to learn from; the best of 4 and of 16 are of the start
policy.
After every cycle the same 64 prompts are completed with the same random numbers, and what they give
before the first and after the last is what the table shows, mean (least to most) over the seeds.

What is finished stays in ``--home``: stopped and begun anew, it goes on where it stood.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.algorithms import find_algorithm
from workbench.headless import Engine, load_command, opened, prompts_of
from workbench.memory_allocator import keep_freed_memory
from workbench.records import PairData, RunData, ScoredData, ScoredText, TextPrompt
from workbench.settings import Value
from workbench.store.records import RunRecord
from workbench.store.run_pairs import pairs_of_scored
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training.comparing import Way, default_like, find_ways

COMPARED = 64
BEST_OF = (4, 16)
HEADS = ("way to learn", "lift of the compared reward", "KL", "distinct", "seconds a cycle")


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one way and seed. KL is in nats a completion; ``distinct`` is a share."""

    lift: float
    kl: float
    distinct: float | None
    seconds: float


def main() -> None:
    """Train what is missing and print the table."""
    options = _options()
    keep_freed_memory()
    with opened(options) as engine:
        if not options.table:
            _train_all(engine, options.seeds)
        print("\n".join(table(engine.store, options.seeds)))


def ways() -> list[Way]:
    """Return the ways that are compared; PPO is the first, for others learn from its runs."""
    found = find_ways(["PPO", "GRPO", "RLOO", "DPO", "KTO"])
    choices: tuple[dict[str, Value], ...] = ({"beta": 1.0}, {"beta": 4.0})
    return found + [Way(f"ILQL, β {values['beta']:g}", "", find_algorithm("ilql"), values)
                    for values in choices]


def table(store: Store, seeds: int) -> list[str]:
    """Return the lines of the table, of what is finished."""
    lines = ["| " + " | ".join(HEADS) + " |", "| --- |" + " ---: |" * (len(HEADS) - 1)]
    rows = {way.name: [_found(store, run) for seed in range(seeds)
                       if (run := _run(store, way.name, seed)) and run.status == "finished"]
            for way in ways()}
    rows |= {f"best of {n}, start policy": [
        found for seed in range(seeds) if (run := _run(store, "PPO", seed))
        and (found := _found_best(store, run, n))] for n in BEST_OF}
    return lines + [_row(name, found) for name, found in rows.items() if found]


def _row(name: str, found: Sequence[Found]) -> str:
    cells = [name, *(_spread([getattr(one, key) for one in found], form) for key, form in (
        ("lift", "{:+.2f}"), ("kl", "{:.1f}"), ("distinct", "{:.0%}"), ("seconds", "{:.1f}")))]
    return "| " + " | ".join(cells) + " |"


def _spread(numbers: Sequence[float | None], form: str) -> str:
    known = [number for number in numbers if number is not None]
    if not known:
        return "–"
    mean, least, most = (form.format(of(known)) for of in (statistics.fmean, min, max))
    return mean if least == most else f"{mean} ({least} to {most})"


def _train_all(engine: Engine, seeds: int) -> None:
    loaded = False
    for seed in range(seeds):
        for way in [*ways(), None]:
            command = _best_of(engine, seed) if way is None else _training(engine, way, seed)
            if command is None:
                continue
            print(f"\n{'Best of n' if way is None else way.name}, seed {seed}", flush=True)
            if loaded or isinstance(command, do.ResumeRun):  # which loads what it was begun with
                status = engine.run(command)
            else:
                status = engine.run(load_command(engine.options), command)
            loaded = True
            if status:
                raise SystemExit(status)


def _training(engine: Engine, way: Way, seed: int) -> do.Command | None:
    """Return what begins a run, or goes on with it; None: it is finished."""
    run = _run(engine.store, way.name, seed)
    if run is not None:
        return None if run.status == "finished" else do.ResumeRun(run.id)
    settings = way.settings(default_like()).with_changes(
        {"seed": seed, "comparison_prompts": COMPARED, "keep_tokens": 0})
    data = None
    if way.algorithm.learns_from:
        source = _run(engine.store, "PPO", seed)
        assert source is not None
        data = _data(engine.store, source, way.algorithm.learns_from)
    return do.Start(settings, prompts_of(None), _name(way.name, seed), data=data)


def _data(store: Store, run: RunRecord, kind: str) -> RunData:
    """Return what ``run`` learned from, as pairs or as scored completions; what was compared is no
    part of it."""
    prompts = store.run_prompts(run.id)
    written = [completion for cycle in range(1, run.cycles + 1)
               for completion in store.completions(run.id, cycle, "rollout")]
    if kind == "pairs":
        found = pairs_of_scored(prompts, written)
        return PairData(f"Pairs of {run.name}", found.pairs, found.summary)
    return ScoredData(f"Completions of {run.name}", tuple(
        ScoredText(TextPrompt(prompts[one.prompt].text), one.text, one.score, one.ended)
        for one in written))


def _best_of(engine: Engine, seed: int) -> do.Command | None:
    """Return what samples from the start policy; None: that is done."""
    run = _run(engine.store, "PPO", seed)
    assert run is not None
    if any(found.cycle == 0 for found in engine.store.best_of(run.id)):
        return None
    prompts = engine.store.run_prompts(run.id)
    compared = tuple(do.PromptItem.of(prompts[written.prompt])
                     for written in engine.store.completions(run.id, 0))
    return do.SampleBestOf(1, run.id, 0, max(BEST_OF), compared, COMPARED, seed)


def _found(store: Store, run: RunRecord) -> Found:
    before, after = (store.completions(run.id, cycle) for cycle in (0, run.cycles))
    scores = [statistics.fmean(written.score for written in some) for some in (before, after)]
    series = store.metrics(run.id, ["seconds", "seconds/comparison"])
    # Completing the prompts that are compared is no part of learning.
    seconds = [whole - apart for whole, apart in zip(
        *(series[name].values for name in ("seconds", "seconds/comparison")), strict=True)]
    return Found(scores[1] - scores[0], statistics.fmean(written.kl for written in after),
                 len({written.text for written in after}) / len(after),
                 statistics.median(seconds))


def _found_best(store: Store, run: RunRecord, n: int) -> Found | None:
    """What the best of n are worth; the seconds are those of writing and scoring n times the
    completions of a cycle."""
    found = next((f for f in store.best_of(run.id) if f.cycle == 0), None)
    if found is None:
        return None
    series = store.metrics(run.id, ["seconds/sampling", "seconds/scoring"])
    seconds = sum(statistics.median(numbers.values) for numbers in series.values())
    return Found(found.rewards[n - 1] - found.rewards[0], found.kl[n - 1], None, n * seconds)


def _run(store: Store, way: str, seed: int) -> RunRecord | None:
    return next((run for run in store.runs() if run.name == _name(way, seed)), None)


def _name(way: str, seed: int) -> str:
    return f"{way}, seed {seed}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--home", required=True, help="where the runs are kept")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="train nothing, print what is there")
    given: Mapping[str, object] = vars(parser.parse_args())
    # As the commands of the workbench have them.
    return argparse.Namespace(
        policy=None, reward=None, reward_label=[], reward_reads=[], reward_end_token=[],
        chat_template=None, trust_reward_file=False, trust_reward_server=False, json=False, **given)


if __name__ == "__main__":
    main()
