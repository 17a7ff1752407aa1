"""Random models, saved once and loaded by every side. No hub is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers
from work import EOS, PAD, REWARD_HEADS, REWARD_LAYERS, REWARD_WIDTH, SHAPES, Shape, word

_POSITIONS = 128
# Wider than usual, so that the distributions of untrained weights are not flat.
_SPREAD = 0.05


def save_models(shape_name: str, folder: Path) -> Path:
    """Save reference, policy, reward model, value head and tokenizer; return their folder.

    The policy is the reference with noise on its weights, so that KL is not zero when the two are
    compared.
    """
    home = folder / shape_name
    if (home / "value_head.json").exists():
        return home
    shape = SHAPES[shape_name]
    torch.manual_seed(0)
    reference = tf.AutoModelForCausalLM.from_config(_config(shape))
    _save(reference, home / "reference", shape)
    with torch.no_grad():
        for weight in reference.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1 * _SPREAD)
    _save(reference, home / "policy", shape)
    reward = tf.GPT2ForSequenceClassification(_config(
        Shape("gpt2", REWARD_LAYERS, REWARD_WIDTH, REWARD_HEADS, shape.vocabulary), num_labels=1))
    _save(reward, home / "reward", shape)
    # Last: its presence says that all is there.
    (home / "value_head.json").write_text(json.dumps(
        torch.randn(shape.width).mul_(_SPREAD).tolist()))
    return home


def _config(shape: Shape, **more: Any) -> Any:
    common = {
        "vocab_size": shape.vocabulary, "hidden_size": shape.width,
        "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "max_position_embeddings": _POSITIONS, "initializer_range": _SPREAD,
        "bos_token_id": EOS, "eos_token_id": EOS, "pad_token_id": PAD, **more,
    }
    if shape.architecture == "gpt2":
        return tf.GPT2Config(**common, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
                             summary_dropout_prob=0.0, summary_first_dropout=0.0)
    return tf.Qwen2Config(**common, num_key_value_heads=shape.key_value_heads,
                          intermediate_size=shape.gate_width, tie_word_embeddings=True)


def _save(model: Any, folder: Path, shape: Shape) -> None:
    model.save_pretrained(folder)
    words = {word(i): i for i in range(shape.vocabulary)}
    inner = Tokenizer(models.WordLevel(words, unk_token=word(PAD)))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token=word(EOS), pad_token=word(PAD),
        model_max_length=_POSITIONS,
    ).save_pretrained(folder)
