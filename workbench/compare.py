"""``ppo-workbench compare``: several ways to learn on the same models, prompts and budget."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

from rich.table import Table

from workbench import processes
from workbench.exit_status import FAILED, INTERRUPTED, UNUSABLE
from workbench.formatting import short_number
from workbench.headless import Engine, opened, unusable
from workbench.launch import launch
from workbench.learning.metrics import KL, SECONDS
from workbench.listing import console_of_lines
from workbench.options import UsageError, load_command, prompts_of, settings_of
from workbench.records import DataByKind, PairData, ScoredData
from workbench.settings import HyperparameterError
from workbench.store.home import StoreError, find_home
from workbench.store.prompt_readers import PromptFileError
from workbench.store.store import Store
from workbench.terminal import say, tell
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.comparing import (
    CompareError,
    Plan,
    Progress,
    begun_with,
    data_for_next,
    default_like,
    find_ways,
    make_plan,
    progress,
    results,
    used,
    ways,
)
from workbench.training.reward_parts import PartError
from workbench.training.scored_data import runs_of

_WHAT_THERE_IS = {PairData.kind: "the bundled pairs",
                  ScoredData.kind: "what finished runs of these models wrote"}
_DISTINCT = "objective/distinct"


def compare(options: argparse.Namespace) -> int:
    """Train the runs of a comparison one after the other and print how they did.

    The exit status is 0 once all are done; 1: a run failed; 2: the request cannot be carried out;
    130: interrupted, and it goes on with ``--continue``.
    """
    try:
        plan = _plan_of(options, options.go_on) if (
            options.go_on is not None) else _plan(options)
        if plan.processes > 1 and processes.started() == 1:
            return launch(options.words, plan.processes)
        with opened(options) as engine:
            if options.go_on is not None:
                return _go_on(engine, options.go_on)
            prompts, load = prompts_of(options.prompts), load_command(options)
            plan.check_data(lambda kind: bool(runs_of(engine.store, load)))
            number = engine.store.create_sweep(plan.name, plan.as_json()).result()
            runs, *amounts = plan.summary(_WHAT_THERE_IS.__getitem__)
            _say(options, "\n".join([f"Comparison {number}: {runs}", *amounts]))
            return _train(engine, number, load, prompts, {})
    except (CompareError, HyperparameterError, PartError, PromptFileError, StoreError,
            UsageError) as error:
        return unusable(error)


def _plan(options: argparse.Namespace) -> Plan:
    if options.seconds is not None and options.samples is not None:
        raise CompareError("A budget is in samples or in seconds, not in both.")
    like = default_like().with_changes(settings_of(options))
    chosen = find_ways(options.ways.split(",")) if options.ways else ways()
    if options.seconds is not None:
        return make_plan(chosen, _seeds(options.seeds), like, options.seconds, "seconds")
    samples = options.samples or like.num_cycles * like.batch_size
    return make_plan(chosen, _seeds(options.seeds), like, samples, "samples")


def _plan_of(options: argparse.Namespace, number: int) -> Plan:
    store = Store(find_home(options.home))
    try:
        kept = store.sweep(number)
    finally:
        store.close()
    if kept is None:
        raise CompareError(f"There is no comparison {number}.")
    return Plan.of_json(kept.plan)


def _seeds(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise CompareError(
            f"Seeds are whole numbers with commas between, as 0,1,2; not {text!r}.") from None


def _go_on(engine: Engine, number: int) -> int:
    """Go on with a comparison: its first run knows models and prompts."""
    begun = begun_with(engine.store, number)
    if begun is None:
        raise CompareError(f"No run of comparison {number} has begun; begin it anew.")
    return _train(engine, number, *begun)


def _train(
    engine: Engine, number: int, load: do.LoadModels, prompts: tuple[do.PromptItem, ...],
    data: DataByKind,
) -> int:
    options, worst, loaded = engine.options, 0, False
    kept = engine.store.sweep(number)
    assert kept is not None
    plan = Plan.of_json(kept.plan)
    for place, at in enumerate(progress(engine.store, number)):
        if at.done:
            continue
        _say(options, f"\nRun {place + 1} of {len(plan.runs)}: {at.planned.name}")
        enough = _enough(engine, at, plan)
        together = {"processes": processes.started()}  # torchrun may have been told otherwise
        if at.run is not None:
            there = at.planned.settings.processes == processes.started()
            status = engine.run(
                do.ResumeRun(at.run.id, changes={} if there else together), enough=enough)
        else:
            start = at.planned.start(
                number, place, prompts, data_for_next(engine.store, number, data))
            start = replace(
                start, hyperparameters=start.hyperparameters.with_changes(together))
            status = (engine.run(start, enough=enough) if loaded
                      else engine.run(load, start, enough=enough))
        loaded = True
        lost = status == FAILED and _was_lost(engine, number, place)
        if lost or engine.interrupted() or status == INTERRUPTED:
            tell(f"Go on with: ppo-workbench compare --continue {number}")
            return FAILED if lost else INTERRUPTED
        if status == UNUSABLE:
            return status
        worst = max(worst, status)
    _print(engine, number)
    return worst


def _was_lost(engine: Engine, number: int, place: int) -> bool:
    """Whether the run has lost one of its processes: no other one would have it either."""
    run = progress(engine.store, number)[place].run
    return run is not None and run.status == "interrupted"


def _enough(engine: Engine, at: Progress, plan: Plan) -> Callable[[ev.CycleFinished], bool]:
    """Return what says after which cycle a run has had its seconds."""
    spent = 0.0 if at.run is None else used(engine.store, at.run.id)

    def enough(finished: ev.CycleFinished) -> bool:
        nonlocal spent
        spent += finished.metrics[SECONDS]
        return plan.unit == "seconds" and spent >= plan.budget
    return enough


def _print(engine: Engine, number: int) -> None:
    """Print a line for every way, over its seeds; with ``--json`` an object for every run."""
    found: dict[str, list[dict[str, float]]] = {}
    for planned, run, metrics in results(engine.store, number):
        found.setdefault(planned.way, []).append(metrics)
        if engine.options.json:
            numbers = {k: v if math.isfinite(v) else None for k, v in metrics.items()}
            say(json.dumps({"run": run.id, "way": planned.way, "seed": planned.seed,
                            "status": run.status, **numbers}))
    if engine.options.json:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("way", "seeds", "reward, first", "last", "least", "most", "KL", "distinct",
                    "samples", "seconds"):
        table.add_column(heading, justify="left" if heading == "way" else "right", no_wrap=True)
    for way, runs in found.items():
        table.add_row(way, str(len(runs)), *(
            _of_seeds(runs, name, of) for name, of in (
                ("first", fmean), ("reward", fmean), ("reward", min), ("reward", max), (KL, fmean),
                (_DISTINCT, fmean), ("samples", fmean), ("seconds", fmean))))
    console_of_lines().print(table)


def _of_seeds(
    runs: list[dict[str, float]], name: str, of: Callable[[list[float]], float]
) -> str:
    numbers = [run[name] for run in runs if math.isfinite(run.get(name, math.nan))]
    return short_number(of(numbers)).replace("−", "-") if numbers else "-"


def _say(options: argparse.Namespace, sentence: str) -> None:
    if not options.json:
        say(sentence)
