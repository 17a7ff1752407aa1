"""Pieces of text: joined they are the text, whatever a tokenizer makes of bytes."""

import random
from functools import cache

import pytest
import transformers as tf
from helpers.folders import tokenizer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from workbench.models.policy_tokenizer import PolicyTokenizer


@cache
def byte_fallback():
    """As Llama 2, Mistral and Gemma have it: characters, unknown ones as bytes <0x..>."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)),
             *"abcdefghijklmnopqrstuvwxyz▁.,"]
    inner = Tokenizer(models.BPE(vocab={w: i for i, w in enumerate(words)}, merges=[],
                                 unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    inner.normalizer = normalizers.Replace(" ", "▁")
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    inner.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


@cache
def words():
    """A word a token, joined by spaces, cleaned up as old tokenizers do."""
    found = ["<unk>", "</s>", "the", "tea", "was", "hot", "do", "n't", ".", ",", "?"]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(found)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tf.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", eos_token="</s>",
                                      clean_up_tokenization_spaces=True)


def policy_tokenizer(words):
    return PolicyTokenizer(
        words, [words.eos_token_id], context_length=None, use_chat_template=False
    )


@pytest.mark.parametrize("make", [byte_fallback, tokenizer], ids=["byte fallback", "byte level"])
@pytest.mark.parametrize("text", [
    "a😀b", "€", "é", "田中 tea", "a→b", "😀😀", "naïve café — ok", "👩‍👩‍👧", "literal \ufffd b"])
def test_pieces_joined_are_the_text(make, text):
    known = make()
    ids = known(text, add_special_tokens=False)["input_ids"]
    pieces = policy_tokenizer(known).pieces(ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == text


@pytest.mark.parametrize("make", [byte_fallback, tokenizer, words])
def test_pieces_of_any_tokens_are_the_text_with_special_ones_by_name(make):
    known = make()
    draw = random.Random(0)
    special = set(known.all_special_ids)
    for _ in range(60):
        ids = draw.choices(range(len(known)), k=draw.randint(0, 30))
        pieces = policy_tokenizer(known).pieces(ids)
        assert len(pieces) == len(ids)
        kept = [piece for i, piece in zip(ids, pieces, strict=True) if i not in special]
        assert "".join(kept) == known.decode(ids, skip_special_tokens=True)
        assert all(piece == known.convert_ids_to_tokens(i)
                   for i, piece in zip(ids, pieces, strict=True) if i in special)


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_character_that_is_cut_is_shown_as_cut(cut):
    known = byte_fallback()
    ids = known("tea 😀", add_special_tokens=False)["input_ids"]
    assert "".join(policy_tokenizer(known).pieces(ids[:-cut])) == "tea " + "\ufffd" * (4 - cut)


def test_a_character_stands_with_its_last_token():
    known = byte_fallback()
    ids = known("a€b", add_special_tokens=False)["input_ids"]
    assert policy_tokenizer(known).pieces(ids) == ("a", "", "", "€", "b")


def test_an_id_without_text_has_a_name():
    known = words()
    assert policy_tokenizer(known).pieces([2, len(known) + 3, 3]) == (
        "the",
        f"<id {len(known) + 3}>",
        " tea",
    )
