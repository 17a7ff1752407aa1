"""Memory that really runs out, by a limit on the process, and a run that goes on with less."""

import contextlib
import gc
import sys

import psutil
import pytest

from workbench.ppo.hyperparameters import parse
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    sys.platform != "linux", reason="the limit is Linux's")]
PROMPTS = (do.PromptItem("one"), do.PromptItem("two", pinned=True), do.PromptItem("three"))
SMALL = {"num_cycles": 3, "batch_size": 4, "response_length": 6, "comparison_prompts": 2,
         "keep_tokens": 0}


@contextlib.contextmanager
def room(megabytes):
    """Let this process take that much more memory and not a byte beyond.

    What earlier tests have freed may still be the process's, to be used again. Tensors of more
    than 32 MB are always new memory, so the tests run out by these.
    """
    import resource

    gc.collect()
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = psutil.Process().memory_info().vms + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def run_out(ready, changes, megabytes):
    """Run a cycle, then one that needs too much; return how it failed."""
    ready.send(do.Start(parse(SMALL), PROMPTS, step=True))
    ready.wait_for(State.PAUSED)
    ready.send(do.SetHyperparameters(changes))
    ready.wait(ev.HyperparametersStaged)
    with room(megabytes):
        ready.send(do.Resume())
        failed = ready.wait(ev.RunFailed)
        assert ready.wait(ev.RunFinished).outcome == "failed"
        ready.wait_for(State.FAILED)
    return failed


def test_sampling_runs_out_and_the_run_goes_on_with_less(ready, store):
    failed = run_out(ready, {"batch_size": 65_536, "response_length": 100}, 150)
    assert failed.sentence.startswith("Memory ran out while writing completions; the run is kept")
    assert "after cycle 1" in failed.sentence
    assert "Batch size from 65536 to 32768" in failed.sentence
    assert failed.retry == {"batch_size": 32_768}
    assert "you tried to allocate" in failed.details
    run = store.run(failed.run_id)
    assert (run.status, run.cycles) == ("failed", 1)
    first = store.completions(failed.run_id, 1)
    ready.send(do.ResumeRun(failed.run_id, None, dict(failed.retry) | {"batch_size": 8}))
    assert ready.wait(ev.RunResumed).cycle == 1
    assert ready.wait(ev.RunFinished).outcome == "finished"
    run = store.run(failed.run_id)
    assert (run.status, run.cycles) == ("finished", 3)
    assert store.completions(failed.run_id, 1) == first
    assert (2, "batch_size", 8, "person") in [
        (c.cycle, c.name, c.new, c.by) for c in store.changes(failed.run_id)]


def test_update_runs_out_before_its_first_step_and_loses_nothing(ready, store):
    failed = run_out(ready, {"batch_size": 3072, "response_length": 60,
                             "micro_batch_tokens": 1_000_000}, 450)
    assert failed.sentence.startswith("Memory ran out while updating the policy; the run is kept")
    assert "which changes no number" in failed.sentence
    assert set(failed.retry) == {"micro_batch_tokens"}
    assert [c.cycle for c in store.checkpoints.all(failed.run_id)] == [1]
    ready.send(do.ResumeRun(failed.run_id, None, {"batch_size": 4, "micro_batch_tokens": 64}))
    assert ready.wait(ev.RunFinished).outcome == "finished"


def test_an_estimate_comes_with_each_start_and_when_asked(ready):
    ready.send(do.EstimateMemory(parse(SMALL), PROMPTS))
    small = ready.wait(ev.MemoryEstimated)
    assert 0 < small.needed < small.available
    assert small.advice == ""
    ready.send(do.EstimateMemory(parse(SMALL | {"batch_size": 65_536, "response_length": 100,
                                                "comparison_prompts": 1}), PROMPTS))
    large = ready.wait(ev.MemoryEstimated)
    assert large.needed > 30 * small.needed
    ready.send(do.Start(parse(SMALL | {"num_cycles": 1}), PROMPTS))
    assert ready.wait(ev.MemoryEstimated).phases == small.phases
    ready.wait(ev.RunFinished)


def test_what_does_not_fit_comes_with_what_would(ready):
    ready.send(do.EstimateMemory(
        parse(SMALL | {"batch_size": 65_536, "response_length": 120}),
        (do.PromptItem("a b"),)))
    estimate = ready.wait(ev.MemoryEstimated)
    if estimate.needed > estimate.available:  # on a machine of a usual size
        assert "Lower" in estimate.advice
        assert estimate.changes["batch_size"] < 65_536
