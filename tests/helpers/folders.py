"""Model folders as people have them, tiny, with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
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


def words(
    *more: str, specials: tuple[str, ...] = ("<unk>", "<pad>", "<s>", "</s>"), **settings: object
) -> tf.PreTrainedTokenizerFast:
    """Return a tokenizer of one word a token: specials, then some words, then ``more``."""
    known = [*specials, "the", "tea", "was", "hot", "and", "good", "bad", "a", "cat", "dog", "sat",
             "on", "mat", "rain", "is", "wet", *more]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(known)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, **{"unk_token": "<unk>", "eos_token": "</s>", **settings})


def save_llama(
    folder: Path, tokenizer: tf.PreTrainedTokenizerFast, *,
    kind: type[tf.PreTrainedModel] = tf.LlamaForCausalLM, **config: object,
) -> Path:
    """Save a Llama, or a model of its kin, of two narrow layers, and its tokenizer."""
    torch.manual_seed(0)
    shape = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 128, "initializer_range": 0.3,
        "eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id,
        "pad_token_id": tokenizer.pad_token_id}
    kind(kind.config_class(**{**shape, **config})).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


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


def save_gguf(
    file: Path, *, quantised: bool = False, architecture: str = "qwen2",
    rope: dict[str, object] | None = None, factors: Sequence[float] = (),
    numbers: dict[str, float] | None = None, **strings: str,
) -> torch.nn.Module:
    """Write a Qwen2 of one layer as a GGUF file, as llama.cpp's converter would.

    ``strings`` and ``numbers`` are more entries of its header, such as a
    ``tokenizer.chat_template``; ``rope`` is how the model's positions are scaled, and ``factors``
    what the file has for it. Returns the model that was written.
    """
    torch.manual_seed(0)
    known = tokenizer().get_vocab()
    words = [*sorted(known, key=known.__getitem__), "ab"]
    model = tf.Qwen2ForCausalLM(tf.Qwen2Config(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=128,
        tie_word_embeddings=True, eos_token_id=0, initializer_range=0.3,
        **({"rope_parameters": {"rope_theta": 10_000.0, **rope}} if rope else {}))).eval()
    file.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_context_length(128)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(model.config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([gguf.TokenType.CONTROL, *[gguf.TokenType.NORMAL] * (len(words) - 1)])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(0)
    for name, text in strings.items():
        writer.add_string(name, text)
    for name, number in (numbers or {}).items():
        (writer.add_uint32 if isinstance(number, int) else writer.add_float32)(name, number)
    if factors:
        writer.add_tensor("rope_freqs.weight", np.array(factors, np.float32))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, 1)
    for name, weight in model.state_dict().items():
        if name != "lm_head.weight":
            stem, _, kind = name.rpartition(".")
            wide = quantised and weight.dim() == 2
            values = weight.numpy()
            writer.add_tensor(
                f"{names.get_name(stem)}.{kind}",
                gguf.quantize(values, gguf.GGMLQuantizationType.Q8_0) if wide else values,
                raw_dtype=gguf.GGMLQuantizationType.Q8_0 if wide else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model
