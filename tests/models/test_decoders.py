"""Steps over fixed buffers write what steps over a growing cache write, and can be recorded."""

import gc
import weakref
from functools import partial

import pytest
import torch
import transformers as tf
from helpers.models import CONFIGS, CPU, VOCABULARY, make_policy, make_ppo
from helpers.tape import Tape, TapeRecorder

from workbench.models import decoders, sampling
from workbench.models.control import Interrupted, Unattended
from workbench.models.decoders import Decoder, FixedDecoder, make_decoder
from workbench.models.decoding import Decoding
from workbench.models.device import Placement
from workbench.models.forward import read_logprobs
from workbench.models.kernels import cast_weights
from workbench.models.kv_cache import can_be_fixed
from workbench.models.policy import Policy
from workbench.models.randomness import Stream, uniforms
from workbench.models.sampling import sample
from workbench.models.try_sampling import write
from workbench.ppo.hyperparameters import parse

PROMPTS = [[5, 6, 7], [1], [9, 8, 7, 6, 5], [3, 3], [4], [8, 2, 40], [7, 7, 7, 7], [60, 61]]
EOS = [2, 11, 17, 23, 29]
LENGTH = 20


SMALL = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64,
    "initializer_range": 0.3,
}


def sliding():
    """A policy all of whose layers see a few tokens back only."""
    torch.manual_seed(0)
    return Policy(tf.AutoModelForCausalLM.from_config(
        tf.MistralConfig(**SMALL, sliding_window=4)), CPU)


def draw(policy, decoder, prompts=PROMPTS, *, length=LENGTH, eos=EOS, control=None):
    noise = uniforms(0, Stream.ROLLOUT, 1, len(prompts), length).to(policy.device)
    return sample(policy, prompts, noise, temperature=0.8, eos_ids=eos,
                  control=control or Unattended(), decoder=decoder)


def assert_same(found, expected, **tolerance):
    assert torch.equal(found.tokens, expected.tokens)
    assert torch.equal(found.mask, expected.mask)
    assert torch.equal(found.ended, expected.ended)
    for name in ("logprobs", "entropies", "values"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name),
                                   **tolerance or {"rtol": 1e-4, "atol": 1e-5})


@pytest.fixture(params=[*CONFIGS, "sliding"])
def any_policy(request):
    return sliding() if request.param == "sliding" else make_policy(request.param)


@pytest.fixture
def eager_to_compact(monkeypatch):
    monkeypatch.setattr(decoders, "_STEPS_WORTH_ANOTHER", 1)
    monkeypatch.setattr(decoders, "_RECORD_ANEW_AT", 0.8)


# -- the same tokens and numbers

def test_fixed_steps_write_what_growing_ones_write(any_policy, eager_to_compact):
    made = []

    def fixed(*args):
        made.append(FixedDecoder(*args))
        return made[0]

    expected = draw(any_policy, Decoder)
    assert expected.ended.sum() > 0
    assert len(set(expected.lengths.tolist())) > 2
    assert_same(draw(any_policy, fixed), expected)
    assert len(made[0]._rows) < len(PROMPTS)  # rows were dropped on the way


def test_without_padding_and_without_an_end(any_policy):
    prompts = [[5, 6], [1, 2]]
    assert_same(draw(any_policy, FixedDecoder, prompts, eos=[]),
                draw(any_policy, Decoder, prompts, eos=[]))


def test_a_prompt_of_one_token_and_a_response_of_one():
    policy = make_policy("llama")
    for length in (1, 2):
        assert_same(draw(policy, FixedDecoder, [[5]], length=length),
                    draw(policy, Decoder, [[5]], length=length))


def test_a_prompt_longer_than_the_window():
    policy, prompts = sliding(), [list(range(3, 15)), [1]]
    assert_same(draw(policy, FixedDecoder, prompts), draw(policy, Decoder, prompts))


def test_more_end_tokens_than_are_looked_through_one_by_one(eager_to_compact):
    policy, many, recorder = make_policy(), list(range(80, 97)), TapeRecorder()
    found = draw(policy, partial(FixedDecoder, recorder=recorder), eos=many)
    assert_same(found, draw(policy, Decoder, eos=many))
    assert recorder.plays


def test_all_rows_ending_at_once_end_the_work():
    class Counting:
        calls = 0

        def step(self, phase, done, total):
            self.calls += 1

    control = Counting()
    every = list(range(VOCABULARY))
    assert draw(make_policy(), FixedDecoder, eos=every, control=control).lengths.tolist() == [1] * 8
    assert control.calls == 3  # a step more than needed, since the count comes a step late


# -- recorded

def test_played_steps_write_the_same(any_policy, eager_to_compact):
    recorder = TapeRecorder()
    found = draw(any_policy, partial(FixedDecoder, recorder=recorder))
    assert_same(found, draw(any_policy, Decoder))
    assert recorder.rehearsals == len(recorder.tapes) >= 2  # again after rows were dropped
    # All but the prompts and, for each recording, the step before it.
    assert recorder.plays >= found.mask.shape[1] - 1 - len(recorder.tapes)


def test_every_step_is_the_same_to_the_last_number(any_policy):
    """What Python passes on: a graph would keep it, so no step may differ from another."""
    scripts = []

    class Noting(FixedDecoder):
        def _step(self):
            tape = Tape()
            with tape:
                states = super()._step()
            scripts.append(tape.script())
            return states

    draw(any_policy, Noting, eos=[])
    assert len(scripts) == LENGTH - 1
    assert len(scripts[0]) > 40
    assert all(script == scripts[0] for script in scripts)


def test_a_step_run_twice_changes_nothing(any_policy):
    class Twice(FixedDecoder):
        def _step(self):
            super()._step()
            return super()._step()

    once, twice = (draw(any_policy, d) for d in (FixedDecoder, Twice))
    assert_same(twice, once, rtol=0, atol=0)


def test_a_model_that_cannot_be_recorded_is_remembered(caplog):
    class Failing(TapeRecorder):
        def record(self, step):
            raise RuntimeError("operation not permitted when stream is capturing")

    policy = make_policy()
    expected = draw(policy, Decoder)
    assert policy.model not in decoders._not_recordable
    assert_same(draw(policy, partial(FixedDecoder, recorder=Failing())), expected)
    assert policy.model in decoders._not_recordable
    assert len(caplog.records) == 1


def test_adapters_are_on(eager_to_compact):
    ppo = make_ppo(architecture="qwen2")
    ppo.begin(["ab"], parse({"lora_rank": 4}))
    before = draw(ppo.policy, Decoder)
    torch.manual_seed(2)
    for name, parameter in ppo.policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    after = draw(ppo.policy, Decoder)
    assert not torch.equal(before.tokens, after.tokens)
    assert_same(draw(ppo.policy, partial(FixedDecoder, recorder=TapeRecorder())), after)


@pytest.mark.parametrize("settings", [{}, {"top_p": 0.7}, {"temperature": 0.0}])
def test_trying_can_be_recorded_too(monkeypatch, settings):
    policy, decoding = make_policy("llama"), Decoding(length=12, **settings)
    answers = []
    for decoder in (Decoder, partial(FixedDecoder, recorder=TapeRecorder())):
        monkeypatch.setattr("workbench.models.try_sampling.make_decoder", decoder)
        answers.append(write(policy, PROMPTS, decoding, eos_ids=EOS, written=lambda _: None))
    assert_same(*answers)


# -- precision

@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_weights_cast_once_are_those_that_autocast_casts(architecture):
    policy = make_policy(architecture)
    policy.placement = Placement(torch.device("cpu"), torch.bfloat16)
    ids = torch.tensor([[5, 6, 7, 8], [9, 3, 2, 4]])
    with torch.no_grad():
        expected = policy.logits(policy.hidden_states(ids))
        with cast_weights(policy.model, torch.bfloat16):
            replaced = [m for m in policy.modules() if "forward" in vars(m)]
            assert torch.equal(policy.logits(policy.hidden_states(ids)), expected)
    assert len(replaced) >= 9  # every product of the two layers, and the head
    assert not [m for m in policy.modules() if "forward" in vars(m)]


def test_autocast_keeps_nothing_for_a_recording():
    """Within, other contexts take over that casts are not kept; a graph must not use kept ones."""
    policy = make_policy()
    policy.placement = Placement(torch.device("cpu"), torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
        with policy.autocast():
            assert not torch.is_autocast_cache_enabled()
        with torch.autocast("cpu", enabled=False):
            assert not torch.is_autocast_cache_enabled()


# -- which decoder, and what is left of it

def test_a_cpu_keeps_to_the_growing_cache():
    args = make_policy(), PROMPTS, LENGTH, None, EOS
    assert type(make_decoder(*args)) is Decoder


@pytest.mark.parametrize("architecture", CONFIGS)
def test_the_caches_of_these_models_can_be_fixed(architecture):
    model = make_policy(architecture).model
    assert can_be_fixed(model.config)
    assert model._can_compile_fullgraph


def test_a_recurrent_state_cannot_be_fixed():
    assert not can_be_fixed(tf.Lfm2Config(num_hidden_layers=2, layer_types=[
        "conv", "full_attention"]))


def test_rows_with_a_recurrent_state_are_dropped_too():
    torch.manual_seed(0)
    policy = Policy(tf.AutoModelForCausalLM.from_config(tf.Lfm2Config(
        **SMALL, layer_types=["conv", "full_attention"])), CPU)
    together = draw(policy, Decoder)
    assert len(set(together.lengths.tolist())) > 2
    logprobs = read_logprobs(policy, together, temperature=0.8, max_tokens=0, control=Unattended())
    torch.testing.assert_close(together.logprobs, logprobs, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("stop", [False, True])
def test_nothing_waits_for_the_garbage_collector(stop):
    """The cache of a large model is most of a GPU's memory."""
    assert not gc.isenabled()
    caches = []

    class StopAtTen:
        def step(self, phase, done, total):
            if stop and done == 10:
                raise Interrupted

    def fixed(*args):
        decoder = FixedDecoder(*args, recorder=TapeRecorder())
        caches.append(weakref.ref(decoder._cache.layers[0]))
        return decoder

    try:
        draw(make_policy("llama"), fixed, control=StopAtTen())
    except Interrupted:
        assert stop
    assert caches[0]() is None


def test_one_formula_for_both(monkeypatch):
    """What is chosen, and what is noted of it, is written once: in sampling."""
    monkeypatch.setattr(sampling, "choose_tokens", lambda p, u: p.argmax(dim=-1))
    policy = make_policy()
    assert_same(draw(policy, FixedDecoder), draw(policy, Decoder))


class EachAlone(Decoder):
    """Reads a prompt as often as it comes."""

    _reads_once = False


class Counting(Decoder):
    """Counts the rows that go through the model at each step."""

    def _run(self, ids, attention, positions):
        self.__dict__.setdefault("rows", []).append(len(ids))
        return super()._run(ids, attention, positions)


@pytest.mark.parametrize("prompts", [PROMPTS, PROMPTS[5:6]], ids=["padded", "of one length"])
def test_a_prompt_that_comes_several_times_is_read_once(any_policy, prompts):
    asked, made = [prompt for prompt in prompts for _ in range(3)], []

    def counting(*args):
        made.append(Counting(*args))
        return made[0]

    found = draw(any_policy, counting, asked)
    assert made[0].rows[:2] == [len(prompts), 3 * len(prompts)]
    assert_same(found, draw(any_policy, EachAlone, asked))


def test_a_recurrent_state_is_copied_too():
    torch.manual_seed(0)
    policy = Policy(tf.AutoModelForCausalLM.from_config(tf.MambaConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, initializer_range=0.3)), CPU)
    asked = [[5, 6, 7]] * 3 + [[9, 8, 4]] * 2
    assert_same(draw(policy, Decoder, asked), draw(policy, EachAlone, asked))
