"""Positions that are others in long texts (LongRoPE): every text is read as if it were alone, and
no completion passes the length from which on its own first words would be read otherwise."""

import pytest
import torch
import transformers as tf
from helpers.classifiers import WORDS, alone, make_classifier
from helpers.classifiers import words as reward_words
from helpers.folders import save_llama, words
from helpers.models import CPU
from helpers.rows_alone import assert_as_alone, differences

from workbench.feedback.loading import load_reward
from workbench.models.capabilities import Batching
from workbench.models.control import Unattended
from workbench.models.loading import load_policy
from workbench.models.policy_tokenizer import PromptError
from workbench.records import Exchange

SHORT = 24
FACTORS = {"rope_type": "longrope", "rope_theta": 10_000.0, "factor": 4.0,
           "original_max_position_embeddings": SHORT,
           "short_factor": [1.0] * 4, "long_factor": [1.0, 2.0, 4.0, 8.0]}
PROMPTS = [[5, 6, 7], [*range(4, 16)]]


@pytest.fixture
def folder(tmp_path):
    return str(save_llama(tmp_path / "long", words(), rope_parameters=FACTORS))


def test_a_policy_writes_no_further_than_its_positions_stay_the_same(folder):
    loaded = load_policy(folder, CPU, lambda *_: None)
    assert loaded.policy_tokenizer.context_length == SHORT
    assert (f"Its positions are others in texts of more than {SHORT} tokens (LongRoPE), so a "
            "prompt and its response may have that many together.") in loaded.notes
    loaded.policy_tokenizer.encode(["the tea was hot"], SHORT - 4)
    with pytest.raises(PromptError, match=f"pass the policy's limit of {SHORT};"):
        loaded.policy_tokenizer.encode(["the tea was hot"], SHORT - 3)
    assert_as_alone(loaded.policy, PROMPTS, length=12)
    # What the limit is for.
    assert differences(loaded.policy, PROMPTS, length=2 * SHORT)[0] > 0.1


def test_a_classifier_reads_short_texts_beside_long_ones_as_alone(tmp_path):
    folder = tmp_path / "r"
    make_classifier("phi3", original_max_position_embeddings=SHORT, rope_parameters=FACTORS,
                    num_attention_heads=4).save_pretrained(folder)
    reward_words().save_pretrained(folder)
    reward = load_reward(str(folder), CPU, lambda *_: None).reward
    assert reward.classifier.batching is Batching.PADDED
    texts = [" ".join(WORDS[4 + (i * k) % 17] for i in range(k)) for k in (3, 40, SHORT, SHORT + 1)]
    found = reward.score([Exchange("", text, text) for text in texts], control=Unattended())
    right = alone(folder, [[WORDS.index(word) for word in text.split()] for text in texts])
    assert right.std() > 0.1
    torch.testing.assert_close(found, right, rtol=2e-4, atol=2e-4)
    assert isinstance(reward.model, tf.Phi3ForSequenceClassification)
