"""The memory estimate: exact where it can be, and of use. How close it is stands in
`tests/learning/test_memory.py`."""

import pytest
import torch
from helpers.models import CONFIGS, CPU, TextReward, make_policy, make_ppo
from transformers import GPT2Config, GPT2LMHeadModel

from workbench.learning.footprint import policy_costs, trunk_costs
from workbench.learning.workload import Workload, needed
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.trainable import Trainable
from workbench.ppo.footprint import ValueFootprint
from workbench.ppo.hyperparameters import parse
from workbench.ppo.memory import PPOMemory

WORK = Workload(prompt=8, scored=24, compared=4)


@pytest.fixture(scope="module")
def models():
    return ValueFootprint(make_policy("llama"), TextReward(len))


def settings(**values):
    return parse({"batch_size": 64, "response_length": 16, **values})


def needs(models):
    return PPOMemory(models, WORK)


def total(models, phase, **values):
    return sum(needs(models).phases(settings(**values))[phase].values())


@pytest.mark.parametrize("architecture", CONFIGS)
def test_costs_found_on_short_texts_hold_for_long_ones(architecture):
    policy = make_policy(architecture)
    short, long = (trunk_costs(policy.trunk, policy.hidden_states, length, CPU.device)
                   for length in (8, 24))
    for shape in ((1, 60), (7, 33)):
        assert short.kept(*shape) == pytest.approx(long.kept(*shape), rel=0.02)
        assert short.peak(*shape) == pytest.approx(long.peak(*shape), rel=0.02)


@pytest.mark.parametrize("entropy", [False, True])
def test_the_head_of_a_large_vocabulary_costs_as_much_a_token_however_many(entropy):
    # It is gone over 10 tokens at a time, which no probe's number of tokens is a multiple of.
    policy = Policy(GPT2LMHeadModel(GPT2Config(
        vocab_size=50_257, n_embd=8, n_layer=1, n_head=1, n_positions=128)), CPU)
    costs = policy_costs(policy.model, CPU, gradient_checkpointing=False)
    head = costs.head_entropy if entropy else costs.head_training
    # Logits or probabilities with their gradient; for the entropy both.
    tensors = head(1, 512) / (4 * 50_257 * 512)
    assert tensors == pytest.approx(3 if entropy else 1, abs=0.1)


def test_costs_are_those_of_the_tensors():
    policy = make_policy("llama")
    config = policy.config
    costs = policy_costs(policy.model, CPU, gradient_checkpointing=False)
    each = config.num_key_value_heads * config.hidden_size // config.num_attention_heads
    assert costs.cache(5, 20) == 2 * config.num_hidden_layers * each * 5 * 20 * 4
    weights = ValueFootprint(policy, TextReward(len)).weights
    assert weights.bytes >= 4 * sum(p.numel() for p in policy.model.parameters())
    assert not any(p.grad is not None for p in policy.parameters())


def test_measuring_leaves_the_start_policy_frozen():
    policy = make_policy("gpt2")
    Trainable(policy)
    ValueFootprint(policy, TextReward(len)).costs(settings())
    assert not any(p.requires_grad for p in policy.model.parameters())


def test_lora_needs_no_second_copy_and_little_optimiser(models):
    full, lora = (needs(models).phases(settings(lora_rank=rank))[Phase.UPDATING]
                  for rank in (0, 2))
    assert lora["Reference"] == 0 < full["Reference"]
    assert lora["Optimiser"] < full["Optimiser"] / 3
    assert lora["Gradients"] < full["Gradients"] / 3


def test_lora_counts_the_adapters_peft_makes(models):
    policy = make_policy("llama")
    counted = models.trained(settings(lora_rank=3))
    made = Trainable(policy).begin(
        CPU, lora_rank=3, value_source=None, gradient_checkpointing=False)
    assert counted == sum(p.numel() for p in made.parameters() if p.requires_grad)


def test_a_run_with_adapters_is_measured_like_its_start():
    ppo, hp = make_ppo(), settings(lora_rank=3)
    before = ValueFootprint(ppo.policy, ppo.reward).costs(hp)
    ppo.begin(["ab"], hp)
    assert ValueFootprint(ppo.policy, ppo.reward).costs(hp) == before  # and peft warns of nothing


def test_what_each_setting_costs(models):
    update = needs(models).phases(settings())[Phase.UPDATING]
    lean = needs(models).phases(settings(gradient_checkpointing=True))[Phase.UPDATING]
    assert lean["Activations"] < update["Activations"] / 2
    separate = needs(models).phases(settings(value_model="policy"))[Phase.UPDATING]
    assert separate["Value model"] == 4 * models.weights.trunk_parameters
    assert separate["Activations"] > 1.8 * update["Activations"]
    halved = needs(models).phases(settings(micro_batch_tokens=256))[Phase.UPDATING]
    assert halved["Activations"] < update["Activations"] / 2
    cache = [needs(models).phases(settings(batch_size=b))[Phase.SAMPLING]["KV cache"]
             for b in (64, 128)]
    assert cache[1] == 2 * cache[0]


def test_values_that_learn_alone_are_counted(models):
    assert set(needs(models).phases(settings())) == {
        Phase.SAMPLING, Phase.SCORING, Phase.UPDATING}
    asked = {"num_value_epochs": 2, "value_pretraining_episodes": 1000}
    found = needs(models).phases(settings(**asked))
    assert list(found) == [Phase.PRETRAINING, Phase.SAMPLING, Phase.SCORING, Phase.UPDATING,
                           Phase.VALUES]
    # Sums of products of states of 32 numbers and a 1, and as many for those being added.
    tokens = 44 * 16  # of the rows of 8 + 16 - 1 that fit into 1024
    assert found[Phase.VALUES]["Sums of states"] == 8 * 33 * (2 * 33 + tokens)
    assert found[Phase.PRETRAINING]["Completions"] == 32 * 1000 * 16
    assert found[Phase.PRETRAINING]["Optimiser"] == 0
    # A value model of its own has gradients, an optimiser and its best weights.
    whole = needs(models).phases(settings(**asked, value_model="policy"))[Phase.PRETRAINING]
    trunk = models.weights.trunk_parameters + 33
    assert whole["Gradients"] == 4 * trunk
    assert whole["Fitting"] == 3 * 4 * trunk
    # What the run takes otherwise is not changed by it.
    before = needs(models).phases(settings())
    assert {phase: found[phase] for phase in before} == before


def test_relief_fits_and_is_gentle(models):
    hp = settings(micro_batch_tokens=4096)
    phases = needs(models).phases(hp)
    most = needed(phases)
    enough = most - phases[Phase.UPDATING]["Activations"] // 2
    assert needs(models).relief(hp, most) == {}
    gentle = needs(models).relief(hp, enough)
    assert set(gentle) == {"micro_batch_tokens"}
    assert needed(needs(models).phases(hp.with_changes(gentle))) <= enough
    assert needs(models).relief(hp, 1000) == {}  # not even the weights


def test_half_of_what_helps_in_the_phase_that_failed(models):
    hp = settings(micro_batch_tokens=100_000, num_mini_batches=64)
    assert needs(models).less(hp, Phase.SAMPLING) == {"batch_size": 32, "num_mini_batches": 32}
    hp = settings(micro_batch_tokens=100_000)
    # Half of what the batch has, not of the limit that it does not reach.
    assert needs(models).less(hp, Phase.UPDATING) == {"micro_batch_tokens": 64 * 24 // 2}
    # One sequence goes through whole, so the limit is no help any more.
    assert "batch_size" in needs(models).less(settings(micro_batch_tokens=16), Phase.UPDATING)
    assert needs(models).less(settings(batch_size=1, micro_batch_tokens=16), Phase.SAMPLING) == {}


def test_half_precision_is_measured_too(models):
    found = needs(models).phases(settings(precision="bfloat16"))[Phase.UPDATING]
    assert found["Activations"] < needs(models).phases(settings())[Phase.UPDATING]["Activations"]
    assert torch.is_grad_enabled()
