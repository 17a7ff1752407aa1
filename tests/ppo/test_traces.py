import numpy as np
import pytest
from helpers.models import make_ppo

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
