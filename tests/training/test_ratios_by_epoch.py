"""How the probability ratios are spread that each epoch of an update found."""

import numpy as np
import pytest
from helpers.short_runs import start

from workbench.ppo.picture import OBJECTIVE, ratios_in
from workbench.training.events import State


def run(client, store, run_id, **settings):
    client.send(start(num_cycles=1, **settings))
    client.wait_for(State.FINISHED)
    names = OBJECTIVE.region.epochs(store.settings_after(run_id, 1))
    return [store.token_quantiles(run_id, [name])[name].get(1) for name in names]


@pytest.mark.parametrize("settings", [{}, {"value_model": "policy", "kl_in": "loss"}],
                         ids=["plain", "value model"])
def test_an_epoch_finds_what_the_one_before_it_left(ready, store, settings):
    (only,) = run(ready, store, 1, num_ppo_epochs=1, **settings)
    first, second = run(ready, store, 2, num_ppo_epochs=2, **settings)
    np.testing.assert_allclose(first, 1, atol=1e-5)
    np.testing.assert_allclose(only, 1, atol=1e-5)
    after_one = np.concatenate([t.numbers["ratio"] for t in store.traces(1, 1)])
    np.testing.assert_allclose(
        second, np.percentile(after_one, np.arange(0, 101, 5)), rtol=1e-4)
    assert second[-1] - second[0] > 1e-3


def test_of_mini_batches_all_tokens_are_in_it(ready, store):
    first, second = run(ready, store, 1, num_ppo_epochs=2, num_mini_batches=2)
    # The second mini-batch of the first epoch comes after a step.
    assert first[0] < 1 < first[-1]
    assert second[-1] - second[0] > first[15] - first[5]


def test_an_epoch_that_was_left_out_has_none(ready, store):
    found = run(ready, store, 1, num_ppo_epochs=4, target_kl=1e-6)
    assert [ratios is not None for ratios in found] == [True, True, False, False]
    assert ratios_in(1) == "ratio_epoch_1"
