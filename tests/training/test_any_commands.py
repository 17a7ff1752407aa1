"""Whatever is asked for, in whatever order: a valid state, a store that agrees with what was said,
and a clean end. The real session, with tiny models."""

import shutil
import tempfile
from pathlib import Path

import pytest
from helpers.client import Client
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from workbench.ppo.hyperparameters import parse
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

pytestmark = pytest.mark.slow
ENDED = {State.FINISHED, State.FAILED}
FOLLOWS = {
    State.IDLE: {State.LOADING},
    State.LOADING: {State.LOADING, State.IDLE, State.READY, *ENDED},  # an export loads, too
    State.READY: {State.LOADING, State.RUNNING},
    State.RUNNING: {State.RUNNING, State.PAUSED, State.STOPPING, *ENDED},
    State.PAUSED: {State.RUNNING, State.STOPPING, *ENDED},
    State.STOPPING: {State.STOPPING, *ENDED},
    State.FINISHED: {State.LOADING, State.RUNNING},
    State.FAILED: {State.LOADING, State.RUNNING},
}
CHANGES = st.sampled_from([
    {"kl_coef": 0.2}, {"num_cycles": 2}, {"num_cycles": 4, "cliprange": 0.1}, {"batch_size": 6},
    {"seed": 7}, {"cliprange": -1}, {"num_mini_batches": 3}, {"response_length": 900},
    {"nonsense": 1}, {}])


def start(cycles, step):
    return do.Start(parse({
        "num_cycles": cycles, "batch_size": 4, "num_mini_batches": 1, "response_length": 3,
        "comparison_prompts": 1, "checkpoint_every": 2, "keep_checkpoints": 1}),
        (do.PromptItem("one"), do.PromptItem("two")), step=step)


REFUSED = do.Start(parse({}), ())


class AnyCommands(RuleBasedStateMachine):
    """Sends commands; what they lead to is judged by events and store alone."""

    models: tuple[str, str]

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = Store(self.folder / "home")
        self.client = Client(self.store)
        self.state = State.IDLE
        self.read = 0
        self.cycles: dict[int, int] = {}
        self.outcomes: dict[int, str] = {}
        self.changes: dict[int, list[tuple[int, str]]] = {}

    # -- what a person may ask for

    @rule()
    def load(self):
        self.send(do.LoadModels(*self.models))
        self.until_still()

    @rule()
    def load_nothing(self):
        self.send(do.LoadModels(str(self.folder), "nowhere"))
        self.until_still()

    @rule(cycles=st.integers(1, 3), step=st.booleans())
    def start(self, cycles, step):
        self.send(start(cycles, step))

    @rule(command=st.sampled_from(
        [do.Pause(), do.Resume(), do.StepCycle(), do.StepInto(), do.Stop(), do.Checkpoint()]))
    def steer(self, command):
        self.send(command)

    @rule(changes=CHANGES)
    def change(self, changes):
        self.send(do.SetHyperparameters(changes))

    @rule(run_id=st.integers(1, 2), cycle=st.sampled_from([None, None, 0, 1, 2]),
          changes=CHANGES)
    def resume_run(self, run_id, cycle, changes):
        self.send(do.ResumeRun(run_id, cycle, changes))

    @rule(run_id=st.integers(1, 2))
    def export(self, run_id):
        self.send(do.ExportRun(run_id, str(self.folder / "exported")))

    @rule()
    def until_still(self):
        """Wait until nothing goes on by itself."""
        while self.state in (State.LOADING, State.RUNNING, State.STOPPING):
            self.client.wait(ev.StateChanged)
            self.take_note()

    # -- what must hold

    @invariant()
    def the_store_agrees(self):
        still = self.state not in (State.RUNNING, State.STOPPING)
        for run_id, cycles in self.cycles.items():
            run = self.store.run(run_id)
            ended = self.outcomes.get(run_id)
            assert run.cycles >= cycles
            if still or ended:
                assert run.cycles == cycles
                assert run.status == (ended or "paused")
                assert self.store.run_locks.is_mine(run_id) == (not ended)
                # Later ones are there to be made again.
                assert sorted((c.cycle, c.name) for c in self.store.changes(run_id)
                              if c.cycle <= cycles) == sorted(
                    c for c in self.changes[run_id] if c[0] <= cycles)
                for series in self.store.metrics(run_id).values():
                    assert series.cycles == list(range(1, cycles + 1))
                there = [c.cycle for c in self.store.checkpoints.all(run_id)]
                assert all(self.store.checkpoints.is_whole(run_id, c) for c in there)
                assert max(there, default=0) <= cycles
            if ended:  # what an unfinished cycle had is forgotten
                assert max(self.store.traced_cycles(run_id), default=0) <= cycles
        assert {r.id for r in self.store.runs()} >= set(self.cycles)

    def teardown(self):
        self.client.close()
        self.take_note()
        assert self.state not in (State.RUNNING, State.PAUSED, State.STOPPING)
        self.the_store_agrees()
        assert set(self.outcomes) == {r.id for r in self.store.runs() if r.status != "abandoned"}
        self.store.close()
        shutil.rmtree(self.folder)

    # -- inside

    def send(self, command):
        """Send a command and one that is refused in every state: then the first was served."""
        self.client.send(command)
        if isinstance(command, do.Start):
            self.client.wait(ev.RunStarted | ev.CommandRefused)
        self.client.send(REFUSED)
        self.client.wait(ev.CommandRefused, lambda e: e.command == "Start")
        self.take_note()

    def take_note(self):
        """Hold each new event against what may follow, and remember what it says."""
        seen, self.read = self.client.seen[self.read:], len(self.client.seen)
        for event in seen:
            match event:
                case ev.StateChanged(state=state):
                    assert state in FOLLOWS[self.state], (self.state, state)
                    self.state = state
                case ev.CommandRefused(sentence=sentence) | ev.LoadingFailed(sentence=sentence):
                    assert sentence.endswith(".")
                    assert "\n" not in sentence
                case ev.RunStarted(run_id=run_id):
                    self.cycles[run_id], self.changes[run_id] = 0, []
                case ev.RunResumed(run_id=run_id, cycle=cycle):
                    self.cycles[run_id] = cycle
                    self.changes[run_id] = [
                        (c.cycle, c.name) for c in self.store.changes(run_id) if c.cycle <= cycle]
                    self.outcomes.pop(run_id, None)
                case ev.HyperparametersApplied(run_id=run_id, cycle=cycle, changes=changes):
                    self.changes[run_id] += [(cycle, c.name) for c in changes]
                case ev.CycleFinished(run_id=run_id, cycle=cycle):
                    assert cycle == self.cycles[run_id] + 1
                    self.cycles[run_id] = cycle
                case ev.RunFinished(run_id=run_id, outcome=outcome, cycles=cycles):
                    assert cycles == self.cycles[run_id]
                    self.outcomes[run_id] = outcome
                case ev.RunFailed(sentence=sentence) | ev.CheckpointFailed(sentence=sentence):
                    raise AssertionError(sentence)


@pytest.mark.parametrize(("loaded", "examples"), [
    (True, 8), (False, 3), pytest.param(True, 48, marks=pytest.mark.sweep)])
def test_any_commands_in_any_order(folders, loaded, examples):
    class Machine(AnyCommands):
        models = folders

        def __init__(self):
            super().__init__()
            if loaded:
                self.load()

    run_state_machine_as_test(Machine, settings=settings(
        max_examples=examples, stateful_step_count=14, derandomize=True,
        # Without shrinking: a failure takes seconds to reproduce, shrinking it takes minutes.
        phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck)))
