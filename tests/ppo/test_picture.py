"""What is drawn of the objective is what is optimised."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.models import make_ppo

from workbench.models.control import Unattended
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.objective import policy_loss_terms
from workbench.ppo.picture import OBJECTIVE, band, earned, held, shares

METRICS = {"loss/policy_avg": -0.02, "loss/value_avg": 0.1, "policy/entropy_avg": 2.5,
           "loss/total_avg": 0.33}


def settings(**values: object) -> dict[str, object]:
    return Hyperparameters(**values).model_dump()  # type: ignore[arg-type]


@pytest.mark.parametrize("cliprange", [0.05, 0.2, 0.6])
@pytest.mark.parametrize("dual_clip", [0.0, 1.7, 3.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_curve_is_the_objective_and_flat_where_its_gradient_is_zero(
    cliprange: float, dual_clip: float, sign: float
) -> None:
    used = settings(cliprange=cliprange, dual_clip=dual_clip)
    ratio = np.geomspace(0.2, 5.0, 801) * 1.00013  # on no edge
    logprobs = torch.tensor(np.log(ratio), requires_grad=True)
    advantages = torch.full_like(logprobs, sign)
    loss, _, clipped = policy_loss_terms(
        logprobs, torch.zeros_like(logprobs), advantages, cliprange=cliprange,
        dual_clip=dual_clip)
    loss.sum().backward()
    assert earned(ratio, sign, used) == pytest.approx(-loss.detach().numpy(), abs=1e-12)
    flat = held(ratio, np.full_like(ratio, sign), used)
    assert logprobs.grad is not None
    assert (flat == (logprobs.grad == 0).numpy()).all()
    assert 0 < flat.sum() < len(ratio)
    if not dual_clip:
        assert (flat == clipped.numpy()).all()


def test_a_token_without_advantage_is_not_held() -> None:
    assert not held(np.array([0.5, 1.0, 2.0]), np.zeros(3), settings()).any()


def test_the_band_has_its_edge_where_the_setting_puts_it() -> None:
    assert OBJECTIVE.region is not None
    for edge in band(settings(cliprange=0.3)):
        assert OBJECTIVE.region.edge_at(edge) == pytest.approx(0.3)


def test_shares_are_the_products_of_coefficients_and_losses() -> None:
    policy, value, entropy, kl = shares(
        METRICS, settings(vf_coef=4.0, entropy_coef=0.02), cycle=1)
    assert policy.amount == -0.02
    assert value.amount == pytest.approx(0.4)
    assert entropy.amount == pytest.approx(-0.05)
    assert value.said == "4 × 0.100 = 0.400"
    assert kl.off
    assert policy.amount + value.amount + entropy.amount == pytest.approx(
        METRICS["loss/total_avg"])


def test_a_coefficient_of_zero_is_off() -> None:
    _, value, entropy, _ = shares(METRICS, settings(vf_coef=0.0, entropy_coef=0.0), cycle=1)
    assert (value.amount, value.off, value.said) == (0.0, True, "off: c₁ = 0")
    assert (entropy.amount, entropy.off, entropy.said) == (0.0, True, "off: c₂ = 0")


def test_kl_in_the_loss_is_what_the_others_leave() -> None:
    found = shares(METRICS | {"loss/total_avg": 0.45},
                   settings(vf_coef=4.0, entropy_coef=0.02, kl_in="loss"), cycle=1)
    assert found[3].amount == pytest.approx(0.12)
    assert not found[3].off


def test_in_critic_warm_up_values_are_all_of_the_loss() -> None:
    used = settings(vf_coef=4.0, entropy_coef=0.02, critic_warmup_cycles=2)
    assert [share.off for share in shares(METRICS, used, cycle=2)] == [True, False, True, True]
    assert [share.off for share in shares(METRICS, used, cycle=3)] == [False, False, False, True]


@pytest.mark.parametrize("more", [{}, {"critic_warmup_cycles": 1}])
def test_shares_of_a_real_cycle_add_up_to_its_loss(
    unattended: Unattended, more: dict[str, object]
) -> None:
    hp = Hyperparameters(
        num_cycles=1, batch_size=6, response_length=7, learning_rate=1e-3, num_ppo_epochs=2,
        vf_coef=0.5, entropy_coef=0.05, **more)  # type: ignore[arg-type]
    ppo = make_ppo(lambda text: 2.0 + text.count("a"))
    ppo.begin(["ab", "c"], hp)
    metrics = ppo.run_cycle(1, hp, [0], unattended).metrics
    found = shares(metrics, hp.model_dump(), 1)
    assert sum(share.amount for share in found[:3]) == pytest.approx(
        metrics[OBJECTIVE.total], abs=1e-6)
    assert found[0].off == bool(more)
    assert found[2].amount == pytest.approx(
        0.0 if more else -0.05 * metrics["policy/entropy_avg"])


def test_kl_in_the_loss_costs_something(unattended: Unattended) -> None:
    hp = settings(num_cycles=1, batch_size=6, response_length=7, learning_rate=1e-3,
                  num_ppo_epochs=2, kl_in="loss", kl_coef=0.5)
    ppo = make_ppo(lambda text: 2.0 + text.count("a"))
    ppo.begin(["ab", "c"], Hyperparameters(**hp))  # type: ignore[arg-type]
    metrics = ppo.run_cycle(1, Hyperparameters(**hp), [0], unattended).metrics  # type: ignore[arg-type]
    assert shares(metrics, hp, 1)[3].amount > 1e-6
