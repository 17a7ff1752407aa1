"""A run is watched and steered through the store by another process (here: another store)."""

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from helpers.client import Client
from helpers.patience import SECONDS

from workbench.health import Finding
from workbench.ppo.hyperparameters import parse
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training import wire
from workbench.training.events import State
from workbench.training.remote import RemoteSession
from workbench.training.session_router import SessionRouter

E = TypeVar("E")
PROMPTS = (do.PromptItem("one"), do.PromptItem("two"))


def start(**settings: object) -> do.Start:
    return do.Start(parse({
        "num_cycles": 5000, "batch_size": 2, "num_mini_batches": 1, "response_length": 4,
        "comparison_prompts": 1, "checkpoint_every": 0, **settings}), PROMPTS, step=True)


class Watcher:
    """Another process on the same home, as far as the store can tell."""

    def __init__(self, home: Path) -> None:
        self.store = Store(home)
        self.events: queue.SimpleQueue[ev.Event] = queue.SimpleQueue()
        self.seen: list[ev.Event] = []
        self.session: RemoteSession | SessionRouter | None = None

    def follow(self, run_id: int) -> None:
        self.session = RemoteSession(self.store, run_id, self.events.put)

    def send(self, command: do.Command) -> None:
        assert self.session is not None
        self.session.send(command)

    def wait(self, kind: type[E], **fields: object) -> E:
        while True:
            event = self.events.get(timeout=SECONDS)
            self.seen.append(event)
            if isinstance(event, kind) and all(
                    getattr(event, k) == v for k, v in fields.items()):
                return event

    def close(self) -> None:
        if self.session is not None:
            self.session.close()
        self.store.close()


@pytest.fixture
def watcher(home: Path, store: Store) -> Iterator[Watcher]:
    made = Watcher(home)
    yield made
    made.close()


def test_who_looks_only_after_many_short_cycles_has_missed_nothing(
    ready: Client, watcher: Watcher
) -> None:
    ready.send(start(num_cycles=20))
    ready.wait_for(State.PAUSED)
    ready.send(do.SetHyperparameters({"kl_coef": 0.4}))
    ready.send(do.Resume())
    ready.wait(ev.RunFinished)
    told = [wire.load(name, event) for _, name, event in watcher.store.steering.events(1, 0)]
    parts = [e.cycle for e in told if isinstance(e, ev.PartReported)]
    assert {*range(1, 21)} == set(parts)
    assert len(parts) > 80
    assert [e.cycle for e in told if isinstance(e, ev.HyperparametersApplied)] == [2]


def test_a_run_is_steered_from_another_process(ready: Client, watcher: Watcher) -> None:
    ready.send(start())
    ready.wait_for(State.PAUSED)
    watcher.follow(1)
    followed = watcher.wait(ev.RunFollowed)
    assert (followed.name, followed.cycle) == ("Run 1", 1)
    assert followed.owner.startswith("process ")
    watcher.wait(ev.StateChanged, state=State.PAUSED, note="After cycle 1")

    watcher.send(do.SetHyperparameters({"kl_coef": 0.3, "nonsense": 1}))
    refused = watcher.wait(ev.CommandRefused)
    assert refused.command == "SetHyperparameters"
    assert list(refused.problems) == ["nonsense"]
    watcher.send(do.SetHyperparameters({"kl_coef": 0.3}))
    assert watcher.wait(ev.HyperparametersStaged).takes_effect_at == 2
    watcher.send(do.StepCycle())
    applied = watcher.wait(ev.HyperparametersApplied)
    assert (applied.cycle, applied.hyperparameters["kl_coef"]) == (2, 0.3)
    watcher.wait(ev.StateChanged, state=State.PAUSED, note="After cycle 2")
    finished = [e for e in watcher.seen if isinstance(e, ev.CycleFinished)]
    assert [e.cycle for e in finished] == [2]
    assert finished[0].metrics == watcher.store.cycle_metrics(1, 1)[2]

    watcher.send(do.Resume())
    watcher.wait(ev.CycleFinished)
    watcher.send(do.Checkpoint())
    assert watcher.wait(ev.CommandRefused).sentence == "Pause the run to write a checkpoint."
    watcher.send(do.Pause())
    watcher.wait(ev.CheckpointWritten)
    watcher.wait(ev.StateChanged, state=State.PAUSED)
    watcher.send(do.Stop())
    assert watcher.wait(ev.RunFinished).outcome == "stopped"
    ready.wait_for(State.FINISHED)
    assert not ready.of(ev.CommandRefused)  # they are for the one who asked
    cycles = [e.cycle for e in watcher.seen if isinstance(e, ev.CycleFinished)]
    assert cycles == list(range(2, watcher.store.run(1).cycles + 1))
    assert [(c.cycle, c.name, c.new, c.by) for c in watcher.store.changes(1)] == [
        (2, "kl_coef", 0.3, "person")]
    assert [(c.name, c.outcome) for c in watcher.store.steering.commands(1)] == [
        ("SetHyperparameters", "refused"), ("SetHyperparameters", "done"), ("StepCycle", "done"),
        ("Resume", "done"), ("Checkpoint", "refused"), ("Pause", "done"), ("Stop", "done")]


def test_what_is_asked_of_a_run_is_not_done_to_the_next(ready: Client, watcher: Watcher) -> None:
    ready.send(start())
    ready.wait_for(State.PAUSED)
    watcher.store.steering.post(1, *wire.dump(do.Stop())).result()
    ready.send(do.Fork(1, changes={"num_cycles": 3}))  # which ends run 1 by itself
    assert ready.wait(ev.RunResumed).run_id == 2
    assert ready.wait(ev.RunFinished).outcome == "finished"


def test_a_switchboard_steers_what_it_watches(ready: Client, watcher: Watcher) -> None:
    board = watcher.session = SessionRouter(watcher.store, watcher.events.put, threads=1)
    ready.send(start())
    ready.wait_for(State.PAUSED)
    board.send(do.Stop())
    assert watcher.wait(ev.CommandRefused).sentence == "No run is on."  # its own session's answer
    board.send(do.Watch(1))
    watcher.wait(ev.StateChanged, state=State.PAUSED)
    board.send(do.Unwatch())
    assert watcher.wait(ev.StateChanged).state is State.IDLE
    board.send(do.Watch(1))
    board.send(do.Stop())
    watcher.wait(ev.RunFinished, outcome="stopped")
    assert watcher.wait(ev.StateChanged).state is State.IDLE
    assert watcher.store.run(1).status == "stopped"


def test_a_lost_owner_is_told_and_what_was_asked_refused(
    store: Store, watcher: Watcher
) -> None:
    run_id = store.create_run(
        name="", policy="p", reward="r", models={}, prompts=[],
        hyperparameters=start().hyperparameters.model_dump()).result()
    watcher.follow(run_id)
    watcher.wait(ev.StateChanged, state=State.RUNNING)
    watcher.send(do.Pause())
    store.record_cycle(run_id, 1, metrics={"lr": 0.5}, rollout=[], comparison=[]).result()
    assert watcher.wait(ev.CycleFinished).metrics == {"lr": 0.5}
    store.run_locks.release_all()  # as the end of a process does
    assert "is gone" in watcher.wait(ev.CommandRefused).sentence
    assert watcher.wait(ev.RunFinished) == ev.RunFinished(run_id, "interrupted", 1)
    assert store.run(run_id).status == "interrupted"


def test_an_unknown_command_is_refused(ready: Client, watcher: Watcher) -> None:
    ready.send(start())
    ready.wait_for(State.PAUSED)
    watcher.store.steering.post(1, "Dance", "{}").result()
    watcher.follow(1)
    watcher.send(do.StepCycle())
    watcher.wait(ev.CycleFinished, cycle=2)
    dance = watcher.store.steering.commands(1)[0]
    assert dance.outcome == "refused"
    assert "same version" in dance.sentence


@pytest.mark.parametrize("message", [
    do.SetHyperparameters({"kl_coef": 0.1, "num_cycles": 3, "whiten_rewards": True}, "health"),
    do.Pause(), ev.StateChanged(State.PAUSED, "After cycle 1"),
    ev.Progress(1, 2, 3, ev.Phase.UPDATING, 4, 5),
    ev.HealthChecked(1, 2, (Finding("kl", "serious", "Too far."),), "KL"),
    ev.HyperparametersApplied(1, 2, (ev.Change("kl_coef", 0.05, 0.1),), parse({}).model_dump()),
], ids=lambda m: type(m).__name__)
def test_messages_come_back_as_they_were(message: object) -> None:
    assert wire.load(*wire.dump(message)) == message
