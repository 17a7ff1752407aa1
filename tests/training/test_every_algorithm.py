"""What a run is promised whichever way it learns: held, changed, saved, killed and gone on with as
if nothing had been."""

import math

import pytest
from helpers.client import Client
from helpers.recorded import outcome
from helpers.short_runs import DATA, WAYS, start_of

from workbench.algorithms import algorithm_of_cycle, algorithm_of_run, find_algorithm, parts_of
from workbench.gui.guide.results import read_trials
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

EVERY = pytest.mark.parametrize("way", WAYS)
OTHERS = pytest.mark.parametrize("way", [way for way in WAYS if way != "PPO"])
"""PPO's models of every kind are held so in `test_step_into.py` and `test_resume.py`."""
LORA = pytest.mark.parametrize("settings", [{}, {"lora_rank": 2}], ids=["all weights", "adapters"])


def finish(client, command):
    client.send(command)
    assert client.wait(ev.RunFinished).outcome == "finished"


@OTHERS
@LORA
def test_looking_into_every_part_changes_nothing(ready, store, way, settings):
    ready.send(start_of(way, **settings))
    ready.wait_for(State.FINISHED)
    ready.send(start_of(way, into=True, **settings))
    seen = []
    while True:
        event = ready.wait(ev.StateChanged)
        if event.state is State.PAUSED:
            seen.append(event.within)
            if event.within:
                ready.send(do.Try(1, ("one",), (do.TrySource("current"), do.TrySource("start"),
                                                do.TrySource("checkpoint", 1, 1)), length=4))
                assert not ready.wait(ev.TryFinished).stopped
                assert not ready.of(ev.TryFailed)
                assert store.traced_cycles(2)[-1] == seen.count("") + 1  # of the cycle in hand
            ready.send(do.StepInto())
        if event.state is State.FINISHED:
            break
    *parts, _ = (part.name for part in parts_of(algorithm_of_run(store.run(1))))
    assert seen == [*parts, "", *parts, "", *parts]
    assert outcome(store, 1, 3) == outcome(store, 2, 3)


@OTHERS
@LORA
def test_a_run_that_was_broken_off_goes_on_bit_for_bit(store, folders, way, settings):
    first = Client(store)
    first.send(do.LoadModels(*folders))
    first.wait_for(State.READY)
    finish(first, start_of(way, num_cycles=4, checkpoint_every=2, **settings))
    first.send(start_of(way, num_cycles=4, checkpoint_every=2, **settings))
    first.wait(ev.CycleFinished, lambda e: e.cycle == 3)
    first.close()
    second = Client(store)
    second.send(do.ResumeRun(2))
    assert second.wait(ev.RunResumed).algorithm == WAYS[way][0]
    assert second.wait(ev.RunFinished).outcome == "finished"
    second.close()
    assert outcome(store, 1, 4) == outcome(store, 2, 4)


@EVERY
def test_no_cycle_after_the_last_is_told_of(ready, way):
    finish(ready, start_of(way, num_cycles=2))
    assert max(event.cycle for event in ready.of(ev.Progress)) == 2


@EVERY
def test_a_change_is_in_use_from_the_next_cycle_and_replayed(ready, store, way):
    specs = find_algorithm(WAYS[way][0]).settings.specs()
    price = next(name for name in ("beta", "kl_coef", "centering") if name in specs)
    changes = {price: 0.7, "learning_rate": 2e-3, "lr_scheduler_type": "constant"}
    for again in (False, True):
        ready.send(start_of(way, step=True, num_cycles=4))
        run_id = ready.wait(ev.RunStarted).run_id
        ready.wait_for(State.PAUSED)
        ready.send(do.SetHyperparameters(changes))
        assert ready.wait(ev.HyperparametersStaged).takes_effect_at == 2
        ready.send(do.StepCycle())
        assert ready.wait(ev.HyperparametersApplied).hyperparameters[price] == 0.7
        ready.wait_for(State.PAUSED)
        if again:
            ready.send(do.Stop())
            ready.wait_for(State.FINISHED)
            ready.send(do.ResumeRun(run_id, cycle=1))
        else:
            ready.send(do.Resume())
        assert ready.wait(ev.RunFinished).outcome == "finished"
    assert store.metrics(1)["lr"].values == [1e-2, 2e-3, 2e-3, 2e-3]
    assert [(c.cycle, c.name) for c in store.changes(2)] == [
        (c.cycle, c.name) for c in store.changes(1)]
    assert outcome(store, 1, 4) == outcome(store, 2, 4)


@EVERY
def test_a_paused_run_is_on_disk_and_forked_from_there(ready, store, way):
    ready.send(start_of(way, step=True, num_cycles=2, checkpoint_every=0))
    ready.wait_for(State.PAUSED)
    ready.send(do.Checkpoint())
    ready.send(do.Resume())
    assert ready.wait(ev.RunFinished).outcome == "finished"
    assert [c.cycle for c in store.checkpoints.all(1)] == [1, 2]
    finish(ready, do.Fork(1, 1))
    assert outcome(store, 1, 2) == outcome(store, 2, 2)


@EVERY
def test_its_memory_is_known_and_every_metric_described(ready, store, way):
    command = start_of(way, num_cycles=1)
    ready.send(do.EstimateMemory(command.hyperparameters, command.prompts, command.data))
    asked = ready.wait(ev.MemoryEstimated)
    assert asked.algorithm == WAYS[way][0]
    assert 0 < asked.needed < asked.available
    ready.send(command)
    assert ready.wait(ev.MemoryEstimated).phases == asked.phases
    found = ready.wait(ev.CycleFinished).metrics
    assert ready.wait(ev.RunFinished).outcome == "finished"
    described = {m.name for m in algorithm_of_run(store.run(1)).metrics}
    assert set(found) <= described
    assert all(map(math.isfinite, found.values()))
    # The tokens that were learned from are read by its own declaration.
    shown = algorithm_of_run(store.run(1)).tokens
    trace = store.trace(1, 1, 0)
    steps = shown.read(trace.pieces, {n: x.tolist() for n, x in trace.numbers.items()}, 0.5,
                       command.hyperparameters.model_dump())
    assert [step.piece for step in steps] == list(trace.pieces)
    for step in steps:
        assert shown.say(step, command.hyperparameters.model_dump())
        assert all(column.text(step) for column in shown.columns)


@EVERY
def test_what_is_declared_is_whole(way):
    name, settings = WAYS[way]
    algorithm = find_algorithm(name).variant(settings)
    named = {m.name for m in (*algorithm.metrics, *algorithm.start_metrics)}
    assert set(algorithm.watched) <= named
    assert {part.view for part in algorithm.parts} <= {
        "completions", "metrics", "tokens", "objective", "paths"}
    assert algorithm.guide is not None
    parts = {part.name for part in parts_of(algorithm)}
    assert parts <= {card.part for card in algorithm.guide.cards}
    assert {card.metric for card in algorithm.guide.cards if card.drawing == "course"} <= named
    assert {e.setting for e in algorithm.guide.experiments} <= set(algorithm.settings.specs())


@pytest.mark.parametrize(("first", "then"), [
    ("DPO", "PPO"), ("PPO", "DPO"), ("GRPO", "DPO"), ("DPO", "GRPO"), ("PPO", "ILQL"),
    ("ILQL", "PPO"), ("DPO", "ILQL"), ("PPO", "KTO"), ("KTO", "GRPO"), ("KTO", "DPO"),
    ("ILQL", "KTO")])
def test_a_run_goes_on_by_another_algorithm(ready, store, first, then):
    old, (new, own) = WAYS[first][0], WAYS[then]
    finish(ready, start_of(first, seed=7))
    finish(ready, do.Fork(1, 2, {**own, "num_cycles": 4}, algorithm=new,
                          data=DATA[find_algorithm(new).learns_from]))
    run = store.run(2)
    assert (run.algorithm, run.parent, run.parent_cycle, run.cycles) == (new, 1, 2, 4)
    assert [(past.until, past.algorithm) for past in run.past] == [(2, old)]
    # Each cycle is shown, and was learned, as what made it.
    assert store.settings_after(2, 2) == store.settings_after(1, 2)
    assert own.items() <= store.settings_after(2, 3).items()
    assert store.settings_after(2, 3)["seed"] == 7  # which means the same to both
    assert algorithm_of_run(run).title == then
    titles = [algorithm_of_cycle(run, c, store.settings_after(2, c)).title for c in range(1, 5)]
    assert titles == [first, first, then, then]
    of = {"DPO": "loss/preference", "KTO": "loss/kto", "ILQL": "loss/q"}
    for way, cycles in ((first, [1, 2]), (then, [3, 4])):
        assert store.metrics(2)[of.get(way, "policy/clipfrac_avg")].cycles == cycles
    assert store.run_data(2) == DATA[find_algorithm(new).learns_from]
    # From the checkpoint that both share it goes the same way again, also by a fork of its own.
    before = outcome(store, 2, 4)
    finish(ready, do.GoBack(2, 2))
    assert outcome(store, 2, 4) == before
    finish(ready, do.Fork(2, 3))
    fork = store.run(store.runs()[-1].id if store.runs()[-1].parent == 2 else store.runs()[0].id)
    assert fork.past == run.past
    assert outcome(store, fork.id, 4) == before
    # What can be tried next begins where it began to learn so.
    trial = read_trials(store, run)[-1]
    finish(ready, do.Fork(2, trial.cycle, trial.changes))
    tried = store.run(max(r.id for r in store.runs()))
    assert (tried.parent_cycle, algorithm_of_run(tried).title) == (2, then)
    assert store.settings_after(tried.id, 3) == {**store.settings_after(2, 3), "seed": 8}
    # What it is the past of cannot be gone back to here.
    ready.send(do.GoBack(2, 0))
    assert "is the past of another run" in ready.wait(ev.CommandRefused).sentence


def test_nothing_but_the_way_to_learn_is_another(ready, store):
    """With a learning rate of 0 the policy stays that of the checkpoint, whichever learns."""
    finish(ready, start_of("DPO"))
    for algorithm, own in (("ppo", WAYS["PPO"][1]), ("dpo", WAYS["DPO"][1])):
        finish(ready, do.Fork(1, 2, {**own, "learning_rate": 0.0, "num_cycles": 3},
                              algorithm=algorithm))
    before = store.checkpoints.read(1, 2)[0]
    for run in store.runs():
        if run.id != 1:
            after = store.checkpoints.read(run.id, 3)[0]
            for name, weights in before.items():
                if name.startswith("weights/"):
                    assert (after[name] == weights).all()


def test_a_fork_into_another_says_what_does_not_go(ready):
    finish(ready, start_of("PPO"))
    for command, said in (
        (do.Fork(1, 2, {}, algorithm="unheard"), "There is no algorithm 'unheard'"),
        (do.Fork(1, 2, {"lora_rank": 4}, algorithm="dpo"), "decides which weights a run trains"),
        (do.Fork(1, 3, {}, algorithm="dpo"), "raise the number of cycles"),
        (do.Fork(1, 2, {"kl_coef": 1.0}, algorithm="dpo"), "no hyperparameter named 'kl_coef'"),
    ):
        ready.send(command)
        refused = ready.wait(ev.CommandRefused)
        assert said in f"{refused.sentence} {' '.join(refused.problems.values())}"
