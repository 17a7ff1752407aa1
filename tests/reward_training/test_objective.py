"""The loss of pairs of rewards, by numbers that were worked out by hand."""

import math

import pytest
import torch

from workbench.reward_training.objective import bradley_terry_loss, correlation, foreseen


def rewards(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


@pytest.mark.parametrize(("more", "expected"), [
    ({}, 0.341154),  # -log s(0.9)
    ({"margin": rewards(1.0)}, 0.744397),  # -log s(-0.1)
    ({"centering": 0.01}, 0.363654),  # -log s(0.9) + 0.01 · 1.5²
])
def test_worked_numbers(more, expected):
    losses, _ = bradley_terry_loss(rewards(1.2), rewards(0.3), **more)
    assert losses.tolist() == pytest.approx([expected], abs=5e-7)


def test_equal_rewards_are_ln_2_and_a_tie_is_no_win():
    chosen = rewards(0.7, -2.0).requires_grad_()
    losses, metrics = bradley_terry_loss(chosen, rewards(0.7, -2.0))
    assert losses.tolist() == pytest.approx([math.log(2)] * 2)
    assert metrics["accuracy"] == 0
    assert metrics["margin"] == 0
    losses.sum().backward()
    assert chosen.grad.tolist() == [-0.5, -0.5]


def test_what_is_logged_is_that_of_the_rewards_whatever_margin_and_centering_say():
    chosen, rejected = rewards(1, 2, 0), rewards(0, 3, 0)
    _, plain = bradley_terry_loss(chosen, rejected)
    _, other = bradley_terry_loss(chosen, rejected, margin=rewards(1, 1, 1), centering=0.1)
    assert plain == other
    assert {name: x.item() for name, x in plain.items()} == pytest.approx(
        {"accuracy": 1 / 3, "margin": 0, "chosen": 1, "rejected": 1})


def test_a_large_difference_neither_overflows_nor_is_lost():
    losses, _ = bradley_terry_loss(rewards(-1e4, 1e4), rewards(1e4, -1e4))
    assert losses.tolist() == [2e4, 0.0]


def test_rewards_cannot_be_pushed_away_from_the_middle():
    with pytest.raises(ValueError, match="centering must be at least 0"):
        bradley_terry_loss(rewards(1), rewards(0), centering=-0.1)


def test_the_share_of_choices_that_was_foreseen():
    assert foreseen(rewards(1, 1), rewards(1, 1)) == pytest.approx(0)  # a coin
    assert foreseen(rewards(99), rewards(-99)) == pytest.approx(1)
    assert foreseen(rewards(-99), rewards(99)) == pytest.approx(-3)  # sure, and wrong
    # p = s(ln 3) = 3/4: 1 - 4 / 16
    assert foreseen(rewards(math.log(3)), rewards(0)) == pytest.approx(0.75)


def test_correlation():
    assert correlation(rewards(1, 2, 3), rewards(5, 7, 9)) == pytest.approx(1)
    assert correlation(rewards(1, 2, 3), rewards(1, 0, 1)) == pytest.approx(0)
    assert math.isnan(correlation(rewards(1, 1), rewards(1, 2)))
