"""Stop means stop: at the next step, with a checkpoint where one can be had."""

import hashlib
import queue

import pytest
from helpers import gate
from helpers.client import Client
from helpers.patience import SECONDS

from workbench.ppo.hyperparameters import parse
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training import runner
from workbench.training.events import State
from workbench.training.reward_parts import RewardPart
from workbench.training.session import Session

PROMPTS = (do.PromptItem("one"), do.PromptItem("two"))


def start(cycles=1000, **settings):
    return do.Start(parse({
        "num_cycles": cycles, "batch_size": 4, "response_length": 6, "kl_coef": 0.05,
        "comparison_prompts": 2, "checkpoint_every": 0, **settings}), PROMPTS)


class Reacting:
    """A session whose listener may answer an event at once, on the training thread, so that a
    command arrives at an exact moment."""

    def __init__(self, store, folders, react):
        self.events = queue.SimpleQueue()
        self._react = react
        self.session = Session(store, self._listen, threads=1)
        self.session.send(do.LoadModels(*folders))

    def _listen(self, event):
        self.events.put(event)
        for command in self._react(event):
            self.session.send(command)

    def until(self, kind, state=None):
        seen = []
        while not seen or not isinstance(seen[-1], kind) or state not in (
            None, getattr(seen[-1], "state", None)
        ):
            seen.append(self.events.get(timeout=SECONDS))
        return seen


@pytest.fixture
def reacting(store, folders):
    opened = []

    def make(react):
        opened.append(Reacting(store, folders, react))
        opened[-1].until(ev.StateChanged, State.READY)
        opened[-1].session.send(start())
        return opened[-1].until(ev.RunFinished)

    yield make
    for one in opened:
        one.session.close()


def at(kind, fits=lambda _: True, command=do.Stop):
    """React once, to the first event of a kind that fits."""
    done = []

    def react(event):
        if isinstance(event, kind) and fits(event) and not done:
            done.append(event)
            yield command()
    return react


@pytest.mark.parametrize(("phase", "done"), [
    (ev.Phase.SAMPLING, 0), (ev.Phase.SCORING, 0), (ev.Phase.UPDATING, 0), (ev.Phase.UPDATING, 1)])
def test_no_step_is_begun_after_a_stop(reacting, store, phase, done):
    seen = reacting(at(ev.Progress, lambda e: (e.phase, e.cycle) == (phase, 2) and e.done >= done))
    where = next(i for i, e in enumerate(seen) if isinstance(e, ev.StateChanged)
                 and e.state is State.STOPPING)
    assert not [e for e in seen[where:] if isinstance(e, ev.Progress)]
    assert (seen[-1].outcome, seen[-1].cycles, store.run(1).cycles) == ("stopped", 1, 1)
    # Before its first step on the weights, the cycle can be dropped without losing the one before.
    assert [c.cycle for c in store.checkpoints.all(1)] == ([] if done else [1])


@pytest.mark.parametrize("phase", [ev.Phase.READING, ev.Phase.COMPARING])
def test_a_cycle_whose_update_is_made_is_completed_and_kept(reacting, store, phase):
    seen = reacting(at(ev.Progress, lambda e: e.phase is phase and e.cycle == 2))
    assert next(e.note for e in seen if isinstance(e, ev.StateChanged)
                and e.state is State.STOPPING).startswith("Stopping after the comparison")
    assert (seen[-1].outcome, seen[-1].cycles, store.run(1).cycles) == ("stopped", 2, 2)
    assert [c.cycle for c in store.checkpoints.all(1)] == [2]
    assert len(store.completions(1, 2)) == 2


def test_the_phase_that_is_told_is_of_the_part_that_is_on(reacting):
    seen = [e for e in reacting(at(ev.CycleFinished, lambda e: e.cycle == 2))
            if isinstance(e, ev.Progress | ev.PartReported) and e.cycle == 2]
    over = [next(i for i, e in enumerate(seen) if isinstance(e, ev.PartReported)
                 and (e.part, e.done) == (part, True)) for part in ("estimate", "update")]
    reading, comparing = ([i for i, e in enumerate(seen) if isinstance(e, ev.Progress)
                           and e.phase is phase] for phase in (
                               ev.Phase.READING, ev.Phase.COMPARING))
    assert reading
    assert over[0] < min(reading) <= max(reading) < over[1] < min(comparing)


def test_a_second_stop_drops_the_comparison_too(reacting, store):
    first = at(ev.Progress, lambda e: e.phase is ev.Phase.COMPARING and e.cycle == 2)
    seen = reacting(lambda event: [*first(event)] * 2)
    assert (seen[-1].outcome, seen[-1].cycles, store.checkpoints.all(1)) == ("stopped", 1, [])


def test_a_stop_while_the_start_policy_is_compared_is_at_once(reacting, store):
    seen = reacting(at(ev.Progress, lambda e: e.phase is ev.Phase.COMPARING and e.cycle == 0))
    where = next(i for i, e in enumerate(seen) if isinstance(e, ev.StateChanged)
                 and e.state is State.STOPPING)
    assert not [e for e in seen[where:] if isinstance(e, ev.Progress)]
    assert (seen[-1].outcome, seen[-1].cycles) == ("stopped", 0)


def test_a_stop_between_two_cycles(reacting, store):
    seen = reacting(at(ev.CycleFinished))
    assert seen[-1] == ev.RunFinished(1, "stopped", 1)
    assert [c.cycle for c in store.checkpoints.all(1)] == [1]


def test_a_second_stop_gives_up_the_checkpoint(reacting, store):
    first = at(ev.Progress, lambda e: e.cycle == 2)
    second = at(ev.StateChanged, lambda e: e.note.startswith("Writing a checkpoint"))
    seen = reacting(lambda event: [*first(event), *second(event)])
    assert seen[-1].outcome == "stopped"
    failed = [e.sentence for e in seen if isinstance(e, ev.CheckpointFailed)]
    assert failed == [
        "The checkpoint of cycle 1 was given up. The run has no other, and would begin from the "
        "start."]
    assert store.checkpoints.all(1) == []
    assert [p.name for p in (store.home / "checkpoints" / "1").iterdir()] == []


def test_two_stops_at_once_write_no_checkpoint(reacting, store):
    first = at(ev.Progress, lambda e: e.cycle == 2)
    seen = reacting(lambda event: [*first(event)] * 2)
    assert not [e for e in seen if isinstance(e, ev.CheckpointFailed | ev.CheckpointWritten)]
    assert store.checkpoints.all(1) == []


def test_stopping_a_paused_run_writes_nothing_twice(ready, store):
    ready.send(do.Start(start().hyperparameters, PROMPTS, step=True))
    ready.wait_for(State.PAUSED)
    ready.send(do.Stop())
    assert ready.wait(ev.RunFinished).outcome == "stopped"
    assert [e.cycle for e in ready.of(ev.CheckpointWritten)] == [1]


def test_a_change_for_a_cycle_that_was_dropped_is_made_when_it_is_run(reacting, ready, store):
    changed = at(ev.CycleFinished, command=lambda: do.SetHyperparameters({"kl_coef": 0.5}))
    applied = at(ev.HyperparametersApplied)
    seen = reacting(lambda event: [*changed(event), *applied(event)])
    assert seen[-1].cycles == 1
    state = store.checkpoints.read(1, 1)[1]
    assert (state["hyperparameters"]["kl_coef"], state["numbers"]["kl_coef"]) == (0.05, 0.05)
    ready.send(do.ResumeRun(1, changes={"num_cycles": 3}))
    assert ready.wait(ev.RunFinished).outcome == "finished"
    assert store.metrics(1)["kl_coef"].values == [0.05, 0.5, 0.5]
    assert [(c.cycle, c.name, c.new) for c in store.changes(1)] == [
        (2, "num_cycles", 3), (2, "kl_coef", 0.5)]


def test_a_stop_while_a_reward_file_runs_is_seen_as_soon_as_it_returns(client, store, folders,
                                                                       tmp_path):
    file = tmp_path / "slow.py"
    file.write_text(gate.CODE)
    store.trust(hashlib.sha256(file.read_bytes()).hexdigest(), str(file)).result()
    client.send(do.LoadModels(folders[0], (RewardPart(str(file)), RewardPart(folders[1]))))
    client.wait_for(State.READY)
    gate.entered.clear()
    gate.passed.clear()
    client.send(start())
    assert gate.entered.wait(SECONDS)
    client.send(do.Stop())
    gate.passed.set()
    client.wait_for(State.STOPPING)
    asked = len(client.seen)
    assert client.wait(ev.RunFinished).outcome == "stopped"
    assert not [e for e in client.seen[asked:] if isinstance(e, ev.Progress)]


@pytest.mark.parametrize(("call", "kept"), [(1, 0), (2, 0), (3, 0), (4, 1), (5, 1)])
def test_one_stop_ends_a_run_whose_reward_never_returns(
    client, store, folders, tmp_path, monkeypatch, call, kept
):
    """Whichever completions it was to score: the start policy's, a batch's or those compared."""
    monkeypatch.setattr(runner, "PATIENCE", 0.0)
    file = tmp_path / "hangs.py"
    file.write_text(
        "import time\n"
        "from helpers.gate import entered\n"
        "calls = []\n"
        "def reward(prompts, completions):\n"
        "    calls.append(1)\n"
        f"    while len(calls) == {call}:\n"
        "        entered.set()\n"
        "        time.sleep(0.01)\n"
        "    return [float(len(c)) for c in completions]\n")
    store.trust(hashlib.sha256(file.read_bytes()).hexdigest(), str(file)).result()
    client.send(do.LoadModels(folders[0], str(file)))
    client.wait_for(State.READY)
    gate.entered.clear()
    client.send(start())
    assert gate.entered.wait(SECONDS)
    client.send(do.Stop())
    assert client.wait(ev.RunFinished).outcome == "stopped"
    assert store.run(1).cycles == kept


def test_loading_is_given_up_at_every_one_of_its_steps(store, folders):
    counted = Client(store)
    counted.send(do.LoadModels(*folders))
    counted.wait_for(State.READY)
    counted.close()
    steps = len(counted.of(ev.LoadingProgress))
    assert steps >= 4
    for step in range(1, steps + 1):
        seen = []

        def cancel(event, step=step, seen=seen):
            seen.append(event)
            if isinstance(event, ev.LoadingProgress) and len(
                    [e for e in seen if isinstance(e, ev.LoadingProgress)]) == step:
                yield do.CancelLoading()

        loading = Reacting(store, folders, cancel)
        if step < steps:
            assert loading.until(ev.LoadingFailed)[-1].cancelled
            assert len([e for e in seen if isinstance(e, ev.LoadingProgress)]) == step
        loading.until(ev.StateChanged, State.IDLE if step < steps else State.READY)
        loading.session.close()


def test_a_stop_ends_a_try_and_the_run_within_a_token(ready, store):
    ready.send(do.Start(start().hyperparameters, PROMPTS, step=True))
    ready.wait_for(State.PAUSED)
    ready.send(do.Try(1, ("one",), (do.TrySource("current"),) * 500, length=100))
    ready.wait(ev.TryProgress)
    ready.send(do.Stop())
    assert ready.wait(ev.TryFinished).stopped
    assert ready.wait(ev.RunFinished) == ev.RunFinished(1, "stopped", 1)
