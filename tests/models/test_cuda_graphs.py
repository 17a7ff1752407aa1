"""Steps recorded as CUDA graphs, on a GPU."""

import logging

import pytest
import torch
from helpers.models import CONFIGS, make_policy

from workbench.models import decoders
from workbench.models.control import Interrupted, Unattended
from workbench.models.cuda_graphs import CudaRecorder, GraphedStep
from workbench.models.decoders import Decoder, FixedDecoder, make_decoder
from workbench.models.decoding import Decoding
from workbench.models.device import Placement
from workbench.models.forward import read_logprobs
from workbench.models.policy import Policy
from workbench.models.randomness import Stream, uniforms
from workbench.models.sampling import sample
from workbench.models.try_sampling import write

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")

PROMPTS = [[5, 6, 7], [1], [9, 8, 7, 6, 5], [3, 3], [4], [8, 2, 40], [7, 7, 7, 7], [60, 61]]
EOS = [2, 11, 17, 23, 29]


def on_gpu(architecture="llama", dtype=torch.float32):
    policy = make_policy(architecture)
    placed = Policy(policy.model.to("cuda"), Placement(torch.device("cuda"), dtype))
    placed.value_head.load_state_dict(policy.value_head.state_dict())
    return placed


def draw(policy, decoder=make_decoder, *, eos=EOS, control=None, length=30):
    noise = uniforms(0, Stream.ROLLOUT, 1, len(PROMPTS), length)
    return sample(policy, PROMPTS, noise, temperature=0.8, eos_ids=eos,
                  control=control or Unattended(), decoder=decoder)


class Counted(CudaRecorder):
    """Counts how often a step was recorded and played."""

    records = plays = 0

    def record(self, step):
        replay = super().record(step)
        self.records += 1

        def counted():
            self.plays += 1
            return replay()

        return counted


@pytest.fixture
def recorder(monkeypatch, caplog):
    monkeypatch.setattr(decoders, "_STEPS_WORTH_ANOTHER", 1)
    monkeypatch.setattr(decoders, "_RECORD_ANEW_AT", 0.8)
    counted = Counted()
    monkeypatch.setattr(decoders, "CudaRecorder", lambda: counted)
    yield counted
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.parametrize("architecture", CONFIGS)
def test_graphs_write_what_growing_steps_write(architecture, recorder):
    policy = on_gpu(architecture)
    found, expected = draw(policy), draw(policy, Decoder)
    assert torch.equal(found.tokens, expected.tokens)
    assert torch.equal(found.mask, expected.mask)
    for name in ("logprobs", "entropies", "values"):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), rtol=1e-3, atol=1e-4)
    assert recorder.records >= 2
    assert recorder.plays >= found.mask.shape[1] - 1 - recorder.records


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "qwen3", "gemma2"])
def test_graphs_in_bf16_agree_with_the_training_forward(architecture, recorder):
    policy = on_gpu(architecture, torch.bfloat16)
    found = draw(policy)
    again = read_logprobs(policy, found, temperature=0.8, max_tokens=0, control=Unattended())
    assert (found.logprobs - again)[found.mask].abs().mean() < 0.03
    assert recorder.plays


def test_the_next_cycle_is_written_with_the_new_weights(recorder):
    policy = on_gpu()
    before = draw(policy)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.mul_(1.2)
    after, expected = draw(policy), draw(policy, Decoder)
    assert not torch.equal(after.logprobs, before.logprobs)
    assert torch.equal(after.tokens, expected.tokens)


def test_stopping_leaves_at_once_and_leaves_nothing_behind(recorder):
    policy = on_gpu()
    draw(policy)
    before = torch.cuda.memory_allocated()

    class StopAtTwelve:
        def step(self, phase, done, total):
            if done == 12:
                raise Interrupted

    with pytest.raises(Interrupted):
        draw(policy, eos=[], control=StopAtTwelve())
    assert torch.cuda.memory_allocated() <= before
    assert recorder.plays


def test_trying_is_recorded_too(recorder):
    policy = on_gpu()
    write(policy, PROMPTS, Decoding(length=16, top_p=0.8), eos_ids=[], written=lambda _: None)
    assert recorder.plays == 16 - 2  # the prompts and the rehearsal


def test_a_step_that_makes_the_host_wait_is_found_before_it_is_recorded(caplog):
    replay, x, seen = GraphedStep(CudaRecorder(), torch.float32), torch.ones(1, device="cuda"), []

    def step():
        seen.append(float(x))
        return x

    for _ in range(4):
        replay(step)
    assert replay.failed
    assert seen == [1.0] * 4
    assert len(caplog.records) == 1
    assert torch.cuda.get_sync_debug_mode() == 0


def test_a_model_that_cannot_be_recorded_is_not_tried_again(monkeypatch, caplog):
    policy = on_gpu()
    trunk = policy.trunk.forward

    def looking(*args, **kwargs):
        states = trunk(*args, **kwargs)
        float(states.last_hidden_state.sum())
        return states

    expected = draw(policy, Decoder)
    monkeypatch.setattr(policy.trunk, "forward", looking)
    args = policy, PROMPTS, 30, None, EOS
    assert type(make_decoder(*args)) is FixedDecoder
    assert torch.equal(draw(policy).tokens, expected.tokens)
    assert type(make_decoder(*args)) is Decoder
    assert len(caplog.records) == 1
