"""A value head that comes with a policy: used for the reward it was made for, and no other."""

from pathlib import Path

import pytest
import torch
from helpers.folders import save_policy, save_reward
from helpers.models import CPU
from safetensors.torch import save_file

from workbench.feedback.loading import load_reward
from workbench.feedback.weighted_reward import WeightedPart, WeightedSum
from workbench.models.loading import load_policy
from workbench.models.sources import LoadError
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import parse
from workbench.ppo.remarks import remarks
from workbench.ppo.value_head import (
    FILE_NAME,
    find_value_head,
    load_value_head,
    reward_digest,
    save_value_head,
)

WEIGHT, BIAS = torch.linspace(-1, 1, 16).reshape(1, 16), torch.tensor([0.75])
SMALL = {"batch_size": 4, "response_length": 6, "num_cycles": 2}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return save_policy(tmp_path / "policy")


@pytest.fixture
def reward(tmp_path: Path) -> Path:
    return save_reward(tmp_path / "reward")


def nothing(text: str, share: float) -> None:
    """Take no notice."""


def make(policy: Path, reward: Path, **parts: float) -> PPOTrainer:
    """Load both; ``parts`` are weights of a sum over the same reward model."""
    loaded = load_policy(str(policy), CPU, nothing)
    model = load_reward(str(reward), CPU, nothing).reward
    whole = WeightedSum([WeightedPart(*p, model) for p in parts.items()]) if parts else model
    return PPOTrainer(
        loaded.policy, whole, loaded.policy_tokenizer, find_value_head(loaded.folder, whole)
    )


def head_of(ppo: PPOTrainer, **settings: object) -> tuple[torch.Tensor, torch.Tensor]:
    ppo.begin(["a"], parse(SMALL | settings))
    return ppo.policy.value_head.weight.detach(), ppo.policy.value_head.bias.detach()


def test_the_head_begins_as_the_policy_brings_it(policy, reward, unattended):
    save_value_head(policy, WEIGHT, BIAS, reward=reward)
    ppo = make(policy, reward)
    weight, bias = head_of(ppo)
    assert torch.equal(weight, WEIGHT)
    assert torch.equal(bias, BIAS)
    # What it says of a state is what the first cycle calls its value.
    ids = torch.tensor([ppo.policy_tokenizer.tokenizer("a")["input_ids"]])
    with torch.no_grad():
        expected = (ppo.policy.hidden_states(ids)[0, -1] @ WEIGHT[0] + BIAS).item()
    traces = ppo.run_cycle(1, parse(SMALL), [0], unattended).traces
    assert traces[0].numbers["value"][0] == pytest.approx(expected, abs=1e-5)
    # A new run begins with it again.
    assert torch.equal(head_of(ppo)[0], WEIGHT)


def test_it_is_for_one_reward_alone(policy, reward, tmp_path):
    save_value_head(policy, WEIGHT, BIAS, reward=reward)
    other = save_reward(tmp_path / "other", labels=("a", "b"))
    assert load_value_head(policy, reward=other) is None
    assert load_value_head(policy, reward=reward, label=1) is None
    assert not head_of(make(policy, other_than(reward, tmp_path)))[0].any()
    # Its scores follow from weights and tokenizer; a card beside them changes nothing.
    (reward / "README.md").write_text("A reward model.")
    (reward / "training.json").write_text("{}")
    assert load_value_head(policy, reward=reward) is not None


def other_than(reward: Path, tmp_path: Path) -> Path:
    """Return a folder like ``reward`` with one weight changed."""
    from safetensors.torch import load_file, save_file

    other = save_reward(tmp_path / "changed")
    tensors = load_file(other / "model.safetensors")
    tensors["classifier.bias"] += 1
    save_file(tensors, other / "model.safetensors", {"format": "pt"})
    assert reward_digest(other) != reward_digest(reward)
    return other


def test_a_weight_scales_it_and_a_sum_of_several_has_none(policy, reward):
    save_value_head(policy, WEIGHT, BIAS, reward=reward)
    weight, bias = head_of(make(policy, reward, counts=2.0, watched=0.0))
    assert torch.equal(weight, 2 * WEIGHT)
    assert torch.equal(bias, 2 * BIAS)
    assert not head_of(make(policy, reward, one=1.0, two=0.5))[0].any()


@pytest.mark.parametrize(("settings", "name"), [
    ({"normalize_scores": True}, "Normalise scores"), ({"score_clip": 0.5}, "Score clip"),
    ({"whiten_rewards": True}, "Whiten rewards"), ({"gamma": 0.9}, "Discount (γ)")])
def test_on_another_scale_it_begins_at_zero_and_that_is_said(policy, reward, settings, name):
    save_value_head(policy, WEIGHT, BIAS, reward=reward)
    ppo = make(policy, reward)
    weight, bias = head_of(ppo, **settings)
    assert not weight.any()
    assert not bias.any()
    assert ppo.brings_values
    hp = parse(SMALL | settings)
    (said,) = remarks(hp, own_head=True)
    assert said.startswith(f"With {name} returns are on another scale")
    assert "c₁ (vf_coef) of 0.1" in said
    (never,) = remarks(parse(SMALL | {"vf_coef": 0}), own_head=True)
    assert never.startswith("With a value coefficient c₁ (vf_coef) of 0")
    assert remarks(parse(SMALL | {"vf_coef": 0, "num_value_epochs": 1}), own_head=True) == []
    # Nothing is said where nothing was lost, or where values are pretrained.
    assert remarks(hp, own_head=False) == []
    assert remarks(parse(SMALL), own_head=True) == []
    assert remarks(hp.with_changes({"value_pretraining_episodes": 20}), own_head=True) == []


def test_a_value_model_that_is_a_copy_of_the_policy_begins_with_it(policy, reward, unattended):
    save_value_head(policy, WEIGHT, BIAS, reward=reward)
    hp = parse(SMALL)

    def values(**settings: object) -> torch.Tensor:
        ppo = make(policy, reward)
        assert torch.equal(head_of(ppo, **settings)[0], WEIGHT)
        traces = ppo.run_cycle(1, hp.with_changes(settings), [0], unattended).traces
        return torch.tensor(traces[0].numbers["value"])

    apart = values(value_model="policy")
    torch.testing.assert_close(apart, values(), rtol=0, atol=1e-5)
    assert apart.abs().max() > 0.1


def test_one_of_another_width_is_not_used(policy, reward):
    save_value_head(policy, torch.ones(1, 7), BIAS, reward=reward)
    assert not head_of(make(policy, reward))[0].any()


def test_without_the_file_the_head_begins_at_zero(policy, reward):
    assert not head_of(make(policy, reward))[0].any()


def test_a_damaged_file_is_named(policy, reward):
    save_value_head(policy, WEIGHT, BIAS, reward=reward)
    file = policy / FILE_NAME
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(LoadError, match=r"value_head\.safetensors is damaged; delete it"):
        make(policy, reward)


def test_another_programs_file_of_that_name_is_none_of_ours(policy, reward):
    save_file({"v_head.summary.weight": WEIGHT, "v_head.summary.bias": BIAS}, policy / FILE_NAME,
              {"format": "pt"})  # LLaMA-Factory's
    assert not head_of(make(policy, reward))[0].any()
