"""Sampling by hand: the nucleus is the one of the paper, and other weights leave no trace."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers.models import CONFIGS, make_policy
from hypothesis import given
from hypothesis import strategies as st

from workbench.models.control import Interrupted
from workbench.models.decoding import Decoding
from workbench.models.forward import read_logprobs
from workbench.models.try_sampling import (
    WrongWeightsError,
    distribution,
    nucleus,
    other_weights,
    write,
)

PROMPTS = [[5, 6, 7], [1], [9, 8, 7, 6, 5]]
EOS = [2, 11, 17]


def quiet(responses):
    assert responses


def draw(policy, *, prompts=PROMPTS, eos=EOS, written=quiet, **settings):
    return write(policy, prompts, Decoding(**{"length": 12, **settings}), eos_ids=eos,
                 written=written)


def responses(completions):
    return [completions.response(row) for row in range(len(completions.prompts))]


# -- what is sampled from

@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=30), st.floats(0.01, 1))
def test_nucleus_is_the_smallest_set_that_reaches_p(weights, top_p):
    p = torch.tensor([weights], dtype=torch.float64)
    p = (p / p.sum()).float()
    found = nucleus(p, top_p)[0].double().numpy()
    # As the paper says it: go through the tokens by probability until the sum reaches p.
    order = np.argsort(-p[0].numpy(), kind="stable")
    total, kept = 0.0, []
    for token in order:
        if total >= top_p < 1:
            break
        kept.append(token)
        total += float(p[0, token])
    expected = np.zeros(len(weights))
    expected[kept] = p[0].double().numpy()[kept] / (total if top_p < 1 else 1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_nucleus_by_hand():
    p = torch.tensor([[0.1, 0.5, 0.15, 0.25], [0.97, 0.01, 0.01, 0.01]])
    torch.testing.assert_close(nucleus(p, 0.7), torch.tensor(
        [[0, 2 / 3, 0, 1 / 3], [1.0, 0, 0, 0]]))
    assert nucleus(p, 1.0) is p


def test_temperature_comes_before_the_nucleus_and_0_is_greedy():
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    torch.testing.assert_close(
        distribution(logits, 0.5, 0.8), nucleus((logits * 2).softmax(-1), 0.8))
    assert distribution(logits, 0.5, 0.8).tolist() == [[1, 0, 0]]  # softmax(4, 2, 0) begins at .87
    assert distribution(logits, 1.0, 0.8).gt(0).sum() == 2
    assert distribution(logits, 0.0, 0.8).tolist() == [[1, 0, 0]]


# -- writing

@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma2"])
def test_log_probabilities_are_the_policys_own(architecture, unattended):
    policy = make_policy(architecture)
    completions = draw(policy, temperature=0.7, top_p=0.8)
    logprobs = read_logprobs(
        policy, completions, temperature=1.0, max_tokens=0, control=unattended)
    torch.testing.assert_close(completions.logprobs, logprobs, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("architecture", CONFIGS)
def test_greedy_is_transformers_greedy(architecture):
    policy = make_policy(architecture)
    policy.model.generation_config.eos_token_id = None
    for prompt, response in zip(PROMPTS, responses(draw(policy, temperature=0, eos=[])),
                                strict=True):
        ids = torch.tensor([prompt])
        expected = policy.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12,
            pad_token_id=0)
        assert response == expected[0, len(prompt):].tolist()


def test_a_seed_decides_and_prompts_do_not_depend_on_each_other():
    policy = make_policy()
    together = responses(draw(policy, seed=3))
    assert together == responses(draw(policy, seed=3))
    assert together != responses(draw(policy, seed=4))
    for prompt, response in zip(PROMPTS, together, strict=True):
        assert responses(draw(policy, prompts=[prompt], seed=3)) == [response]


def test_every_token_is_told_and_the_end_token_ends():
    told = []
    completions = draw(make_policy(), seed=1, length=30,
                       written=lambda rows: told.append([list(row) for row in rows]))
    assert told[-1] == responses(completions)
    for before, after in pairwise(told):
        assert all(b[: len(a)] == a and len(b) <= len(a) + 1
                   for a, b in zip(before, after, strict=True))
    ended = completions.ended.tolist()
    assert any(ended)
    for response, end in zip(told[-1], ended, strict=True):
        assert [token for token in response if token in EOS] == (response[-1:] if end else [])


# -- other weights

def weights_of(policy):
    return {f"weights/{n}": p.detach().clone().numpy() for n, p in policy.named_parameters()}


def test_other_weights_write_what_their_owner_would():
    policy, other = make_policy(), make_policy()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    before = weights_of(policy)
    mine, wanted = responses(draw(policy)), responses(draw(other))
    assert mine != wanted
    with other_weights(policy, weights_of(other)):
        assert responses(draw(policy)) == wanted
    assert responses(draw(policy)) == mine
    assert all(np.array_equal(a, before[n]) for n, a in weights_of(policy).items())


def test_the_weights_come_back_when_it_is_interrupted():
    policy = make_policy()
    before = weights_of(policy)
    places = {n: p.data_ptr() for n, p in policy.named_parameters()}

    def stop(responses):
        raise Interrupted

    others = {name: array + 1 for name, array in before.items()}
    with pytest.raises(Interrupted), other_weights(policy, others):
        draw(policy, written=stop)
    assert all(np.array_equal(a, before[n]) for n, a in weights_of(policy).items())
    assert places == {n: p.data_ptr() for n, p in policy.named_parameters()}


def test_weights_of_another_model_are_refused_and_nothing_changes():
    policy = make_policy()
    before = weights_of(policy)
    smaller = {name: array[:1] for name, array in before.items()}
    for arrays in ({}, smaller, {"weights/model.no.such": np.ones(2, np.float32)}):
        with pytest.raises(WrongWeightsError, match="another model"), \
                other_weights(policy, arrays):
            raise AssertionError("never reached")
    assert all(np.array_equal(a, before[n]) for n, a in weights_of(policy).items())
