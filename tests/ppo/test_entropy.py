"""What the entropy term pushes, against autograd of the term itself."""

import numpy as np
import pytest
import torch

from workbench.algorithms import variety_of
from workbench.learning.epochs import Tokens
from workbench.models.sampling import Completions
from workbench.models.token_statistics import token_statistics
from workbench.ppo.declaration import PPO
from workbench.ppo.experience import Experience
from workbench.ppo.hyperparameters import parse
from workbench.ppo.loss import PPOLoss


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_push_is_the_gradient_of_the_loss(temperature):
    vocabulary, c2 = 50, 0.03
    scaled = 3 * torch.randn(1, vocabulary, generator=torch.Generator().manual_seed(3))
    scaled = (scaled / temperature).requires_grad_()
    logprobs, entropy = token_statistics(scaled, torch.tensor([4]), entropy_gradient=True)
    hp = parse({"entropy_coef": c2})
    one, nothing = torch.ones(1, 1), torch.zeros(1, 1)
    completions = Completions(
        [[1]], one.long(), one.bool(), logprobs.detach()[None], nothing, nothing,
        torch.tensor([True]))
    # Without an advantage and without an error of the value nothing else has a gradient.
    loss = PPOLoss(Experience(completions, nothing, nothing, nothing), hp, kl_coef=0.0)
    at = torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long)
    terms, _ = loss(Tokens(at, logprobs, entropy, torch.zeros(1), torch.zeros(1, 3)))
    terms.sum().backward()
    all_logprobs = scaled.detach()[0].log_softmax(-1).numpy()
    pushed = PPO.entropy.push(all_logprobs, entropy.item(), hp.model_dump())
    np.testing.assert_allclose(pushed, -scaled.grad[0], atol=1e-7)
    assert pushed.sum() == pytest.approx(0, abs=1e-6)
    # What is rarer than exp(-H) is raised, what is likelier is lowered.
    assert ((pushed > 0) == (all_logprobs < -entropy.item())).all()


def test_what_never_comes_is_not_pushed():
    pushed = PPO.entropy.push(np.array([0.0, -np.inf]), 0.0, {"entropy_coef": 0.01})
    assert pushed.tolist() == [0, 0]


def test_variety_is_of_metrics_that_there_are():
    assert [m.label for m in variety_of(PPO)] == [
        "Entropy", "Distinct pairs of tokens", "Repetition"]


def test_why_it_is_off():
    off = PPO.entropy.off
    assert off({"entropy_coef": 0.0}, 3) == "c₂ = 0"
    assert off({"entropy_coef": 0.01, "critic_warmup_cycles": 3}, 3) == "critic warm-up"
    assert off({"entropy_coef": 0.01, "critic_warmup_cycles": 3}, 4) == ""


def test_by_default_the_loss_has_its_third_term():
    settings = parse({}).model_dump()
    metrics = dict.fromkeys(PPO.objective.metrics, 0.5)
    entropy = PPO.objective.shares(metrics, settings, 1)[2]
    assert not entropy.off
    assert entropy.amount == -settings["entropy_coef"] * 0.5 < 0
