"""How long the gradient of each term of the loss is, measured on request."""

import pytest
from helpers.recorded import outcome
from helpers.short_runs import start

from workbench.ppo.metrics import GRADIENT_OF
from workbench.training import commands as do
from workbench.training.events import State


def measured(client, store, run_id: int, **settings: object) -> dict[str, float]:
    """Return the lengths of the only step of the first cycle, and that of the whole gradient."""
    client.send(start(num_cycles=1, num_ppo_epochs=1, max_grad_norm=0.0, measure_gradients=True,
                      **settings))
    client.wait_for(State.FINISHED)
    found = store.metrics(run_id)
    return {name: found[metric].values[0] for name, metric in GRADIENT_OF.items()} | {
        "all": found["policy/grad_norm"].values[0]}


@pytest.mark.parametrize("value_model", ["shared", "policy"])
def test_each_is_as_long_as_its_term_alone_makes_it(ready, store, value_model):
    model = {"value_model": value_model}
    alone = measured(ready, store, 1, vf_coef=0.0, entropy_coef=0.0, **model)
    assert alone["policy"] > 0
    assert alone["policy"] == pytest.approx(alone["all"], rel=1e-6)
    assert alone["value"] == alone["entropy"] == alone["kl"] == 0
    once = measured(ready, store, 2, vf_coef=1.0, entropy_coef=0.01, kl_in="loss", **model)
    twice = measured(ready, store, 3, vf_coef=2.0, entropy_coef=0.02, kl_in="loss", **model)
    for term in ("value", "entropy"):
        assert once[term] > 0
        assert twice[term] == pytest.approx(2 * once[term], rel=1e-5)
    assert once["policy"] == pytest.approx(twice["policy"], rel=1e-6)
    # No longer than all in a row, no shorter than what the longest leaves of the others.
    parts = sorted(once[term] for term in GRADIENT_OF)
    assert 2 * parts[-1] - sum(parts) <= once["all"] * (1 + 1e-6)
    assert once["all"] <= sum(parts) * (1 + 1e-6)


@pytest.mark.parametrize("settings", [
    {}, {"lora_rank": 2, "num_mini_batches": 2},
    {"value_model": "policy", "micro_batch_tokens": 20}, {"critic_warmup_cycles": 1}],
    ids=["plain", "adapters", "value model", "warm-up"])
def test_measuring_changes_nothing_that_is_learned(ready, store, settings):
    for on in (False, True):
        ready.send(start(measure_gradients=on, entropy_coef=0.01, **settings))
        ready.wait_for(State.FINISHED)
    without, with_it = outcome(store, 1, 3), outcome(store, 2, 3)
    extra = set(GRADIENT_OF.values())
    assert with_it[0].keys() - without[0].keys() == extra
    assert {k: v for k, v in with_it[0].items() if k not in extra} == without[0]
    assert with_it[1:] == without[1:]


def test_it_begins_while_a_run_goes_on(ready, store):
    ready.send(start(step=True))
    ready.wait_for(State.PAUSED)
    ready.send(do.SetHyperparameters({"measure_gradients": True}))
    ready.send(do.Resume())
    ready.wait_for(State.FINISHED)
    assert store.metrics(1)[GRADIENT_OF["policy"]].cycles == [2, 3]
