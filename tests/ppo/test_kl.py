import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.ppo.hyperparameters import parse
from workbench.ppo.kl import adapt_kl_coef, kl_estimate, kl_loss_terms
from workbench.ppo.remarks import remarks


@pytest.mark.parametrize(
    # d = -1 - -1.2 = .2: .2, .04 / 2, exp(-.2) - 1 + .2
    ("estimator", "expected"), [("k1", 0.2), ("k2", 0.02), ("k3", 0.0187308)])
def test_by_hand(estimator, expected):
    found = kl_estimate(torch.tensor([-1.0]), torch.tensor([-1.2]), estimator)
    assert found.item() == pytest.approx(expected, abs=1e-6)


@given(st.floats(-1e4, 0), st.floats(-1e4, 0))
def test_k3_is_never_negative_and_always_finite(logprob, ref):
    found = kl_estimate(torch.tensor([logprob]), torch.tensor([ref]), "k3")
    assert found.item() >= 0
    assert torch.isfinite(found).all()


def test_k1_and_k3_are_unbiased():
    # The exact expectation under the policy, over all tokens of a small vocabulary.
    torch.manual_seed(0)
    p, q = (torch.randn(7).double().log_softmax(0) for _ in range(2))
    exact = (p.exp() * (p - q)).sum()
    for estimator in ("k1", "k3"):
        torch.testing.assert_close((p.exp() * kl_estimate(p, q, estimator)).sum(), exact)


@pytest.mark.parametrize("estimator", ["k1", "k2"])
def test_the_gradient_in_a_loss_is_that_of_the_exact_kl(estimator):
    # Both in expectation over the policy's own tokens: p · d · grad log p, and grad of p · d.
    torch.manual_seed(0)
    logits, q = torch.randn(7).double().requires_grad_(), torch.randn(7).double().log_softmax(0)
    logp = logits.log_softmax(0)
    exact, = torch.autograd.grad((logp.exp() * (logp - q)).sum(), logits, retain_graph=True)
    terms = kl_loss_terms(logp, q, estimator)
    found, = torch.autograd.grad((logp.detach().exp() * terms).sum(), logits)
    torch.testing.assert_close(found, exact)
    assert exact.abs().max() > 0.1


def test_k1_itself_would_hold_nothing_back():
    torch.manual_seed(0)
    logits, q = torch.randn(7).double().requires_grad_(), torch.randn(7).double().log_softmax(0)
    logp = logits.log_softmax(0)
    (logp.detach().exp() * kl_estimate(logp, q, "k1")).sum().backward()
    torch.testing.assert_close(logits.grad, torch.zeros(7).double())


def test_in_the_reward_only_k1_holds_the_policy_near_its_start():
    # A reward is a constant to the gradient: p · estimate · grad log p, in expectation.
    torch.manual_seed(0)
    q = torch.randn(7).double().log_softmax(0)
    logits = (q + 0.05 * torch.randn(7)).requires_grad_()
    logp = logits.log_softmax(0)
    exact, = torch.autograd.grad((logp.exp() * (logp - q)).sum(), logits, retain_graph=True)
    for estimator in ("k1", "k2", "k3"):
        price = kl_estimate(logp, q, estimator).detach()
        found, = torch.autograd.grad(
            (logp.detach().exp() * price * logp).sum(), logits, retain_graph=True)
        if estimator == "k1":
            torch.testing.assert_close(found, exact)
        else:
            assert found.norm() < 0.1 * exact.norm()


@pytest.mark.parametrize(("settings", "said"), [
    ({}, ""), ({"kl_estimator": "k2"}, "With KL estimator k2 in the reward"),
    ({"kl_estimator": "k3"}, "With KL estimator k3 in the reward"),
    ({"kl_estimator": "k3", "kl_coef": 0}, ""), ({"kl_estimator": "k2", "kl_in": "loss"}, ""),
    ({"kl_in": "loss"}, ""),
    ({"kl_estimator": "k3", "kl_in": "loss"}, "With KL estimator k3 in the loss")])
def test_a_price_that_is_not_the_kls_is_said(settings, said):
    found = remarks(parse(settings), own_head=True)
    assert len(found) == bool(said)
    assert "".join(found).startswith(said)


def test_unknown_estimator():
    with pytest.raises(ValueError, match="k1, k2 or k3"):
        kl_estimate(torch.zeros(1), torch.zeros(1), "k4")


def test_adaptive_coefficient_by_hand():
    # e = clip(12 / 6 - 1) = .2; .15 * (1 + .2 * 512 / 10000) = .151536
    assert adapt_kl_coef(0.15, 12.0, target=6.0, horizon=10_000, n=512) == pytest.approx(0.151536)
    # e = 5.7 / 6 - 1 = -.05; .15 * (1 - .05 * 512 / 10000)
    assert adapt_kl_coef(0.15, 5.7, target=6.0, horizon=10_000, n=512) == pytest.approx(0.149616)


def test_a_coefficient_stays_positive_however_short_the_horizon():
    assert adapt_kl_coef(0.1, 0.0, target=6, horizon=10, n=64) == pytest.approx(0.08)
    assert adapt_kl_coef(0.1, 99.0, target=6, horizon=10, n=64) == pytest.approx(0.12)
