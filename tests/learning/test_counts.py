"""Shares say of how many they are."""

from __future__ import annotations

import pytest
from helpers.marks import make_kto
from helpers.marks import parse as parse_kto
from helpers.marks import ragged as ragged_marks
from helpers.preferences import make_dpo, parse, ragged

from workbench.algorithms import ALGORITHMS
from workbench.dpo import parts as dpo_parts
from workbench.dpo.guide import GUIDE
from workbench.dpo.metrics import ACCURACY
from workbench.formatting import percent
from workbench.kto import guide as kto_guide
from workbench.kto import parts as kto_parts
from workbench.kto import rules as kto_rules
from workbench.kto.metrics import PAIRS, TOLD_APART
from workbench.learning.counts import say_drawn
from workbench.learning.metrics import DATA, DRAWN, EVAL, HELD
from workbench.models.control import Unattended
from workbench.reward_training import parts as reward_parts

NBSP = "\N{NO-BREAK SPACE}"


def test_what_is_drawn_again_is_said() -> None:
    assert say_drawn({DRAWN: 64, DATA: 9}, "pair") == "9 pairs, 64 draws"
    assert say_drawn({DRAWN: 64, DATA: 1800}, "pair") == "1,800 pairs, 64 drawn"
    assert say_drawn({DRAWN: 64}, "pair") == "64 pairs"
    assert say_drawn({}, "pair") == ""


def test_a_cycle_of_dpo_counts_what_it_learned_from_and_what_is_held_out() -> None:
    dpo = make_dpo(ragged())
    hp = parse(held_out_share=0.2)
    dpo.begin(["A"], hp)
    metrics = dpo.run_cycle(1, hp, [0], Unattended()).metrics
    assert metrics[DRAWN] == 8
    assert metrics[DATA] == len(dpo.table.training)
    assert metrics[HELD] == len(dpo.table.held_out) > 0
    held = {HELD: 1.0, f"eval/{ACCURACY}": 1.0}
    assert dpo_parts.EVALUATE.say(held) == f"accuracy 100{NBSP}% of 1"
    said = [card.say({**held, DRAWN: 8.0, ACCURACY: 0.5}, {}) for card in GUIDE.cards
            if card.part == "evaluate"]
    assert said == [f"100{NBSP}% of 1 the right way round, of those learned from 50{NBSP}% of 8"]


def test_a_cycle_of_kto_counts_too() -> None:
    kto = make_kto(ragged_marks())
    hp = parse_kto(held_out_share=0.4)
    kto.begin(["A"], hp)
    metrics = kto.run_cycle(1, hp, [0], Unattended()).metrics
    assert metrics[DRAWN] == 8
    assert metrics[DATA] + metrics[HELD] == 12
    # Told apart are pairs of a good and a bad one, of which there are more than completions.
    good = metrics["eval/marks/good"] * metrics[HELD]
    pairs = round(good * (metrics[HELD] - good))
    assert pairs != metrics[HELD]
    told = f"{percent(metrics['eval/rewards/told_apart'])} of {pairs} good-bad pairs"
    assert kto_parts.EVALUATE.say(metrics) == f"told apart {told}"
    assert [card.say(metrics, {}) for card in kto_guide.GUIDE.cards if card.part == "evaluate"] == [
        f"{told} told apart, of those learned from {percent(metrics['rewards/told_apart'])} of "
        f"{metrics['marks/pairs']:.0f} good-bad pairs"]
    history = {name: [value] * 3 for name, value in metrics.items()}
    by_heart = next(rule for rule in kto_rules.RULES if rule.name == "kto_by_heart")
    assert by_heart.read(history, hp).value.endswith(f"held out {told}")
    assert {f"{EVAL}{PAIRS}", f"{EVAL}{TOLD_APART}"} <= set(kto_rules.WATCHED)
    assert reward_parts.DRAW.say(metrics).startswith(f"{metrics[DATA]:.0f} pairs, 8 dr")


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_what_a_share_is_of_is_a_metric_of_its_algorithm(algorithm) -> None:  # type: ignore[no-untyped-def]
    names = {metric.name for metric in algorithm.metrics}
    assert {metric.of for metric in algorithm.metrics if metric.of} <= names
