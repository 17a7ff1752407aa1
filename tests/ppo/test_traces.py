from copy import deepcopy

import numpy as np
import pytest
import torch
from helpers.models import make_ppo

from workbench.models.alternatives import next_token
from workbench.models.sampling import sample
from workbench.ppo.hyperparameters import parse


def run(unattended, **settings):
    ppo = make_ppo(lambda text: 2.0 + text.count("a"))
    hp = parse({"batch_size": 6, "response_length": 7, "num_cycles": 3, "missing_eos_penalty": 0,
                "learning_rate": 1e-3, **settings})
    ppo.begin(["ab", "c"], hp)
    ppo.run_cycle(1, hp, [0], unattended)
    return ppo, hp, ppo.run_cycle(2, hp, [0], unattended)


def test_traces_agree_with_what_the_cycle_reports(unattended):
    _, hp, result = run(unattended)
    assert [t.position for t in result.traces] == list(range(6))
    for trace, written in zip(result.traces, result.rollout, strict=True):
        numbers = trace.numbers
        assert "".join(trace.pieces) == written.text
        assert len(trace.tokens) == written.length
        kl = numbers["logprob"] - numbers["ref_logprob"]
        assert kl.sum() == pytest.approx(written.kl, abs=1e-4)
        # r_t = -beta kl_t, and the score on the last token.
        expected = -hp.kl_coef * kl
        expected[-1] += written.score
        np.testing.assert_allclose(numbers["reward"], expected, atol=1e-5)
    ratios = np.concatenate([t.numbers["ratio"] for t in result.traces])
    assert ratios.std() > 0  # measured after the update
    assert ratios.mean() == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("steps", [1, 4])
def test_what_an_update_did_is_measured_after_its_last_step(unattended, steps):
    # Not before each step, where a cycle of one step would have moved nothing.
    _, hp, result = run(unattended, num_ppo_epochs=steps, learning_rate=1e-2)
    ratios = np.concatenate([t.numbers["ratio"] for t in result.traces]).astype(float)
    found = result.metrics
    assert found["policy/approxkl"] == pytest.approx(
        (0.5 * np.log(ratios) ** 2).mean(), rel=1e-4)
    assert found["policy/clipfrac"] == pytest.approx(
        (abs(ratios - 1) > hp.cliprange).mean())
    assert found["policy/approxkl"] > 1e-3
    assert found["policy/clipfrac"] > 0
    assert (found["policy/approxkl_avg"] < 1e-8) == (steps == 1)
    assert found["policy/approxkl_avg"] < found["policy/approxkl"]


def test_what_an_update_did_is_measured_without_traces_and_however_it_is_cut(unattended):
    whole = run(unattended)[2].metrics
    for change in ({"keep_tokens": 0}, {"micro_batch_tokens": 12}):
        found = run(unattended, **change)[2].metrics
        for name in ("policy/approxkl", "policy/clipfrac"):
            assert found[name] == pytest.approx(whole[name], rel=1e-3)


def test_traces_can_be_switched_off(unattended):
    assert run(unattended, keep_tokens=0)[2].traces == []


def test_the_likeliest_tokens_are_those_of_the_policies_reading_each_place_alone(unattended):
    ppo = make_ppo(lambda text: 2.0 + text.count("a"))
    hp = parse({"batch_size": 6, "response_length": 7, "num_cycles": 3, "learning_rate": 1e-2,
                "temperature": 0.8})
    ppo.begin(["ab", "c"], hp)
    ppo.run_cycle(1, hp, [0], unattended)
    before = deepcopy(ppo.snapshot())  # it would be trained on
    result = ppo.run_cycle(2, hp, [0], unattended)
    places = [(trace, at) for trace in result.traces for at in range(len(trace.tokens))]

    def read(policy):
        return [next_token(
            policy, [*ppo.prompt_ids[trace.prompt], *trace.tokens[:at].tolist()], 0.8)
            for trace, at in places]

    chances = {"after": read(ppo.policy)}
    with ppo.reference() as reference:
        chances["start"] = read(reference)
    ppo.begin(["ab", "c"], hp)
    ppo.restore(*before)
    chances["before"] = read(ppo.policy)
    assert (torch.stack(chances["after"]) - torch.stack(chances["before"])).abs().max() > 1e-2
    for row, (trace, at) in enumerate(places):
        found = trace.likeliest
        assert found.tokens.shape == (len(trace.tokens), 6)
        assert found.tokens[at, 5] == trace.tokens[at]
        whole = chances["before"][row].topk(5)
        np.testing.assert_allclose(
            np.exp(found.logprobs["before"][at, :5]), whole.values, atol=1e-5)
        for by, logprobs in found.logprobs.items():
            np.testing.assert_allclose(
                np.exp(logprobs[at]), chances[by][row][found.tokens[at].tolist()], atol=1e-5)
        for by, name in (("before", "logprob"), ("start", "ref_logprob")):
            assert found.logprobs[by][at, 5] == pytest.approx(trace.numbers[name][at], abs=1e-6)
    assert {by for trace, _ in places for by in trace.likeliest.logprobs} == set(chances)


def test_noting_the_likeliest_tokens_changes_no_number_and_no_draw(unattended):
    noted, silent = (run(unattended, keep_tokens=kept) for kept in (3, 0))
    assert noted[2].traces[0].likeliest is not None
    for of in (lambda ppo, result: [w.text for w in (*result.rollout, *result.comparison)],
               lambda ppo, result: {name: number for name, number in result.metrics.items()
                                    if "second" not in name},
               lambda ppo, result: {k: v.tobytes() for k, v in ppo.snapshot()[0].items()}):
        assert of(noted[0], noted[2]) == of(silent[0], silent[2])


def test_a_small_vocabulary_has_fewer_alternatives(policy, unattended):
    completions = sample(
        policy, [[3, 4]], torch.full((1, 2), 0.5), temperature=1.0, eos_ids=[0],
        control=unattended, likeliest=10_000)
    size = policy.config.vocab_size
    assert completions.likeliest.shape == (1, 2, size + 1)
    assert completions.likeliest[0, 0, :-1].sort().values.tolist() == list(range(size))
    chances = completions.likeliest_logprobs[0, 1].exp()
    assert chances[:-1].sum().item() == pytest.approx(1, abs=1e-5)
    assert completions.likeliest[0, :, -1].tolist() == completions.tokens[0].tolist()
