"""Tiny random models of the architectures people use, and a tokenizer to go with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import transformers as tf

from workbench.models.device import Placement
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.ppo.cycle import PPOTrainer

CPU = Placement(torch.device("cpu"), torch.float32)
VOCABULARY = 97

_SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 64,
}
_GATED = {**_SHAPE, "intermediate_size": 48, "num_key_value_heads": 2}

CONFIGS = {
    "gpt2": lambda: tf.GPT2Config(**_SHAPE),
    "llama": lambda: tf.LlamaConfig(**_GATED),
    "llama-tied": lambda: tf.LlamaConfig(**_GATED, tie_word_embeddings=True),
    "qwen2": lambda: tf.Qwen2Config(**_GATED),
    "qwen3": lambda: tf.Qwen3Config(**_GATED, head_dim=8),
    "gemma": lambda: tf.GemmaConfig(**_GATED, head_dim=8),
    "gemma2": lambda: tf.Gemma2Config(**_GATED, head_dim=8, sliding_window=16,
                                      final_logit_softcapping=5.0),
    "phi": lambda: tf.PhiConfig(**_SHAPE, intermediate_size=48),
    "pythia": lambda: tf.GPTNeoXConfig(**_SHAPE, intermediate_size=48),
    "granite": lambda: tf.GraniteConfig(**_GATED, logits_scaling=3.0),
    "cohere": lambda: tf.CohereConfig(**_GATED, logit_scale=0.25),
}


@cache
def _state(architecture: str) -> tuple[object, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    config = CONFIGS[architecture]()
    for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop", "attention_dropout", "hidden_dropout"):
        if hasattr(config, name):
            setattr(config, name, 0.1)  # must be off in the workbench whatever the model says
    # Random weights large enough that distributions are far from uniform.
    config.initializer_range = 0.3
    model = tf.AutoModelForCausalLM.from_config(config)
    return config, model.state_dict()


def make_policy(architecture: str = "gpt2") -> Policy:
    """Return a fresh policy with the same random weights every time, value head not zero."""
    config, state = _state(architecture)
    model = tf.AutoModelForCausalLM.from_config(config)
    model.load_state_dict(state)
    policy = Policy(model, CPU)
    torch.manual_seed(1)
    torch.nn.init.normal_(policy.value_head.weight, std=0.3)
    return policy


class Letters:
    """A tokenizer of one character a token, so that text and ids can be read at a glance."""

    bos_token_id = None
    chat_template = None

    def __call__(self, text: str | list[str], **_: object) -> dict[str, list]:
        if isinstance(text, str):
            return {"input_ids": [ord(c) - 32 for c in text]}
        return {"input_ids": [self(each)["input_ids"] for each in text]}

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return "".join(chr(32 + i) for i in ids)


class TextReward:
    """A reward given by a function of the completion's text."""

    def __init__(self, function: Callable[[str], float]) -> None:
        self.function = function

    def score(self, exchanges, *, control, phase=Phase.SCORING):
        return torch.tensor([float(self.function(e.completion)) for e in exchanges])


def make_ppo(
    reward: Callable[[str], float] = len, *, architecture: str = "gpt2", eos: tuple[int, ...] = ()
) -> PPOTrainer:
    """Return PPO on a tiny random policy of letters."""
    policy_tokenizer = PolicyTokenizer(Letters(), eos, context_length=64, use_chat_template=False)
    return PPOTrainer(make_policy(architecture), TextReward(reward), policy_tokenizer)
