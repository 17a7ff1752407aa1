"""Model folders as people have them, tiny, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers


def tokenizer(end: str = "<end>", **more: object) -> tf.PreTrainedTokenizerFast:
    """Return a byte-level tokenizer: every text is known to it. ``end`` has id 0."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {end: 0, **{c: i + 1 for i, c in enumerate(alphabet)}}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([end])
    return tf.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=end, **more)


def save_policy(folder: Path, **tokenizer_settings: object) -> Path:
    """Save a GPT-2 of two narrow layers that reads 128 bytes."""
    torch.manual_seed(0)
    words = tokenizer(**tokenizer_settings)
    model = tf.GPT2LMHeadModel(tf.GPT2Config(
        vocab_size=len(words), n_positions=128, n_embd=16, n_layer=2, n_head=2,
        eos_token_id=0, bos_token_id=0))
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def save_reward(folder: Path, *, labels: tuple[str, ...] = ("score",)) -> Path:
    """Save a small BERT classifier with one output a label and a tokenizer of its own."""
    torch.manual_seed(1)
    words = tokenizer("[PAD]", pad_token="[PAD]")
    model = tf.BertForSequenceClassification(tf.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=256, pad_token_id=0,
        initializer_range=0.5, id2label=dict(enumerate(labels)),
        label2id={name: i for i, name in enumerate(labels)}))
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
