import math

import pytest
import torch

from workbench.ppo.objective import (
    entropy,
    explained_variance,
    masked_mean,
    policy_loss,
    update_size,
    value_loss,
)

ALL = torch.ones(1, 1, dtype=torch.bool)


def loss_at(ratio, advantage, **options):
    loss, metrics = policy_loss(
        torch.tensor([[math.log(ratio)]]), torch.zeros(1, 1), torch.tensor([[advantage]]), ALL,
        cliprange=0.2, **options)
    return loss.item(), {k: v.item() for k, v in metrics.items()}


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected", "clipped"),
    [
        (1.0, 2.0, -2.0, 0),   # no move yet
        (1.1, 2.0, -2.2, 0),   # inside the trust region
        (1.5, 2.0, -2.4, 1),   # gain held at 1 + eps
        (0.5, 2.0, -1.0, 0),   # a good token made rarer: full price
        (1.5, -2.0, 3.0, 0),   # a bad token made likelier: full price
        (0.5, -2.0, 1.6, 1),   # gain held at 1 - eps
    ])
def test_clipped_surrogate_by_hand(ratio, advantage, expected, clipped):
    loss, metrics = loss_at(ratio, advantage)
    assert loss == pytest.approx(expected, abs=1e-6)
    assert metrics["clipfrac"] == clipped
    assert metrics["ratio"] == pytest.approx(ratio)
    assert metrics["approxkl"] == pytest.approx(0.5 * math.log(ratio) ** 2)


def test_dual_clip_bounds_the_loss_of_bad_tokens_only():
    assert loss_at(10.0, -2.0)[0] == pytest.approx(20.0, rel=1e-5)
    assert loss_at(10.0, -2.0, dual_clip=3.0)[0] == pytest.approx(6.0)
    assert loss_at(0.1, 2.0, dual_clip=3.0)[0] == pytest.approx(-0.2)


def test_gradient_is_zero_beyond_the_clip():
    for ratio, advantage, moves in ((1.5, 1.0, False), (1.1, 1.0, True), (0.5, -1.0, False)):
        logprobs = torch.tensor([[math.log(ratio)]], requires_grad=True)
        policy_loss(logprobs, torch.zeros(1, 1), torch.tensor([[advantage]]), ALL,
                    cliprange=0.2)[0].backward()
        assert bool(logprobs.grad.abs().item() > 0) is moves


def test_size_of_an_update_by_hand():
    # Ratios 1, 1.5, .7 and 1.1 with eps .2: two of four outside; padding at a ratio of 9.
    ratios = torch.tensor([[1.0, 1.5, 9.0], [0.7, 1.1, 9.0]])
    mask = torch.tensor([[True, True, False]]).expand(2, 3)
    old = torch.full((2, 3), -2.0)
    found = update_size(ratios.log() + old, old, mask, cliprange=0.2)
    assert found["clipfrac"].item() == 0.5
    # ½ (log 1.5² + log .7² + log 1.1²) / 4 = (.164402 + .127217 + .009084) / 8
    assert found["approxkl"].item() == pytest.approx(0.0375878, abs=1e-6)


def test_value_loss_by_hand():
    def at(value, old, target, clip):
        one = [torch.tensor([[float(x)]]) for x in (value, old, target)]
        loss, metrics = value_loss(*one, ALL, cliprange_value=clip)
        return loss.item(), metrics["clipfrac"].item()

    assert at(1, 1, 3, 0.2) == (2.0, 0)             # ½ · 2²
    # The value went from 0 to 1 but counts as .2: ½ · (3 - .2)².
    assert at(1, 0, 3, 0.2) == (pytest.approx(3.92), 1)
    assert at(1, 0, 3, 0.0) == (2.0, 0)             # 0 switches the clip off


def test_masked_mean():
    x = torch.tensor([[1.0, 3.0, math.nan]])
    assert masked_mean(x, torch.tensor([[True, True, False]])).item() == 2
    assert masked_mean(x, torch.zeros(1, 3, dtype=torch.bool)).item() == 0


def test_losses_ignore_padding():
    torch.manual_seed(0)
    numbers = [torch.randn(3, 6) for _ in range(3)]
    mask = torch.rand(3, 6) > 0.4

    def wide(x, filler):
        return torch.cat([x, torch.full((3, 5), filler)], dim=1)

    wider = [wide(x, math.inf) for x in numbers]
    wide_mask = torch.cat([mask, torch.zeros(3, 5, dtype=torch.bool)], dim=1)
    for function, option in ((policy_loss, {"cliprange": 0.2}),
                             (value_loss, {"cliprange_value": 0.2})):
        loss, metrics = function(*numbers, mask, **option)
        wide_loss, wide_metrics = function(*wider, wide_mask, **option)
        torch.testing.assert_close(wide_loss, loss)
        torch.testing.assert_close(wide_metrics, metrics)


def test_entropy():
    assert entropy(torch.zeros(8)).item() == pytest.approx(math.log(8))
    assert entropy(torch.tensor([0.0, -math.inf])).item() == 0
    # p = (1/4, 3/4)
    exact = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert entropy(torch.tensor([0.0, math.log(3)])).item() == pytest.approx(exact)


def test_explained_variance():
    returns, mask = torch.tensor([[1.0, 2, 3]]), torch.ones(1, 3, dtype=torch.bool)
    assert explained_variance(returns, returns, mask).item() == 1
    assert explained_variance(torch.zeros(1, 3), returns, mask).item() == 0
    # Var(R - V) = Var(1.3 R) = 1.69 Var(R); Var(2 R) = 4 Var(R), and -3 counts as -1.
    assert explained_variance(-0.3 * returns, returns, mask).item() == pytest.approx(-0.69)
    assert explained_variance(-returns, returns, mask).item() == -1
    assert math.isnan(explained_variance(returns, torch.ones(1, 3), mask).item())


def test_explained_variance_of_returns_that_differ_by_rounding_alone():
    values = torch.linspace(-1, 1, 48).unsqueeze(0)
    returns = (3.3 - values) + values
    assert returns.unique().numel() > 1
    assert math.isnan(explained_variance(values, returns, torch.ones_like(values) > 0).item())
