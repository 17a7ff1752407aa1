"""``ppo-workbench train`` and ``resume``: the window's engine and store, without the window."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import queue
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from workbench import assets
from workbench.ppo.hyperparameters import HyperparameterError, parse
from workbench.store.home import StoreError, find_home
from workbench.store.prompt_files import PromptFileError, read_prompts
from workbench.store.records import Series
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.session import Session

FAILED, UNUSABLE, INTERRUPTED = 1, 2, 130


class UsageError(ValueError):
    """What was asked for cannot be done. A plain sentence."""


def train(options: argparse.Namespace) -> int:
    """Run PPO as the command line says and return the exit status.

    0: finished; 1: the run failed; 2: the request cannot be carried out; 130: interrupted.
    """
    try:
        hp = parse(_settings(options))
        start = do.Start(hp, _prompts(options.prompts), options.name)
    except (HyperparameterError, PromptFileError, UsageError) as error:
        return _unusable(error)
    load = do.LoadModels(
        options.policy or str(assets.BUNDLED_POLICY), options.reward or str(assets.BUNDLED_REWARD),
        options.reward_label, options.chat_template)
    return _run(options, load, start)


def resume(options: argparse.Namespace) -> int:
    """Go on with a run of the store; the exit status is that of :func:`train`."""
    try:
        changes: dict[str, Any] = _settings(options)
    except UsageError as error:
        return _unusable(error)
    return _run(options, do.ResumeRun(options.run, options.cycle, changes))


def export(options: argparse.Namespace) -> int:
    """Write a run's policy as a plain folder."""
    options.threads, options.json = None, False
    folder = str(Path(options.folder).expanduser().resolve())
    return _run(options, do.ExportRun(options.run, folder, options.cycle))


def _run(options: argparse.Namespace, first: do.Command, start: do.Start | None = None) -> int:
    try:
        store = Store(find_home(options.home))
    except StoreError as error:
        return _unusable(error)
    events: queue.SimpleQueue[ev.Event] = queue.SimpleQueue()
    session = Session(store, events.put, threads=options.threads)
    try:
        with _stop_on_interrupt(session):
            session.send(first)
            return _follow(session, events, start, _quiet if options.json else print)
    finally:
        session.close()
        store.close()


def _unusable(error: Exception) -> int:
    print(f"ppo-workbench: {error}", file=sys.stderr)
    return UNUSABLE


def _settings(options: argparse.Namespace) -> dict[str, object]:
    values: dict[str, object] = {}
    for setting in options.settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set wants NAME=VALUE, not {setting!r}.")
        values[name.strip()] = value.strip()
    if options.cycles is not None:
        values["num_cycles"] = options.cycles
    if getattr(options, "seed", None) is not None:
        values["seed"] = options.seed
    return values


def _prompts(file: str | None) -> tuple[do.PromptItem, ...]:
    found = read_prompts(Path(file).expanduser() if file else assets.DEFAULT_PROMPTS)
    for problem in found.problems:
        print(f"ppo-workbench: {problem}", file=sys.stderr)
    return tuple(do.PromptItem(p.text, p.pinned) for p in found.prompts if p.enabled)


def _follow(
    session: Session, events: queue.SimpleQueue[ev.Event], start: do.Start | None,
    say: Callable[..., None],
) -> int:
    """Send ``start`` once models are loaded; print what happens until the run ends."""
    as_json = say is _quiet
    while True:
        match events.get():
            case ev.LoadingFailed(sentence=sentence, labels=labels):
                hint = " Say which with --reward-label N, from 0." if labels else ""
                print(f"ppo-workbench: {sentence}{hint}", file=sys.stderr)
                return UNUSABLE
            case ev.ModelsLoaded(policy=policy, reward=reward):
                say(f"Policy {policy.name} ({policy.parameters / 1e6:.1f} M parameters), reward "
                    f"{reward.name}, on {policy.device} in {policy.dtype}.")
                if start is not None:
                    session.send(start)
            case ev.CommandRefused(sentence=sentence):
                print(f"ppo-workbench: {sentence}", file=sys.stderr)
                return UNUSABLE
            case ev.RunStarted(name=name, hyperparameters=hp):
                say(f"{name}: {hp.num_cycles} cycles of {hp.batch_size} completions.")
            case ev.RunResumed(name=name, cycle=cycle, hyperparameters=hp):
                say(f"{name} goes on after cycle {cycle} of {hp.num_cycles}.")
            case ev.StateChanged(state=ev.State.PAUSED, note=note):
                say(f"Paused {note.lower()}, as the window asked; it goes on from there. "
                    "Ctrl+C stops it.")
            case ev.CycleFinished() as finished:
                print(_json_line(finished) if as_json else _line(finished), flush=True)
            case ev.Exported(cycle=cycle, folder=folder):
                say(f"The policy after cycle {cycle} is in {folder}.")
                return 0
            case ev.CheckpointFailed(sentence=sentence):
                print(f"ppo-workbench: {sentence}", file=sys.stderr)
            case ev.RunFailed(sentence=sentence):
                print(f"ppo-workbench: {sentence}", file=sys.stderr)
            case ev.RunFinished(run_id=run_id, outcome=outcome, cycles=cycles):
                say(f"{outcome.capitalize()} after {cycles} cycles.")
                if outcome == "stopped":
                    say(f"Go on with: ppo-workbench resume {run_id}")
                return {"finished": 0, "failed": FAILED}.get(outcome, INTERRUPTED)
            case ev.StateChanged(state=ev.State.FAILED):
                return FAILED


def list_runs(options: argparse.Namespace) -> int:
    """Print a line for every run of the store."""
    from rich.console import Console
    from rich.table import Table

    try:
        store = Store(find_home(options.home))
    except StoreError as error:
        return _unusable(error)
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "name", "begun", "status", "cycles", "reward", "checkpoints"):
        table.add_column(heading, justify="right" if heading in ("run", "cycles") else "left")
    for run in store.runs():
        scores = store.metrics(run.id).get("objective/scores", Series()).values
        table.add_row(
            str(run.id), run.name, run.created_at, run.status,
            f"{run.cycles}/{run.hyperparameters.get('num_cycles', '?')}",
            f"{scores[0]:+.2f} to {scores[-1]:+.2f}" if scores else "",
            ", ".join(str(c.cycle) for c in store.checkpoints.all(run.id)))
    store.close()
    Console(highlight=False).print(table)
    return 0


def _line(event: ev.CycleFinished) -> str:
    m = event.metrics
    return (
        f"cycle {event.cycle:>{len(str(event.num_cycles))}}/{event.num_cycles}"
        f"  reward {m['objective/scores']:+.3f}  KL {m['objective/kl']:.2f}"
        f"  value loss {m['loss/value_avg']:.3f}  entropy {m['policy/entropy_avg']:.3f}"
        f"  clipped {m['policy/clipfrac_avg']:.1%}  distinct {m['objective/distinct']:.0%}"
        f"  {m['tokens_per_second']:,.0f} tokens/s  {m['seconds']:.2f} s")


def _json_line(event: ev.CycleFinished) -> str:
    numbers = {k: v if math.isfinite(v) else None for k, v in event.metrics.items()}
    return json.dumps({"cycle": event.cycle, **numbers})


def _quiet(*_: object) -> None:
    """Say nothing: with ``--json`` only cycles go to standard output."""


@contextlib.contextmanager
def _stop_on_interrupt(session: Session) -> Iterator[None]:
    """Ctrl+C stops the run cleanly; a second one ends the process as usual."""
    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("Stopping...", file=sys.stderr)
        session.send(do.Stop())

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
