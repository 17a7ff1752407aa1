"""Whether several processes share out weights that they could each hold."""

from __future__ import annotations

import pytest
from torch import nn

from workbench.models import sharding
from workbench.models.sharding import fits_replicated, still_needed


def weights(count: int, *, learn: bool) -> nn.Module:
    """Return a model of ``count`` weights, of four bytes each."""
    return nn.Linear(count, 1, bias=False).requires_grad_(learn)


def test_all_weights_that_learn_need_gradients_and_moments_beside_a_frozen_reference() -> None:
    policy, reference = weights(100, learn=True), weights(100, learn=False)
    # 400 bytes of gradients, 800 of moments; half of these and of the 800 that are held.
    assert still_needed(policy, reference) == 1200 + (1200 + 800) // 2


def test_adapters_need_room_to_compute_with_the_frozen_weights_they_stand_beside() -> None:
    base, adapters = weights(1000, learn=False), weights(10, learn=True)
    policy = nn.ModuleList([base, adapters])
    # The reference is the same model: its weights are held once.
    assert still_needed(policy, base) == 120 + (120 + 4040) // 2


def test_a_copy_that_is_to_learn_is_counted_with_the_weights_that_it_is_not_made_of_yet() -> None:
    start = weights(100, learn=False)
    made = still_needed(weights(100, learn=True), start)
    assert still_needed(start, copied=start) == made + 400


@pytest.mark.parametrize(("free", "fits"), [(2200, True), (2199, False)])
def test_it_fits_where_so_much_is_free(
    free: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharding, "_free", lambda model: free)
    assert fits_replicated(weights(100, learn=True), weights(100, learn=False)) == fits
