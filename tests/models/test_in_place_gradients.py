"""Gradients added up in place are autograd's."""

import pytest
import torch
from helpers.models import CONFIGS, make_policy
from torch import nn
from transformers.pytorch_utils import Conv1D

from workbench.models.in_place_gradients import in_place_gradients
from workbench.models.policy import Policy

# Token 0 twice in a row and in both rows; as padding it must learn nothing from its embedding.
IDS = torch.tensor([[5, 0, 0, 8], [0, 3, 2, 5]])


@pytest.fixture
def all_layers(monkeypatch):
    """Tiny layers count as large ones."""
    monkeypatch.setattr("workbench.models.in_place_gradients._LARGE", 0)


def two_backward_passes(policy):
    """Return the gradients of two micro-batches of one row each."""
    for row in IDS.split(1):
        hidden = policy.hidden_states(row)
        (policy.logits(hidden).square().sum() + policy.values(hidden).sum()).backward()
    return {name: p.grad for name, p in policy.named_parameters()}


@pytest.mark.usefixtures("all_layers")
@pytest.mark.parametrize("architecture", CONFIGS)
def test_they_are_autograds_for_every_architecture(architecture):
    expected = two_backward_passes(make_policy(architecture))
    policy = make_policy(architecture)
    with in_place_gradients(policy):
        assert any("forward" in vars(m) for m in policy.modules())
        found = two_backward_passes(policy)
    assert not any("forward" in vars(m) for m in policy.modules())
    assert set(found) == {n for n, p in policy.named_parameters() if p.requires_grad}
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("all_layers")
@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_recomputed_layers_add_theirs(architecture):
    expected = two_backward_passes(make_policy(architecture))
    made = make_policy(architecture)
    policy = Policy(made.model, made.placement, gradient_checkpointing=True)
    policy.value_head.load_state_dict(made.value_head.state_dict())
    with in_place_gradients(policy):
        torch.testing.assert_close(two_backward_passes(policy), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("all_layers")
@pytest.mark.parametrize("make", [
    lambda: nn.Linear(6, 4), lambda: nn.Linear(6, 4, bias=False), lambda: Conv1D(4, 6)])
def test_a_layer_gives_its_input_a_gradient_and_leaves_frozen_weights_alone(make):
    torch.manual_seed(0)
    layer, x = make(), torch.randn(2, 3, 6, requires_grad=True)
    (expected,) = torch.autograd.grad(layer(x).square().sum(), [x])
    with in_place_gradients(layer):
        layer(x).square().sum().backward()
    torch.testing.assert_close(x.grad, expected)
    layer.zero_grad()
    layer.requires_grad_(False)
    with in_place_gradients(layer):
        layer(x).square().sum().backward()
    assert all(p.grad is None for p in layer.parameters())


@pytest.mark.usefixtures("all_layers")
def test_the_row_of_padding_learns_nothing():
    layer = nn.Embedding(9, 4, padding_idx=0)
    with in_place_gradients(layer):
        layer(IDS).sum().backward()
    assert layer.weight.grad[0].abs().sum() == 0
    assert layer.weight.grad[5].tolist() == [2, 2, 2, 2]


@pytest.mark.usefixtures("all_layers")
def test_bfloat16_stays_with_autograd():
    layer, plain = nn.Linear(6, 4), nn.Linear(6, 4)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(5, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with in_place_gradients(layer):
            layer(x).sum().backward()
        plain(x).sum().backward()
    assert torch.equal(layer.weight.grad, plain.weight.grad)


def test_small_layers_stay_with_autograd():
    policy = make_policy()
    with in_place_gradients(policy):
        assert not any("forward" in vars(m) for m in policy.modules())
