"""Tiny classifiers with random weights of every architecture that transformers has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers as tf
from helpers.tiny_sizes import SIZES
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

ARCHITECTURES = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
WORDS = ("<unk>", "<pad>", "<s>", "</s>", "the", "tea", "was", "hot", "and", "good.", "a", "b",
         "cat", "sat", "on", "mat", "rain", "is", "wet", "Hello", "world", *(
             f"w{i}" for i in range(99)))
_SMALL = SIZES | {
    "d_kv": 8, "dim": 32, "hidden_dim": 48, "attention_window": 8, "local_attention": 8,
    "rotary_dim": 8, "num_labels": 1, "attention_probs_dropout_prob": 0.0,
    "hidden_dropout_prob": 0.0,
}
_MARKS = {"vocab_size": len(WORDS), "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3,
          "cls_token_id": 2, "sep_token_id": 3, "decoder_start_token_id": 3}
_MLA = {"num_key_value_heads": 4}
_OWN: dict[str, dict[str, Any]] = {
    "axk1": _MLA, "axk2": _MLA, "deepseek_v2": _MLA, "deepseek_v3": _MLA, "minicpm3": _MLA,
    "mistral4": _MLA, "esmc": {"num_key_value_heads": 4},
    "funnel": {"block_sizes": [1, 1], "num_hidden_layers": None, "d_head": 8, "d_inner": 48},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
    "layoutlmv3": {"coordinate_size": 4, "shape_size": 8, "visual_embed": False},
    "lilt": {"hidden_size": 48},
    "luke": {"entity_vocab_size": 8, "entity_emb_size": 32},
    "mt5": {"decoder_start_token_id": 1}, "t5": {"decoder_start_token_id": 1},
    "umt5": {"decoder_start_token_id": 1},
    "qwen3_5_text": {"num_hidden_layers": 4}, "qwen3_next": {"num_hidden_layers": 4},
    "qwen3_5": {"num_hidden_layers": 4},
    "reformer": {"axial_pos_embds_dim": (16, 16), "axial_pos_shape": (8, 8), "is_decoder": False,
                 "attn_layers": ["local", "lsh"], "feed_forward_size": 48, "num_buckets": 2},
    "roc_bert": {"pronunciation_vocab_size": 8, "shape_vocab_size": 8},
    "squeezebert": {"embedding_size": 32},
    "xlnet": {"max_position_embeddings": None, "d_inner": 48},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "zamba": {"num_hidden_layers": 3}, "perceiver": {"d_latents": 32, "num_latents": 8},
}
"""What some architectures need beside, to be small or to hang together."""
_MOST = 3e6
"""Weights of an architecture that a small configuration does not make small."""


def words(begin: str = "", end: str = "", **marks: str) -> tf.PreTrainedTokenizerFast:
    """Return a tokenizer of whole words, which puts ``begin`` and ``end`` around each text."""
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if begin or end:
        inner.post_processor = TemplateProcessing(
            single=" ".join([begin, "$A", end]).strip(),
            pair=" ".join(filter(None, [begin, "$A", end, "$B:1", end and f"{end}:1"])),
            special_tokens=[(mark, WORDS.index(mark)) for mark in {begin, end} - {""}])
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", **{"pad_token": "<pad>", "eos_token": "</s>"}
        | marks)


def small_config(name: str, **more: Any) -> Any:
    """Return a small configuration of an architecture, of what it has."""
    made = tf.AutoConfig.for_model(name)
    wanted = _SMALL | _MARKS | _OWN.get(name, {}) | more
    parts = {key: part for key in getattr(made, "sub_configs", {})
             if isinstance(part := getattr(made, key, None), tf.PreTrainedConfig)}
    inner = {key: tf.AutoConfig.for_model(part.model_type, **_known(part, wanted))
             if part.model_type in tf.CONFIG_MAPPING else part for key, part in parts.items()}
    given = {**_known(made, wanted), **_OWN.get(name, {}), **more, **inner}
    return tf.AutoConfig.for_model(name, **{k: v for k, v in given.items() if v is not None})


def _known(config: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return of the settings wanted those that an architecture has."""
    settable = {key for kind in type(config).__mro__ for key, thing in vars(kind).items()
                if isinstance(thing, property)}
    return {key: value for key, value in wanted.items() if key not in settable
            and key in {**vars(config), **type(config).__dict__, **config.attribute_map}}


def make_classifier(name: str, **more: Any) -> Any:
    """Return a classifier with random weights.

    Raises:
        Exception: a small configuration does not make one, whatever the reason.
    """
    config = small_config(name, **more)
    config.num_labels = 1
    with torch.device("meta"):
        size = sum(p.numel() for p in
                   tf.AutoModelForSequenceClassification.from_config(config).parameters())
    if size > _MOST:
        raise ValueError(f"{size / 1e6:.0f} M weights")
    torch.manual_seed(1)
    return tf.AutoModelForSequenceClassification.from_config(config).eval()


def save_classifier(folder: Path, name: str, tokenizer: Any = None, **more: Any) -> Path:
    """Save a tiny classifier of an architecture with a tokenizer of whole words."""
    make_classifier(name, **more).save_pretrained(folder)
    (tokenizer or words(end="</s>")).save_pretrained(folder)
    return folder


def alone(folder: Path, rows: list[list[int]]) -> torch.Tensor:
    """Return the scores of rows of token ids by plain transformers, one row at a time."""
    model = tf.AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return torch.stack([model(input_ids=torch.tensor([row])).logits[0, 0] for row in rows])
