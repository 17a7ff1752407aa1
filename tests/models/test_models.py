"""Ways to train: all weights or adapters, shared or separate value model, precisions."""

import copy

import pytest
import torch
import transformers as tf
from helpers.models import CONFIGS, CPU, Letters, TextReward, make_ppo

from workbench.models.policy import Policy, UnsupportedModelError
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import parse


def small(**settings):
    return parse({"num_cycles": 6, "batch_size": 8, "response_length": 6, "learning_rate": 1e-2,
                  "num_ppo_epochs": 2, "vf_coef": 1.0, **settings})


def train(unattended, cycles=2, ppo=None, **settings):
    ppo, hp = ppo or make_ppo(), small(**settings)
    ppo.begin(["ab", "c", "def"], hp)
    results = [ppo.run_cycle(c, hp, [0, 1], unattended) for c in range(1, cycles + 1)]
    return ppo, results


def weights(module):
    return {k: v.clone() for k, v in module.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(v, b[k]) for k, v in a.items())


IDS = torch.tensor([[5, 6, 7, 8]])


@pytest.mark.parametrize("architecture", CONFIGS)
def test_adapters_train_on_every_architecture(architecture, unattended):
    ppo, results = train(
        unattended, ppo=make_ppo(architecture=architecture), lora_rank=4)
    assert results[0].metrics["objective/kl"] == pytest.approx(0, abs=1e-3)
    assert results[1].metrics["objective/kl"] != pytest.approx(0, abs=1e-3)
    trained = {n for n, p in ppo.policy.named_parameters() if p.requires_grad}
    assert all("lora_" in n or "value_head" in n for n in trained)
    assert sum("lora_" in n for n in trained) >= 8


def test_adapters_leave_the_start_policy_untouched(unattended):
    fresh = make_ppo()
    with torch.no_grad():
        start = fresh.policy.model(IDS).logits
    ppo, _ = train(unattended, ppo=fresh, lora_rank=4)
    with torch.no_grad():
        assert not torch.allclose(ppo.policy.model(IDS).logits, start)
        with ppo.reference() as reference:
            assert torch.equal(reference.model(IDS).logits, start)
        # The next run trains all weights, from the same start.
        ppo.begin(["ab"], small())
        assert torch.equal(ppo.policy.model(IDS).logits, start)
    assert not any("lora_" in n for n, _ in ppo.policy.named_parameters())


def test_a_run_follows_from_its_seed_under_adapters_too(unattended):
    first, second = (train(unattended, lora_rank=2)[1][1].rollout for _ in range(2))
    assert first == second


def test_gradient_checkpointing_changes_no_number(unattended):
    plain, checkpointed = (
        train(unattended, gradient_checkpointing=on)[0] for on in (False, True))
    torch.testing.assert_close(
        weights(checkpointed.policy), weights(plain.policy), rtol=1e-5, atol=1e-6)


def test_layers_that_drop_out_by_themselves_do_not_when_they_recompute(unattended):
    config = tf.OPTConfig(
        vocab_size=97, hidden_size=32, num_hidden_layers=2, ffn_dim=48, num_attention_heads=4,
        max_position_embeddings=64, word_embed_proj_dim=32, init_std=0.3, dropout=0.5)
    model = tf.OPTForCausalLM(config)
    found = []
    for on in (False, True):
        ppo = PPOTrainer(Policy(copy.deepcopy(model), CPU), TextReward(len),
                  PolicyTokenizer(Letters(), (), context_length=64, use_chat_template=False))
        trained, results = train(unattended, 1, ppo, gradient_checkpointing=on)
        found.append((weights(trained.policy), results[0].metrics["loss/value_avg"]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-6)


def test_a_separate_value_model_learns_without_touching_the_policy(unattended):
    ppo, results = train(unattended, value_model="policy", critic_warmup_cycles=9)
    with ppo.reference() as reference:
        assert same(weights(ppo.policy.model), weights(reference.model))
        assert not same(weights(ppo.policy.value_trunk), weights(reference.trunk))
    assert results[1].metrics["val/value"] != 0


def test_a_separate_value_model_gives_the_policy_the_same_gradient_at_any_weight(unattended):
    first, second = (
        train(unattended, 1, value_model="policy", vf_coef=c, max_grad_norm=0)[0]
        for c in (0.1, 1.0))
    assert same(weights(first.policy.model), weights(second.policy.model))
    assert not same(weights(first.policy.value_head), weights(second.policy.value_head))


def test_a_separate_value_model_bears_micro_batching(unattended):
    whole, cut = (
        train(unattended, value_model="policy", micro_batch_tokens=n)[0] for n in (4096, 16))
    torch.testing.assert_close(weights(cut.policy), weights(whole.policy), rtol=1e-3, atol=1e-4)


def test_a_separate_value_model_begins_without_the_adapters_of_the_run_before(unattended):
    settings = {"lora_rank": 2, "value_model": "policy"}
    ppo, _ = train(unattended, **settings)
    ppo.begin(["ab"], small(**settings))
    fresh = make_ppo()
    fresh.begin(["ab"], small(**settings))
    assert ppo.snapshot()[0].keys() == fresh.snapshot()[0].keys()


def test_values_cannot_come_from_a_reward_of_another_kind():
    with pytest.raises(UnsupportedModelError, match="policy's own tokenizer"):
        make_ppo().begin(["ab"], small(value_model="reward"))


@pytest.mark.parametrize("architecture", CONFIGS)
def test_every_architecture_trains_in_half_precision(architecture, unattended):
    _, results = train(
        unattended, 1, make_ppo(architecture=architecture), precision="bfloat16", num_ppo_epochs=1)
    assert results[0].metrics["val/ratio"] == pytest.approx(1, abs=0.1)


def test_reduced_precision_stays_near(unattended):
    ppo, results = train(unattended, 1, precision="bfloat16", num_ppo_epochs=1)
    assert all(p.dtype == torch.float32 for p in ppo.policy.parameters())
    # bf16 keeps 8 bits: the ratio before the first step is 1 to about a hundredth.
    assert results[0].metrics["val/ratio"] == pytest.approx(1, abs=0.02)
    assert results[0].metrics["policy/approxkl_avg"] < 1e-3
