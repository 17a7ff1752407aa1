"""``ppo-workbench train``: the same engine and store as the window, without the window."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import queue
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from workbench import assets
from workbench.ppo.hyperparameters import HyperparameterError, Hyperparameters, parse
from workbench.store.home import StoreError, find_home
from workbench.store.prompt_files import PromptFileError, read_prompts
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
        hp = _hyperparameters(options)
        prompts = _prompts(options.prompts)
        store = Store(find_home(options.home))
    except (HyperparameterError, PromptFileError, StoreError, UsageError) as error:
        print(f"ppo-workbench: {error}", file=sys.stderr)
        return UNUSABLE
    events: queue.SimpleQueue[ev.Event] = queue.SimpleQueue()
    session = Session(store, events.put, threads=options.threads)
    try:
        with _stop_on_interrupt(session):
            return _follow(session, events, options, hp, prompts)
    finally:
        session.close()
        store.close()


def _hyperparameters(options: argparse.Namespace) -> Hyperparameters:
    values: dict[str, object] = {}
    for setting in options.settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set wants NAME=VALUE, not {setting!r}.")
        values[name.strip()] = value.strip()
    if options.cycles is not None:
        values["num_cycles"] = options.cycles
    if options.seed is not None:
        values["seed"] = options.seed
    return parse(values)


def _prompts(file: str | None) -> tuple[do.PromptItem, ...]:
    found = read_prompts(Path(file).expanduser() if file else assets.DEFAULT_PROMPTS)
    for problem in found.problems:
        print(f"ppo-workbench: {problem}", file=sys.stderr)
    return tuple(do.PromptItem(p.text, p.pinned) for p in found.prompts if p.enabled)


def _follow(
    session: Session, events: queue.SimpleQueue[ev.Event], options: argparse.Namespace,
    hp: Hyperparameters, prompts: tuple[do.PromptItem, ...],
) -> int:
    session.send(do.LoadModels(
        options.policy or str(assets.BUNDLED_POLICY), options.reward or str(assets.BUNDLED_REWARD),
        options.reward_label, options.chat_template))
    say = _quiet if options.json else print
    while True:
        match events.get():
            case ev.LoadingFailed(sentence=sentence, labels=labels):
                hint = " Say which with --reward-label N, from 0." if labels else ""
                print(f"ppo-workbench: {sentence}{hint}", file=sys.stderr)
                return UNUSABLE
            case ev.ModelsLoaded(policy=policy, reward=reward):
                say(f"Policy {policy.name} ({policy.parameters / 1e6:.1f} M parameters), reward "
                    f"{reward.name}, on {policy.device} in {policy.dtype}.")
                session.send(do.Start(hp, prompts, options.name))
            case ev.CommandRefused(sentence=sentence):
                print(f"ppo-workbench: {sentence}", file=sys.stderr)
                return UNUSABLE
            case ev.RunStarted(name=name):
                say(f"{name}: {hp.num_cycles} cycles of {hp.batch_size} completions, "
                    f"{len(prompts)} prompts.")
            case ev.CycleFinished() as finished:
                print(_json_line(finished) if options.json else _line(finished), flush=True)
            case ev.RunFailed(sentence=sentence):
                print(f"ppo-workbench: {sentence}", file=sys.stderr)
            case ev.RunFinished(outcome=outcome, cycles=cycles):
                say(f"{outcome.capitalize()} after {cycles} cycles.")
                return {"finished": 0, "failed": FAILED}.get(outcome, INTERRUPTED)
            case ev.StateChanged(state=ev.State.FAILED):
                return FAILED


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
