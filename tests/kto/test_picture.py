"""What Objective draws of KTO is the loss that was learned from."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.marks import make_kto, parse, ragged

from workbench.kto.metrics import LOSS, OF_BAD, OF_GOOD
from workbench.kto.picture import OBJECTIVE
from workbench.models.control import Unattended


def test_completions_on_their_curves_have_the_loss_of_the_cycle() -> None:
    kto = make_kto(ragged())
    hp = parse(learning_rate=1e-2, steps_per_cycle=1, batch_size=8, desirable_weight=2.0)
    kto.begin(["A"], hp)
    values = hp.model_dump()
    found = [kto.run_cycle(cycle, hp, [0], Unattended()) for cycle in (1, 2, 3)][-1]
    curve = OBJECTIVE.curve
    assert curve is not None
    items = curve.items(found.traces, values)
    assert len(items.x) == 8
    assert set(items.curve) == {0, 1}
    curves = curve.curves(values, found.metrics)
    losses = np.array([float(curves[kind].loss(np.array([x]))[0])
                       for x, kind in zip(items.x, items.curve, strict=True)])
    for metric, own in ((LOSS, losses), (OF_BAD, losses * (items.curve == 0)),
                        (OF_GOOD, losses * (items.curve == 1))):
        assert own.mean() == pytest.approx(found.metrics[metric], rel=1e-4)
    whole, good, bad = OBJECTIVE.shares(found.metrics, values, 3)
    assert whole.off
    assert good.amount + bad.amount == pytest.approx(found.metrics[LOSS])
    assert [line.title for line in curves] == ["bad", "good"]
    # Both kinds lose half their weight at the reference point.
    place, title = curve.mark(values, found.metrics)
    assert title == "β·z"
    assert [float(line.loss(np.array([place]))[0]) for line in curves] == pytest.approx([0.5, 1.0])
    assert " good ones were above the reference point " in curve.say(items, values, found.metrics)


def test_what_was_written_before_kinds_were_told_apart_is_one_term() -> None:
    whole, *kinds = OBJECTIVE.shares({LOSS: 0.4}, parse().model_dump(), 1)
    assert (whole.amount, whole.off) == (0.4, False)
    assert all(kind.off for kind in kinds)
