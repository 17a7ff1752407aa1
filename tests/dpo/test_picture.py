"""What Objective draws of DPO is the loss that was learned from."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.preferences import make_dpo, parse, ragged

from workbench.dpo.metrics import ACCURACY, LOSS, SFT
from workbench.dpo.picture import OBJECTIVE
from workbench.learning.metrics import DATA
from workbench.models.control import Unattended

KINDS = [{}, {"label_smoothing": 0.1}, {"loss_type": "hinge"}, {"loss_type": "ipo"},
         {"loss_type": "ipo", "average_log_prob": True, "beta": 2.0},
         {"loss_type": "robust", "label_smoothing": 0.2}, {"sft_coef": 0.5}]


@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_the_pairs_on_the_curve_have_the_loss_of_the_cycle(settings: dict[str, object]) -> None:
    dpo = make_dpo(ragged())
    hp = parse(learning_rate=1e-2, **settings)
    dpo.begin(["A"], hp)
    values = hp.model_dump()
    results = [dpo.run_cycle(cycle, hp, [0], Unattended()) for cycle in (1, 2)]
    found = results[1]
    curve = OBJECTIVE.curve
    assert curve is not None
    items = curve.items(found.traces, values)
    assert len(items.x) == hp.batch_size * hp.steps_per_cycle
    (line,) = curve.curves(values, found.metrics)
    assert line.loss(items.x).mean() == pytest.approx(found.metrics[LOSS], rel=1e-4)
    right = np.mean(items.x > 0)
    if not hp.average_log_prob:
        assert right == pytest.approx(found.metrics[ACCURACY])
    said = curve.say(items, values, found.metrics)
    assert said.startswith(f"{int(right * 8)} of 8 pairs")
    few = found.metrics | {DATA: 5}
    assert curve.say(items, values, few).startswith(f"{int(right * 8)} of 8 draws of 5 pairs (")
    preference, sft = OBJECTIVE.shares(found.metrics, values, 2)
    assert preference.amount == found.metrics[LOSS]
    assert sft.off == (not hp.sft_coef)
    if hp.sft_coef:
        assert sft.amount == pytest.approx(hp.sft_coef * found.metrics[SFT])


def test_pairs_whose_step_is_still_to_come_are_on_no_curve() -> None:
    dpo = make_dpo(ragged())
    hp = parse()
    dpo.begin(["A"], hp)
    traces = dpo.run_cycle(1, hp, [0], Unattended()).traces
    for trace in traces[:2]:
        del trace.numbers["logprob"]  # type: ignore[attr-defined]
    assert OBJECTIVE.curve is not None
    assert [row for row, _ in OBJECTIVE.curve.items(traces, hp.model_dump()).places] == [
        2, 4, 6, 8, 10, 12, 14]
