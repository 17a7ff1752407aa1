"""What padding or a cache would change is found at loading, and done otherwise."""

import pytest
import torch
import transformers as tf
from helpers.models import CPU, VOCABULARY, Letters, TextReward
from helpers.rows_alone import assert_as_alone

from workbench.models.capabilities import Batching, Capabilities
from workbench.models.model_check import find_capabilities
from workbench.models.policy import Policy, UnsupportedModelError
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import parse

SMALL = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64,
    "initializer_range": 0.3,
}
BERT = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64,
        "initializer_range": 0.3, "pad_token_id": 1}


def checked(config):
    torch.manual_seed(0)
    policy = Policy(tf.AutoModelForCausalLM.from_config(config), CPU)
    policy.capabilities = find_capabilities(policy)
    return policy


@pytest.mark.parametrize(("config", "expected"), [
    (tf.LlamaConfig(**SMALL), {}),
    # Padding would get into its recurrent state.
    (tf.MambaConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2,
                    initializer_range=0.3), {"writing": Batching.EQUAL, "branches": False}),
    # It has no cache at all, and reads all that comes before.
    (tf.OpenAIGPTConfig(vocab_size=VOCABULARY, n_embd=32, n_layer=1, n_head=2, n_positions=64,
                        initializer_range=0.3), {"cached": False, "branches": False}),
    # Between trunk and head there is more, which no attribute names; and it counts from 2.
    (tf.RobertaConfig(**BERT, is_decoder=True), {
        "own_head": True, "cached": False, "branches": False}),
    # Its head is narrower than its states.
    (tf.ElectraConfig(**BERT, embedding_size=16, is_decoder=True), {"own_head": True}),
    # It calls no part of itself the base model.
    (tf.AutoConfig.for_model("llama4_text", **SMALL, head_dim=8, intermediate_size_mlp=48,
                             num_local_experts=2, num_experts_per_tok=1), {
                                 "trunk": "model", "branches": False}),
], ids=["llama", "mamba", "openai-gpt", "roberta", "electra", "llama4_text"])
def test_the_fastest_way_that_is_exact_is_found(config, expected):
    policy = checked(config)
    found = policy.capabilities
    assert found == Capabilities(**expected)
    assert bool(found.note) == (not found.cached or found.writing is not Batching.PADDED)
    assert_as_alone(policy, [[5, 6, 7], [4], list(range(4, 24)), [8, 9, 10]])


@pytest.mark.parametrize("name", ["sliding_window", "attention_chunk_size"])
def test_a_window_that_the_model_does_not_heed_changes_nothing(name):
    config = tf.LlamaConfig(**SMALL)
    setattr(config, name, 8)  # as in a folder that was converted from another architecture
    policy = checked(config)
    assert policy.capabilities == Capabilities()
    assert_as_alone(policy, [[5, 6, 7], list(range(4, 24))])


def test_a_window_is_passed_however_wide_it_is(monkeypatch):
    """A cache that forgot what the model still looks at would be found at loading."""
    config = tf.MistralConfig(**SMALL, sliding_window=40)
    # A mask of one's own takes the place of the window's.
    assert checked(config).capabilities == Capabilities(branches=False)
    monkeypatch.setattr("workbench.models.kv_cache._GROWING", (tf.cache_utils.DynamicLayer,))
    # transformers' own layers forget rightly
    assert checked(config).capabilities == Capabilities(branches=False)
    ignoring = tf.LlamaConfig(**SMALL)
    ignoring.sliding_window = 40
    assert checked(ignoring).capabilities == Capabilities(cached=False)
    assert ignoring.sliding_window == 40


def test_a_ratio_that_does_not_begin_at_1_is_measured(unattended):
    """By a policy that is taken to bear padding, which it does not."""
    config = tf.MambaConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2,
                            initializer_range=0.3)
    hp = parse({"batch_size": 4, "response_length": 6, "learning_rate": 1e-7})
    off = []
    for capabilities in (Capabilities(), checked(config).capabilities):
        policy = checked(config)
        policy.capabilities = capabilities
        ppo = PPOTrainer(policy, TextReward(len),
                  PolicyTokenizer(Letters(), (), context_length=64, use_chat_template=False))
        ppo.begin(["a", "many words", "bc"], hp)
        off.append(ppo.run_cycle(1, hp, [0], unattended).metrics["val/ratio_start"])
    assert off[0] > 0.02
    assert off[1] < 1e-4


@pytest.mark.parametrize(("config", "sentence"), [
    (tf.BertConfig(**BERT), r"reads in both directions.*\"is_decoder\": true"),
    (tf.XLMConfig(vocab_size=VOCABULARY, emb_dim=32, n_layers=1, n_heads=2, causal=False),
     "reads in both directions"),
], ids=["bert", "xlm"])
def test_what_reads_ahead_is_refused(config, sentence):
    with pytest.raises(UnsupportedModelError, match=sentence):
        checked(config)


def test_a_limit_that_is_none_lets_the_texts_be_long_enough():
    """XLNet says -1 of its positions; MPT has a word of its own for them."""
    config = tf.MptConfig(vocab_size=VOCABULARY, d_model=32, n_heads=4, n_layers=1, max_seq_len=32,
                          expansion_ratio=2)
    assert checked(config).context_length == 32
    config = tf.XLNetConfig(vocab_size=VOCABULARY, d_model=32, n_layer=1, n_head=2, d_inner=48)
    assert Policy(tf.AutoModelForCausalLM.from_config(config), CPU).context_length is None
    with pytest.raises(UnsupportedModelError, match="reads in both directions"):
        checked(config)


def test_numbers_that_are_none_are_refused():
    model = tf.AutoModelForCausalLM.from_config(tf.LlamaConfig(**SMALL))
    torch.nn.init.constant_(model.model.norm.weight, torch.nan)
    with pytest.raises(UnsupportedModelError, match="probabilities are no numbers"):
        Policy(model, CPU)


@pytest.mark.parametrize("error", [KeyError("x"), AssertionError(), IndexError("out of\nrange")])
def test_whatever_a_model_raises_becomes_a_sentence(error, monkeypatch):
    policy = checked(tf.LlamaConfig(**SMALL))

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(policy.trunk, "forward", fail)
    for attempt in (lambda: find_capabilities(policy), lambda: Policy(policy.model, CPU)):
        with pytest.raises(UnsupportedModelError, match=type(error).__name__) as caught:
            attempt()
        assert "\n" not in str(caught.value)
