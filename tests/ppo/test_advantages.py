import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.ppo.advantages import generalized_advantages, whiten, whitening_factor


def gae(rewards, values, mask=None, *, gamma, lam):
    rewards, values = (torch.tensor([x], dtype=torch.double) for x in (rewards, values))
    mask = torch.ones_like(rewards).bool() if mask is None else torch.tensor([mask])
    return generalized_advantages(rewards, values, mask, gamma=gamma, lam=lam)


def test_returns_of_a_reward_at_the_end():
    # torchtune's worked case. With V = r = [0, 0, 0, 1]: A_3 = 1 - 1 = 0, delta_2 = .9,
    # A_1 = .855 * .9, A_0 = .855^2 * .9, and R = A + V.
    _, returns = gae([0.0, 0, 0, 1], [0.0, 0, 0, 1], gamma=0.9, lam=0.95)
    torch.testing.assert_close(
        returns, torch.tensor([[0.6579225, 0.7695, 0.9, 1.0]]).double(), rtol=0, atol=1e-7)


def test_lambda_zero_is_the_one_step_error():
    # NeMo-RL's worked case: 0 + 2 - 1, 0 + 3 - 2, 5 - 3.
    advantages, _ = gae([0.0, 0, 5], [1.0, 2, 3], gamma=1.0, lam=0.0)
    assert advantages.tolist() == [[1, 1, 2]]


def test_by_hand():
    # A_3 = 1 - .4 = .6; A_2 = -.03 + .4 - .3 + .95 * .6 = .64;
    # A_1 = .02 + .3 - .2 + .95 * .64 = .728; A_0 = -.01 + .2 - .1 + .95 * .728 = .7816.
    advantages, _ = gae(
        [-0.01, 0.02, -0.03, 1], [0.1, 0.2, 0.3, 0.4], gamma=1.0, lam=0.95)
    torch.testing.assert_close(
        advantages, torch.tensor([[0.7816, 0.728, 0.64, 0.6]]).double(), rtol=0, atol=1e-7)


numbers = st.lists(st.floats(-5, 5), min_size=1, max_size=12)


@given(numbers, st.data(), st.floats(0, 1), st.floats(0, 1))
def test_agrees_with_the_sum_over_later_errors(rewards, data, gamma, lam):
    n = len(rewards)
    values = data.draw(st.lists(st.floats(-5, 5), min_size=n, max_size=n))
    advantages, returns = gae(rewards, values, gamma=gamma, lam=lam)
    following = [*values[1:], 0.0]
    deltas = [rewards[t] + gamma * following[t] - values[t] for t in range(n)]
    for t in range(n):
        expected = sum((gamma * lam) ** (u - t) * deltas[u] for u in range(t, n))
        assert advantages[0, t].item() == pytest.approx(expected, abs=1e-9)
        assert returns[0, t].item() == pytest.approx(expected + values[t], abs=1e-9)


def test_lambda_one_is_return_minus_value():
    advantages, returns = gae([1.0, 2, 3], [0.5, 0.5, 0.5], gamma=1.0, lam=1.0)
    assert returns.tolist() == [[6, 5, 3]]
    assert advantages.tolist() == [[5.5, 4.5, 2.5]]


def test_padding_changes_nothing_even_if_it_is_not_a_number():
    nan = float("nan")
    plain = gae([0.0, 1], [0.3, 0.4], gamma=0.99, lam=0.9)
    padded = gae([0.0, 1, nan, 7], [0.3, 0.4, nan, -3], [True, True, False, False],
                 gamma=0.99, lam=0.9)
    for p, q in zip(plain, padded, strict=True):
        assert torch.equal(q[:, :2], p)
        assert q[:, 2:].tolist() == [[0, 0]]


def test_whitening_by_hand():
    # Mean 2, sample variance ((-1)² + 0 + 1²) / 2 = 1.
    x, mask = torch.tensor([[1.0, 2, 3, 99]]), torch.tensor([[True, True, True, False]])
    torch.testing.assert_close(whiten(x, mask), torch.tensor([[-1.0, 0, 1, 0]]))
    torch.testing.assert_close(
        whiten(x, mask, shift_mean=False), torch.tensor([[1.0, 2, 3, 0]]))


def test_whitening_by_a_factor_of_another_spread():
    # Mean 2; sample variance of [0, 3, 6] is 9.
    mask = torch.tensor([[True, True, True, False]])
    other = torch.tensor([[0.0, 3, 6, 99]])
    factor = whitening_factor(other, mask)
    assert factor.item() == pytest.approx(1 / 3)
    # Beside it [0, 4, 8], whose variance is 16; beside nothing that varies, it alone.
    assert whitening_factor(other, mask, other * 4 / 3).item() == pytest.approx(1 / 5)
    assert whitening_factor(torch.ones(1, 4), mask, other).item() == pytest.approx(1 / 3)
    torch.testing.assert_close(whiten(torch.tensor([[1.0, 2, 3, 99]]), mask, factor=factor),
                               torch.tensor([[-1 / 3, 0, 1 / 3, 0]]))


def test_whitening_ignores_padding():
    torch.manual_seed(0)
    x = torch.randn(3, 5)
    mask = torch.rand(3, 5) > 0.3
    wide = torch.cat([x, torch.full((3, 4), float("inf"))], dim=1)
    wide_mask = torch.cat([mask, torch.zeros(3, 4, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(whiten(wide, wide_mask)[:, :5], whiten(x, mask))
    assert whiten(x, mask)[mask].std().item() == pytest.approx(1, abs=1e-5)
    assert whiten(x, mask)[mask].mean().item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("real", [0, 1])
def test_whitening_of_nothing_or_of_one_number_is_finite(real):
    mask = torch.zeros(1, 3, dtype=torch.bool)
    mask[0, :real] = True
    assert whiten(torch.full((1, 3), 4.0), mask).tolist() == [[0, 0, 0]]
