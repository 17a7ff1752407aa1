import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from workbench.ilql.decoding import steer
from workbench.ilql.objective import (
    conservative_loss,
    follow,
    masked_mean,
    q_loss,
    q_targets,
    returns,
    value_loss,
)

ONE = torch.ones(1, 2, dtype=torch.bool)


def test_q_by_hand():
    # V is .8 in the first state and .2 in the second; after the last there is nothing. Targets:
    # 0 + .99 * .2 = .198 and 1. ((1 - .198)² + (.5 - 1)²) / 2 = .446602 for the first head alone.
    after, rewards = torch.tensor([[0.2, 0.0]]), torch.tensor([[0.0, 1.0]])
    target = q_targets(after, rewards, gamma=0.99)
    torch.testing.assert_close(target, torch.tensor([[0.198, 1.0]]))
    loss = q_loss(torch.tensor([[1.0, 0.5]]), target, after, rewards, ONE, gamma=0.99)
    assert loss.item() == pytest.approx(0.446602)
    both = q_loss(torch.tensor([[1.0, 0.5]]), torch.tensor([[1.0, 0.5]]), after, rewards, ONE,
                  gamma=0.99)
    assert both.item() == pytest.approx(2 * 0.446602)


def test_what_came_by_hand():
    rewards = torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 5.0]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    # 2; .5 * 2 = 1; 1 + .5 * 1 = 1.5. The second row ends before its third place.
    torch.testing.assert_close(returns(rewards, mask, gamma=0.5),
                               torch.tensor([[1.5, 1.0, 2.0], [1.5, 3.0, 0.0]]))


def test_the_expectile_by_hand():
    values = torch.zeros(1, 1)
    mask = torch.ones(1, 1, dtype=torch.bool)
    for q, expected in ((1.0, 0.7), (-1.0, 0.3)):
        loss = value_loss(values, torch.tensor([[q]]), mask, tau=0.7)
        assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize("tau", [0.5, 0.9])
def test_a_high_expectile_values_the_better(tau):
    # Of Q = 0 and 4 the least of tau (4 - V)² + (1 - tau) V² is at V = 4 tau.
    values = torch.zeros(1, 2, requires_grad=True)
    optimizer = torch.optim.LBFGS([values], max_iter=50)
    state = torch.tensor([[0.0, 4.0]])

    def closure():
        optimizer.zero_grad()
        one_value = values[:, :1].expand(1, 2)
        loss = value_loss(one_value, state, ONE, tau=tau)
        loss.backward()
        return loss
    optimizer.step(closure)
    assert values[0, 0].item() == pytest.approx(4 * tau, abs=1e-3)


def test_no_gradient_goes_into_what_is_aimed_at():
    q, after, values, target = (torch.ones(1, 2, requires_grad=True) for _ in range(4))
    (q_loss(q, q, after, torch.zeros(1, 2), ONE, gamma=1.0)
     + value_loss(values, 2 * target, ONE, tau=0.7)).backward()
    assert after.grad is None
    assert target.grad is None
    assert values.grad is not None


def test_the_conservative_term_by_hand():
    logits = torch.tensor([[[0.0, 0.0], [3.0, 0.0]]])
    tokens = torch.tensor([[1, 0]])
    # ln 2 and ln(1 + e^-3) = .048587
    assert conservative_loss(logits, tokens, ONE).item() == pytest.approx(
        (0.693147 + 0.048587) / 2, abs=1e-6)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 9))
def test_padding_never_counts(rows, length, seed):
    generator = torch.Generator().manual_seed(seed)
    x, y, z = (torch.randn(rows, length, generator=generator) for _ in range(3))
    lengths = torch.randint(1, length + 1, (rows,), generator=generator)
    mask = torch.arange(length) < lengths[:, None]
    logits = torch.randn(rows, length, 3, generator=generator)
    tokens = torch.randint(0, 3, (rows, length), generator=generator)

    def losses(junk):
        def fill(t):
            return torch.where(mask, t, torch.full_like(t, junk))
        return torch.stack([
            q_loss(fill(x), fill(y), fill(z), fill(z), mask, gamma=0.9),
            value_loss(fill(x), fill(y), mask, tau=0.7),
            conservative_loss(torch.where(mask[..., None], logits, logits * junk), tokens, mask)])
    torch.testing.assert_close(losses(0.0), losses(50.0))


def test_nothing_real_is_no_loss():
    assert masked_mean(torch.ones(1, 3), torch.zeros(1, 3, dtype=torch.bool)).item() == 0.0


def test_targets_follow_by_hand():
    slow, fast = nn.Linear(1, 1), nn.Linear(1, 1)
    for module, number in ((slow, 2.0), (fast, 4.0)):
        for parameter in module.parameters():
            nn.init.constant_(parameter, number)
    follow(slow, fast, rate=0.005)
    assert [p.item() for p in slow.parameters()] == pytest.approx([2.01, 2.01])
    assert [p.item() for p in fast.parameters()] == [4.0, 4.0]


def test_beta_of_zero_gives_the_policy_back():
    logprobs = torch.randn(2, 5).log_softmax(-1)
    found = steer(logprobs, torch.randn(2, 5), torch.randn(2), beta=0.0)
    assert torch.equal(found, logprobs)


def test_steering_by_hand():
    logprobs = torch.tensor([[0.5, 0.3, 0.2]]).log()
    found = steer(logprobs, torch.tensor([[1.0, 2.0, 1.0]]), torch.tensor([1.5]), beta=2.0)
    # log pi + 2 (Q - V): -1, +1 and -1 are added.
    torch.testing.assert_close(found - logprobs, torch.tensor([[-1.0, 1.0, -1.0]]))
    # What a state is worth moves all its tokens alike, and no chance.
    other = steer(logprobs, torch.tensor([[1.0, 2.0, 1.0]]), torch.tensor([-7.0]), beta=2.0)
    torch.testing.assert_close(found.softmax(-1), other.softmax(-1))


@pytest.mark.parametrize(("top_k", "there"), [(0, 3), (1, 1), (2, 2), (3, 3), (9, 3)])
def test_only_the_best_are_drawn(top_k, there):
    logprobs = torch.tensor([[0.5, 0.3, 0.2]]).log()
    found = steer(logprobs, torch.tensor([[0.0, 9.0, 0.0]]), torch.zeros(1), beta=1.0, top_k=top_k)
    assert torch.isfinite(found).sum() == there
    assert found.argmax() == 1
