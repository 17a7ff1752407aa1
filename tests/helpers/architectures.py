"""Tiny configurations of every causal language model that the installed transformers knows.

They are made from the names of what a configuration holds, so that those of a newer transformers
are among them. Some need more than that.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import transformers as tf
from helpers.tiny_sizes import SIZES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

NAMES = sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
VOCABULARY = 120
_PARAMETERS = 15_000_000

_SIZES = SIZES | {
    "vocab_size": VOCABULARY, "unpadded_vocab_size": VOCABULARY, "eos_token_id": 3,
    "pad_token_id": 1, "bos_token_id": 2, "dim_ffn": 48, "rotary_dim": 4,
    # Encoder stacks that write.
    "is_decoder": True, "causal": True,
    # Recurrent ones.
    "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1,
    "mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1,
    "mamba_chunk_size": 4, "chunk_size": 4, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8, "lru_width": 32,
}
_WITHOUT = ((), ("head_dim",), ("chunk_size", "mamba_chunk_size"), ("sliding_window",),
            ("num_key_value_heads",), ("head_dim", "num_key_value_heads"), ("is_decoder", "causal"))
"""What some are better without; the first that makes a model is taken."""

_BOTH = {"layer_types": ["linear_attention", "full_attention"]}
_MORE: dict[str, dict[str, Any]] = {
    "bailing_hybrid": _BOTH, "granitemoehybrid": _BOTH, "kimi_linear": _BOTH,
    "qwen3_5_moe_text": _BOTH,
    "qwen3_5_text": _BOTH, "qwen3_next": _BOTH, "qwen4_exp_text": _BOTH,
    "bamba": {"attn_layer_indices": [1]},
    "cohere_compass_text": {"layer_types": ["full_attention"] * 2},
    "dots3_note_text": {"num_key_value_heads": 4},
    "falcon_h1": {"mamba_d_ssm": 64},
    "gemma4_text": {"vocab_size_per_layer_input": VOCABULARY, "hidden_size_per_layer_input": 8},
    "gemma3n_text": {"vocab_size_per_layer_input": VOCABULARY, "hidden_size_per_layer_input": 8,
                     "num_kv_shared_layers": 0, "layer_types": ["full_attention"] * 2,
                     "activation_sparsity_pattern": [0.0, 0.0], "laurel_rank": 4},
    # Its loops make rounding grow.
    "hrm_text": {"initializer_range": 0.1},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 4},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "lfm3": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "recurrent_gemma": {"block_types": ["recurrent", "attention"]},
    "reformer": {"axial_pos_embds_dim": [16, 16], "axial_pos_shape": [8, 8],
                 "attn_layers": ["local", "local"], "attention_head_size": 8,
                 "feed_forward_size": 48, "local_attn_chunk_length": 4},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "xlstm": {"hidden_size": 128, "embedding_dim": 128, "num_heads": 4},
    "zamba": {"n_mamba_heads": 2, "num_hidden_layers": 6,
              "layers_block_type": ["mamba", "mamba", "hybrid"] * 2},
    "zamba2": {"layers_block_type": ["mamba", "hybrid"]},
    "zaya": {"num_experts_per_tok": 1},
}


class NotMadeError(Exception):
    """No tiny model of this architecture was made."""


def make_model(name: str) -> Any:
    """Return a tiny random model of an architecture.

    Raises:
        NotMadeError: with what was met.
    """
    met = ""
    for without in _WITHOUT:
        try:
            config = _config(name, without)
            with torch.device("meta"):
                empty = tf.AutoModelForCausalLM.from_config(config)
            size = sum(p.numel() for p in empty.parameters())
            if size > _PARAMETERS:
                raise NotMadeError(f"{size / 1e6:.0f} million parameters")
            torch.manual_seed(0)
            model = tf.AutoModelForCausalLM.from_config(config).eval()
            with torch.no_grad():
                model(input_ids=torch.tensor([[4, 5, 6]]))
        except Exception as error:
            met = met or f"{type(error).__name__}: {str(error)[:200]}"
        else:
            return model
    raise NotMadeError(met)


def _config(name: str, without: tuple[str, ...]) -> Any:
    known = type(tf.AutoConfig.for_model(name))
    fields = {field.name for field in dataclasses.fields(known)} | set(known.attribute_map)
    taken = {known.attribute_map.get(k, k): v for k, v in _SIZES.items()
             if k in fields and k not in without}
    return tf.AutoConfig.for_model(name, **(taken | _MORE.get(name, {})))
