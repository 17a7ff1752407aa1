"""What the training thread does: it serves commands, and runs cycles when a run is on."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
from transformers.utils import logging as transformers_logging

from workbench.ppo.control import Interrupted
from workbench.ppo.cycle import PPO, CycleResult, Written
from workbench.ppo.device import find_placement
from workbench.ppo.hyperparameters import HyperparameterError, Hyperparameters, Value, specs
from workbench.ppo.loading import LoadedPolicy, LoadedReward, load_policy, load_reward
from workbench.ppo.phases import Phase
from workbench.ppo.scribe import PromptError
from workbench.ppo.sources import LoadError
from workbench.store.records import CompletionRecord, Prompt, Status
from workbench.store.store import Store
from workbench.store.traces import TraceRecord
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.failures import explain
from workbench.training.session import Close

# In which states a command makes sense, and what to say otherwise.
_IDLE = (State.READY, State.FINISHED, State.FAILED)
_WHEN: dict[type, tuple[tuple[State, ...], str]] = {
    do.LoadModels: ((State.IDLE, *_IDLE), "Models can be loaded when no run is on."),
    do.CancelLoading: ((State.LOADING,), "Nothing is being loaded."),
    do.Start: (_IDLE, "A run can start when models are loaded and no run is on."),
    do.Pause: ((State.RUNNING,), "Only a running run can be paused."),
    do.Resume: ((State.PAUSED,), "Only a paused run can go on."),
    do.StepCycle: ((State.PAUSED,), "Only a paused run can be stepped."),
    do.Stop: ((State.RUNNING, State.PAUSED), "No run is on."),
    do.SetHyperparameters: (
        (State.RUNNING, State.PAUSED), "No run is on; the values are used at its start."),
}


@dataclass(slots=True)
class _Run:
    """The run that is on."""

    id: int
    hp: Hyperparameters
    prompts: tuple[do.PromptItem, ...]
    compared: list[int]
    cycle: int = 0
    """The last finished cycle."""
    staged: dict[str, tuple[Value, str]] = field(default_factory=dict)
    pause_after_cycle: bool = False
    compared_start: bool = False
    in_cycle: bool = False
    """Whether the next cycle has begun, so that a change comes too late for it."""


class Worker:
    """Owns the models and the run. Lives on the training thread alone."""

    def __init__(
        self, store: Store, inbox: queue.SimpleQueue[do.Command | Close],
        emit: Callable[[ev.Event], None], threads: int | None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        transformers_logging.disable_progress_bar()
        self._store = store
        self._inbox = inbox
        self._emit = emit
        self._state = State.IDLE
        self._policy: LoadedPolicy | None = None
        self._reward: LoadedReward | None = None
        self._ppo: PPO | None = None
        self._run: _Run | None = None
        self._closing = False
        self._cancelled = False
        self._load_next: do.LoadModels | None = None

    # -- the loop

    def serve(self) -> None:
        """Serve commands until told to close."""
        while not self._closing:
            if self._state is State.RUNNING and self._run is not None:
                self._attend()
                if self._state is State.RUNNING:
                    self._one_cycle(self._run)
            elif self._load_next is not None:
                self._load(self._load_next)
            else:
                self._handle(self._inbox.get())
        if self._run is not None:
            self._finish("stopped", "The workbench was closed.")

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Serve as the :class:`~workbench.ppo.control.Control` of a cycle."""
        self._attend()
        if self._closing or self._state is State.STOPPING:
            raise Interrupted
        if self._run is not None:
            self._emit(ev.Progress(
                self._run.id, self._run.cycle + 1 if self._run.compared_start else 0,
                self._run.hp.num_cycles, phase, done, total))

    def _attend(self) -> None:
        while not self._inbox.empty():
            self._handle(self._inbox.get())

    def _handle(self, command: do.Command | Close) -> None:
        if isinstance(command, Close):
            self._closing = True
            return
        states, sentence = _WHEN[type(command)]
        if self._state not in states:
            self._refuse(command, sentence)
            return
        match command:
            case do.LoadModels():
                self._load_next = command
                self._enter(State.LOADING)
            case do.CancelLoading():
                self._cancelled = True
            case do.Start():
                self._start(command)
            case do.Pause():
                if self._run is not None:
                    self._run.pause_after_cycle = True
                    self._enter(State.RUNNING, f"Pausing after cycle {self._run.cycle + 1}")
            case do.Resume():
                self._go_on(step=False)
            case do.StepCycle():
                self._go_on(step=True)
            case do.Stop():
                if self._state is State.PAUSED:
                    self._finish("stopped")
                else:
                    self._enter(State.STOPPING, "Stopping at the next step")
            case do.SetHyperparameters():
                self._stage(command)

    def _enter(self, state: State, note: str = "") -> None:
        self._state = state
        self._emit(ev.StateChanged(state, note))

    def _refuse(
        self, command: do.Command, sentence: str, problems: dict[str, str] | None = None
    ) -> None:
        self._emit(ev.CommandRefused(type(command).__name__, sentence, problems or {}))

    # -- models

    def _load(self, command: do.LoadModels) -> None:
        self._load_next, self._cancelled = None, False
        began = time.perf_counter()
        which = "policy"
        failed: ev.LoadingFailed
        try:
            placement = find_placement()
            policy = load_policy(
                command.policy, placement, self._loading(0.0),
                use_chat_template=command.use_chat_template)
            which = "reward"
            reward = load_reward(
                command.reward, placement, self._loading(0.5), label=command.reward_label)
            self._ppo = PPO(policy.policy, reward.reward, policy.scribe)
        except Interrupted:
            failed = ev.LoadingFailed("Loading was cancelled; nothing changed.", cancelled=True)
        except LoadError as error:
            failed = ev.LoadingFailed(
                str(error), which, explain(error)[1], labels=error.labels)
        except Exception as error:
            sentence, details = explain(error)
            failed = ev.LoadingFailed(
                sentence.replace("The cycle failed", f"The {which} could not be loaded"),
                which, details)
        else:
            self._policy, self._reward = policy, reward
            self._emit(ev.ModelsLoaded(
                _policy_facts(policy), _reward_facts(reward), time.perf_counter() - began))
            self._enter(State.READY)
            return
        self._emit(failed)
        self._enter(State.READY if self._ppo is not None else State.IDLE)

    def _loading(self, start: float) -> Callable[[str, float], None]:
        def report(text: str, share: float) -> None:
            self._attend()
            if self._cancelled or self._closing:
                raise Interrupted
            self._emit(ev.LoadingProgress(text, start + 0.5 * share))
        return report

    # -- the run

    def _start(self, command: do.Start) -> None:
        if self._ppo is None or self._policy is None or self._reward is None:
            self._refuse(command, "Load a policy and a reward model first.")
            return
        if not command.prompts:
            self._refuse(command, "There is no prompt to complete; add one or switch one on.")
            return
        hp = command.hyperparameters
        texts = [p.text for p in command.prompts]
        try:
            self._ppo.begin(texts, hp)
            facts = {"policy": asdict(_policy_facts(self._policy)),
                     "reward": asdict(_reward_facts(self._reward))}
            run_id = self._store.create_run(
                name=command.name, policy=self._policy.source, reward=self._reward.source,
                models=facts, hyperparameters=hp.model_dump(),
                prompts=[Prompt(p.text, pinned=p.pinned) for p in command.prompts]).result()
        except PromptError as error:
            self._refuse(command, str(error))
            return
        except Exception as error:
            sentence, _ = explain(error, hp)
            self._refuse(command, sentence)
            return
        pinned_first = sorted(range(len(texts)), key=lambda i: not command.prompts[i].pinned)
        self._run = _Run(
            run_id, hp, command.prompts, pinned_first[: hp.comparison_prompts],
            pause_after_cycle=command.step)
        self._emit(ev.RunStarted(run_id, command.name or f"Run {run_id}", hp))
        self._enter(State.RUNNING)

    def _go_on(self, *, step: bool) -> None:
        if self._run is not None:
            self._run.pause_after_cycle = step
            self._store.set_status(self._run.id, "running").result()
            self._enter(State.RUNNING, f"One cycle: {self._run.cycle + 1}" if step else "")

    def _one_cycle(self, run: _Run) -> None:
        """Run the next cycle, or whatever comes before and after it."""
        if self._ppo is None:
            raise RuntimeError("a run is on without models")
        try:
            if not run.compared_start:
                before = self._ppo.compare(run.compared, run.hp, self)
                self._store.record_comparison(run.id, 0, _records(before, run)).result()
                run.compared_start = True
                self._emit(ev.ComparisonReady(run.id, 0))
            self._apply_staged(run)
            if run.cycle < run.hp.num_cycles:
                run.in_cycle = True
                result = self._ppo.run_cycle(run.cycle + 1, run.hp, run.compared, self)
                self._record(run, result)
        except Interrupted:
            if not self._closing:
                self._finish("stopped")
        except Exception as error:
            sentence, details = explain(error, run.hp)
            self._emit(ev.RunFailed(run.id, sentence, details))
            self._finish("failed", sentence)
        else:
            if run.cycle >= run.hp.num_cycles:
                self._finish("finished")
            elif self._state is State.STOPPING:
                self._finish("stopped")
            elif run.pause_after_cycle:
                run.pause_after_cycle = False
                self._store.set_status(run.id, "paused").result()
                self._enter(State.PAUSED, f"After cycle {run.cycle}")

    def _record(self, run: _Run, result: CycleResult) -> None:
        cycle = run.cycle + 1
        self._store.record_cycle(
            run.id, cycle, metrics=result.metrics, rollout=_records(result.rollout, run),
            comparison=_records(result.comparison, run),
            traces=[TraceRecord(t.row, t.prompt, t.tokens, t.pieces, t.numbers)
                    for t in result.traces],
            keep_traces=run.hp.keep_tokens).result()
        run.cycle, run.in_cycle = cycle, False
        self._emit(ev.ComparisonReady(run.id, cycle))
        self._emit(ev.CycleFinished(run.id, cycle, run.hp.num_cycles, dict(result.metrics)))

    def _stage(self, command: do.SetHyperparameters) -> None:
        run = self._run
        if run is None:
            return
        fixed = {name: f"{specs()[name].label} cannot change during a run; start a new one."
                 for name in command.changes if name in specs() and not specs()[name].live}
        values = {name: value for name, (value, _) in run.staged.items()}
        try:
            if fixed:
                raise HyperparameterError(fixed)
            new = run.hp.with_changes(values | dict(command.changes))
            self._check_fits(new)
        except HyperparameterError as error:
            self._refuse(command, str(error), error.problems)
            return
        except PromptError as error:
            self._refuse(command, str(error), {"response_length": str(error)})
            return
        parsed = new.model_dump()
        for name in command.changes:
            run.staged[name] = (parsed[name], command.by)
        self._emit(ev.HyperparametersStaged(
            {name: parsed[name] for name in command.changes},
            run.cycle + (2 if run.in_cycle else 1)))

    def _check_fits(self, hp: Hyperparameters) -> None:
        if self._ppo is not None:
            self._ppo.scribe.encode(self._ppo.prompts, hp.response_length)

    def _apply_staged(self, run: _Run) -> None:
        """Let staged changes take effect at this cycle: record them, then say so."""
        if not run.staged or self._ppo is None:
            return
        new = run.hp.with_changes({name: value for name, (value, _) in run.staged.items()})
        changes = tuple(
            ev.Change(name, old, now, run.staged[name][1])
            for name, (old, now) in run.hp.differences(new).items())
        run.staged.clear()
        self._ppo.apply(run.hp, new)
        run.hp = new
        if changes:
            self._store.record_changes(
                run.id, run.cycle + 1, [(c.name, c.old, c.new, c.by) for c in changes]).result()
            self._emit(ev.HyperparametersApplied(run.id, run.cycle + 1, changes, new))

    def _finish(self, outcome: Status, note: str = "") -> None:
        run, self._run = self._run, None
        if run is None:
            return
        self._store.set_status(run.id, outcome, note).exception()
        self._emit(ev.RunFinished(run.id, outcome, run.cycle))
        self._enter(State.FAILED if outcome == "failed" else State.FINISHED, note)


def _records(written: list[Written], run: _Run) -> list[CompletionRecord]:
    return [
        CompletionRecord(
            position=i, prompt=w.prompt, prompt_text=run.prompts[w.prompt].text, text=w.text,
            score=w.score, kl=w.kl, length=w.length, ended=w.ended)
        for i, w in enumerate(written)
    ]


def _facts(
    source: str, model: torch.nn.Module, tokenizer: object, dtype: str, device: torch.device
) -> dict[str, object]:
    return {
        "source": source,
        "name": source.rstrip("/").rsplit("/", 1)[-1],
        "architecture": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": len(tokenizer),  # type: ignore[arg-type]
        "dtype": dtype,
        "device": str(device),
        "tokenizer": type(tokenizer).__name__,
        "has_chat_template": bool(getattr(tokenizer, "chat_template", None)),
    }


def _policy_facts(loaded: LoadedPolicy) -> ev.ModelFacts:
    policy = loaded.policy
    return ev.ModelFacts(**_facts(  # type: ignore[arg-type]
        loaded.source, policy.model, loaded.scribe.tokenizer, policy.placement.dtype_name,
        policy.device))


def _reward_facts(loaded: LoadedReward) -> ev.ModelFacts:
    reward = loaded.reward
    return ev.ModelFacts(labels=loaded.labels, label=reward.label, **_facts(  # type: ignore[arg-type]
        loaded.source, reward.model, reward.tokenizer, reward.placement.dtype_name,
        reward.placement.device))
