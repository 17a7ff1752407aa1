"""What a reward reads: the prompt as it was typed, with what the policy wrote after it."""

import pytest
import transformers as tf
from helpers.folders import tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers

from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.records import Exchange


def words():
    found = ["<unk>", "</s>", "the", "tea", "was", "hot"]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(found)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tf.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", eos_token="</s>")


def policy_tokenizer(known):
    return PolicyTokenizer(
        known, [known.eos_token_id], context_length=None, use_chat_template=False
    )


@pytest.mark.parametrize("prompt", [
    "Käse tea was 東京", "the tea", "THE  tea\twas", "", "the tea "])
def test_words_that_the_policy_does_not_know_are_scored(prompt):
    known = words()
    read = policy_tokenizer(known)
    [ids] = read.encode([prompt], 4)
    found = read.exchange(prompt, ids, [known.convert_tokens_to_ids("hot"), known.eos_token_id])
    assert found.prompt == prompt
    assert found.completion.strip() == "hot"
    assert found.joined == (f"{prompt.rstrip()} hot" if prompt else "hot")


def test_turns_written_by_hand_are_scored():
    known = tokenizer()
    known.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|assistant|>"]})
    prompt = "<|user|>tea?<|assistant|>"
    read = policy_tokenizer(known)
    ids = known(prompt)["input_ids"]
    assert len(ids) == 6
    assert read.exchange(prompt, ids, known(" yes")["input_ids"]) == Exchange(
        prompt, " yes", f"{prompt} yes")


def test_a_prompt_that_ends_in_a_space_keeps_it_once():
    known = tokenizer()
    ids = known("the tea ")["input_ids"]
    found = policy_tokenizer(known).exchange("the tea ", ids, known("was")["input_ids"])
    assert found == Exchange("the tea ", "was", "the tea was")
