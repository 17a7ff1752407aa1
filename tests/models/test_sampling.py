from dataclasses import replace
from functools import partial

import pytest
import torch
from helpers.models import CONFIGS, VOCABULARY, make_policy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from workbench.models import sampling, try_sampling
from workbench.models.control import Interrupted
from workbench.models.decoding import Decoding
from workbench.models.device import widest_float
from workbench.models.forward import micro_batches, read_logprobs, read_values
from workbench.models.randomness import Stream, uniforms
from workbench.models.sampling import Completions, choose_tokens, sample

PROMPTS = [[5, 6, 7], [1], [9, 8, 7, 6, 5], [3, 3]]
EOS = [2, 11, 17, 23, 29]


def draw(policy, unattended, prompts=PROMPTS, *, length=16, temperature=1.0, eos=EOS):
    noise = uniforms(0, Stream.ROLLOUT, 1, len(prompts), length)
    return sample(policy, prompts, noise, temperature=temperature, eos_ids=eos,
                  control=unattended)


def brute_force(policy, prompt, response, temperature):
    """One row alone through the model as transformers runs it: no padding, cache or chunks."""
    ids = torch.tensor([prompt + response])
    with torch.no_grad():
        out = policy.model(ids, output_hidden_states=True)
        at = slice(len(prompt) - 1, ids.shape[1] - 1)
        logprobs = (out.logits[0, at] / temperature).log_softmax(-1)
        values = policy.value_head(out.hidden_states[-1][0, at])[:, 0]
    taken = logprobs.gather(-1, ids[0, len(prompt):, None])[:, 0]
    return taken, values, -(logprobs.exp() * logprobs).sum(-1)


@pytest.mark.parametrize("architecture", CONFIGS)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_kept_numbers_agree_with_each_row_alone(architecture, temperature, unattended):
    policy = make_policy(architecture)
    completions = draw(policy, unattended, temperature=temperature)
    options = {"max_tokens": 40, "control": unattended}
    logprobs = read_logprobs(policy, completions, temperature=temperature, **options)
    values = read_values(policy, completions, **options)
    tolerance = {"rtol": 1e-4, "atol": 2e-4}
    torch.testing.assert_close(completions.logprobs, logprobs, **tolerance)
    torch.testing.assert_close(completions.values, values, **tolerance)
    for row, prompt in enumerate(PROMPTS):
        alone = brute_force(policy, prompt, completions.response(row), temperature)
        for found, expected in zip(
            (logprobs, values, completions.entropies), alone, strict=True
        ):
            torch.testing.assert_close(
                found[row, completions.mask[row]], expected, **tolerance)


def test_a_row_does_not_depend_on_the_others(policy, unattended):
    together = draw(policy, unattended)
    noise = uniforms(0, Stream.ROLLOUT, 1, 4, 16)
    for row, prompt in enumerate(PROMPTS):
        alone = sample(policy, [prompt], noise[row : row + 1], temperature=1.0, eos_ids=EOS,
                       control=unattended)
        assert alone.response(0) == together.response(row)
    assert len({int(n) for n in together.lengths}) > 1  # rows did end at different times


def test_responses_end_at_the_first_end_token_and_keep_it(policy, unattended):
    completions = draw(policy, unattended, PROMPTS * 4, length=30)
    assert completions.ended.any()
    for row in range(16):
        response = completions.response(row)
        stops = [i for i, token in enumerate(response) if token in EOS]
        assert stops == ([len(response) - 1] if completions.ended[row] else [])
        assert completions.mask[row].tolist() == sorted(
            completions.mask[row].tolist(), reverse=True)
    for padded in (completions.tokens, completions.logprobs, completions.entropies,
                   completions.values):
        assert not padded[~completions.mask].any()


def test_no_end_token_runs_to_the_limit(policy, unattended):
    completions = draw(policy, unattended, eos=[])
    assert completions.lengths.tolist() == [16] * 4
    assert not completions.ended.any()


def test_choice_follows_the_distribution():
    # Inverting the distribution function at evenly spaced numbers gives each token its share.
    probabilities = torch.tensor([0.1, 0.0, 0.6, 0.3])
    uniform = (torch.arange(1000) + 0.5) / 1000
    chosen = choose_tokens(probabilities.expand(1000, 4), uniform.double())
    assert chosen.bincount(minlength=4).tolist() == [100, 0, 600, 300]


def test_choice_at_the_edges():
    certain = torch.tensor([[0.0, 1.0, 0.0]]).expand(2, 3)
    edges = torch.tensor([0.0, 1 - 1e-16], dtype=torch.double)
    assert choose_tokens(certain, edges).tolist() == [1, 1]


def test_a_device_without_double_precision_is_given_none(policy, unattended, monkeypatch):
    class NoDoubles(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if func is not torch.ops.aten.lift_fresh.default:  # from NumPy, on the host
                assert torch.float64 not in {getattr(x, "dtype", 0) for x in tree_leaves(result)}
            return result

    assert widest_float(torch.device("mps")) is torch.float32
    assert widest_float(policy.device) is torch.float64
    for module in (sampling, try_sampling):
        monkeypatch.setattr(module, "widest_float", lambda device: torch.float32)
    with NoDoubles():
        draw(policy, unattended, eos=[])
        try_sampling.write(policy, PROMPTS, Decoding(length=4, top_p=0.8), eos_ids=[],
                     written=lambda responses: None)


def test_interruption_leaves_between_two_tokens(policy):
    class StopAtThree:
        def step(self, phase, done, total):
            if done == 3:
                raise Interrupted

    with pytest.raises(Interrupted):
        draw(policy, StopAtThree())


def test_micro_batches_cover_every_token_once(policy, unattended):
    completions = draw(policy, unattended)
    for limit in (1, 20, 10_000):
        seen = torch.zeros(completions.mask.shape, dtype=torch.long)
        for batch in micro_batches(completions, torch.arange(4), max_tokens=limit,
                                   device=policy.device):
            seen[batch.row, batch.column] += 1
            assert batch.input_ids.numel() <= max(limit, batch.input_ids.shape[1])
        assert torch.equal(seen, completions.mask.long())


def test_hardly_any_padding_is_computed(policy):
    torch.manual_seed(0)
    lengths = torch.randint(1, 49, (64,))
    mask = torch.arange(48) < lengths[:, None]
    nothing = torch.zeros(64, 48)
    completions = Completions([[1] * 16] * 64, mask.long(), mask, nothing, nothing, nothing,
                              nothing[:, 0].bool())
    batches = list(micro_batches(completions, torch.arange(64), max_tokens=1024,
                                 device=policy.device))
    computed = sum(batch.input_ids.numel() for batch in batches)
    assert int((lengths + 15).sum()) <= computed <= 1.15 * int((lengths + 15).sum())
    assert len(batches) <= 12  # and yet in pieces large enough to be fast


def test_padding_width_changes_nothing(policy, unattended):
    completions = draw(policy, unattended)
    extra = torch.zeros(4, 7)
    wide = replace(
        completions,
        tokens=torch.cat([completions.tokens, torch.full((4, 7), VOCABULARY - 1)], dim=1),
        mask=torch.cat([completions.mask, extra.bool()], dim=1),
        logprobs=torch.cat([completions.logprobs, extra], dim=1),
        entropies=torch.cat([completions.entropies, extra], dim=1),
        values=torch.cat([completions.values, extra], dim=1))
    width = completions.mask.shape[1]
    options = {"max_tokens": 40, "control": unattended}
    for read in (partial(read_logprobs, temperature=1.0), read_values):
        found = read(policy, wide, **options)
        assert torch.equal(found[:, :width], read(policy, completions, **options))
        assert not found[:, width:].any()
