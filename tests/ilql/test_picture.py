"""What Objective draws of ILQL is the loss that was learned from."""

from __future__ import annotations

import pytest
from helpers.scored import make, stir

from workbench.ilql.metrics import TOTAL, V
from workbench.ilql.picture import OBJECTIVE
from workbench.models.control import Unattended


def test_the_terms_add_up_and_the_tokens_have_the_loss_of_v() -> None:
    ilql, hp = make(tau=0.8, cql_coef=0.3, awac_coef=0.5)
    stir(ilql)
    values = hp.model_dump()
    found = ilql.run_cycle(1, hp, [0], Unattended())
    shares = OBJECTIVE.shares(found.metrics, values, 1)
    assert sum(share.amount for share in shares) == pytest.approx(found.metrics[TOTAL], rel=1e-5)
    curve = OBJECTIVE.curve
    assert curve is not None
    items = curve.items(found.traces, values)
    assert len(items.x) == sum(len(trace.tokens) for trace in found.traces)
    (line,) = curve.curves(values, found.metrics)
    # The cycle has one step: its tokens are kept as that step found them.
    assert line.loss(items.x).mean() == pytest.approx(found.metrics[V], rel=1e-4)
    assert "τ = 0.8 of its distance, each other one down by 0.2" in curve.say(
        items, values, found.metrics)
