"""What bends the numbers of models people use: windows, caps, scales, biases, dropout, experts.

Held against plain transformers on each row alone, with settings that bite.
"""

import pytest
import torch
import transformers as tf
from helpers.models import CPU, Letters, TextReward
from helpers.rows_alone import assert_as_alone

from workbench.models.control import Unattended
from workbench.models.model_check import find_capabilities
from workbench.models.policy import Policy
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import parse

VOCABULARY = 97
PROMPTS = [[5, 6, 7], list(range(4, 24)), [9]]
SMALL = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 64, "initializer_range": 0.3, "pad_token_id": 1, "bos_token_id": 2,
    "eos_token_id": 3}
GATED = {**SMALL, "num_key_value_heads": 2, "intermediate_size": 48}
WIDE = {**GATED, "head_dim": 8}
BOTH = {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}
DROPPED = {"dropout": 0.3, "attention_dropout": 0.3, "layerdrop": 0.5}
POSITIONS = {"vocab_size": VOCABULARY, "max_position_embeddings": 64, "init_std": 0.3,
             "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3}

KINDS = {
    "window gemma2": lambda: tf.Gemma2Config(
        **WIDE, sliding_window=8, final_logit_softcapping=5.0, attn_logit_softcapping=5.0),
    "window gemma3": lambda: tf.Gemma3TextConfig(**WIDE, **BOTH),
    "window mistral": lambda: tf.MistralConfig(**GATED, sliding_window=8),
    "window qwen2": lambda: tf.Qwen2Config(
        **GATED, use_sliding_window=True, sliding_window=8, max_window_layers=1),
    "window phi3": lambda: tf.Phi3Config(**GATED, sliding_window=8),
    "window cohere2": lambda: tf.Cohere2Config(**GATED, **BOTH, logit_scale=0.0625),
    "window olmo3": lambda: tf.Olmo3Config(**GATED, **BOTH),
    "window gpt_neo": lambda: tf.GPTNeoConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_layers=2, num_heads=4, window_size=4,
        attention_types=[[["global", "local"], 1]], max_position_embeddings=64,
        attention_dropout=0.3, resid_dropout=0.3, embed_dropout=0.3, initializer_range=0.3),
    "scale granite": lambda: tf.GraniteConfig(**GATED, logits_scaling=6.0),
    "scale falcon_h1": lambda: tf.FalconH1Config(
        **GATED, lm_head_multiplier=0.2, mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8,
        mamba_n_groups=1, mamba_d_state=8, mamba_chunk_size=8),
    "bias phi": lambda: tf.PhiConfig(**SMALL, intermediate_size=48),
    "bias gptj": lambda: tf.GPTJConfig(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, rotary_dim=4, n_positions=64,
        tie_word_embeddings=False, initializer_range=0.3),
    "dropout opt": lambda: tf.OPTConfig(
        **POSITIONS, **DROPPED, hidden_size=32, num_hidden_layers=2, ffn_dim=48,
        num_attention_heads=4, word_embed_proj_dim=16),
    "dropout opt, norm after": lambda: tf.OPTConfig(
        **POSITIONS, **DROPPED, hidden_size=32, num_hidden_layers=2, ffn_dim=48,
        num_attention_heads=4, word_embed_proj_dim=32, do_layer_norm_before=False),
    "dropout xglm": lambda: tf.XGLMConfig(
        **POSITIONS, **DROPPED, d_model=32, num_layers=2, ffn_dim=48, attention_heads=4),
    "experts mixtral": lambda: tf.MixtralConfig(
        **GATED, num_local_experts=4, num_experts_per_tok=2, router_jitter_noise=0.3),
    "experts qwen3": lambda: tf.Qwen3MoeConfig(
        **WIDE, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24),
    "experts and sinks": lambda: tf.GptOssConfig(
        **WIDE, **BOTH, num_local_experts=4, num_experts_per_tok=2),
}


def make(name: str) -> Policy:
    torch.manual_seed(0)
    model = tf.AutoModelForCausalLM.from_config(KINDS[name]())
    head = model.get_output_embeddings()
    with torch.no_grad():
        if name.startswith(("scale", "window gemma2", "window cohere2")):
            head.weight *= 10
        if head.bias is not None:
            head.bias[:] = torch.where(torch.arange(VOCABULARY) % 2 == 0, 3.0, -3.0)
    assert (head.bias is not None) == name.startswith("bias")
    policy = Policy(model, CPU)
    policy.capabilities = find_capabilities(policy)
    return policy


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_model_is_exact(name):
    assert_as_alone(make(name), PROMPTS)


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("name", [
    name for name in KINDS if name.startswith(("dropout", "experts", "bias"))])
def test_the_ratio_begins_at_1_and_adapters_leave_the_head_alone(name, rank):
    hp = parse({"batch_size": 4, "response_length": 6, "lora_rank": rank})
    ppo = PPOTrainer(make(name), TextReward(len),
              PolicyTokenizer(Letters(), (), context_length=64, use_chat_template=False))
    ppo.begin(["a", "many words", "bc"], hp)
    head = ppo.policy.model.get_output_embeddings()
    before = {name: parameter.clone() for name, parameter in head.named_parameters()}
    assert ppo.run_cycle(1, hp, [0], Unattended()).metrics["val/ratio_start"] < 1e-4
    after = {name: torch.equal(parameter, before[name])
             for name, parameter in head.named_parameters()}
    assert set(after.values()) == {rank > 0}
