"""What is told apart after several passes is known by heart, unless the held-out ones are told
apart too: one rule for all that learns from data."""

from __future__ import annotations

import math

import pytest

from workbench.algorithm import Algorithm
from workbench.dpo import metrics as dpo
from workbench.dpo.declaration import DPO
from workbench.health import Reading
from workbench.kto import metrics as kto
from workbench.kto.declaration import KTO
from workbench.learning.metrics import EVAL, HELD
from workbench.reward_training import metrics as reward
from workbench.reward_training.declaration import REWARD

NAMES = {DPO: (dpo.ACCURACY, f"{EVAL}{dpo.ACCURACY}", dpo.PASSES, HELD),
         KTO: (kto.TOLD_APART, f"{EVAL}{kto.TOLD_APART}", kto.PASSES, f"{EVAL}{kto.PAIRS}"),
         REWARD: (reward.ACCURACY, reward.HELD_ACCURACY, reward.PASSES, HELD)}


def read(
    algorithm: Algorithm, own: list[float], held: list[float], passes: float = 3.0,
    **settings: object,
) -> Reading:
    names = NAMES[algorithm]
    rule = next(rule for rule in algorithm.rules if rule.name.endswith("_by_heart"))
    assert set(names) <= set(algorithm.watched)
    history = dict(zip(names, (own, held, [passes], [8.0] * len(held)), strict=True))
    return rule.read(history, algorithm.settings.parse(settings))


@pytest.mark.parametrize("algorithm", NAMES, ids=lambda a: a.name)
def test_from_the_first_cycle_on(algorithm: Algorithm) -> None:
    found = read(algorithm, [1.0], [0.5])
    assert found.severity == "warning"
    assert "held out 50" in found.value
    assert "15 points above the held-out ones" in found.limit
    assert "nothing" not in found.limit + found.sentence
    assert found.sentence.endswith(" known by heart.")
    assert read(algorithm, [1.0], [0.9]).severity is None
    assert read(algorithm, [1.0], [0.5], passes=1.5).severity is None
    assert read(algorithm, [0.2, 1.0, 1.0], [0.9, 0.5, 0.5]).severity == "warning"


@pytest.mark.parametrize("algorithm", NAMES, ids=lambda a: a.name)
def test_where_nothing_is_held_out_that_is_said(algorithm: Algorithm) -> None:
    found = read(algorithm, [1.0], [math.nan])
    assert found.severity == "warning"
    assert "with nothing held out that tells" in found.limit
    assert "nothing is held out that tells whether others are" in found.sentence
    assert "most likely known by heart" in found.sentence
    assert read(algorithm, [0.98], [math.nan]).severity is None
    assert not read(algorithm, [], []).known


def test_pairs_that_are_not_read_yet_are_held_out_all_the_same() -> None:
    early = read(REWARD, [1.0] * 2, [math.nan] * 2, held_out_every=5)
    assert not early.known
    assert "nothing" not in early.limit
    later = [math.nan] * 4
    assert read(REWARD, [1.0] * 6, [*later, 0.5, math.nan], held_out_every=5).severity == "warning"
