"""What the value line shows of a completion is what the cycle's trace has of it."""

import math

import numpy as np
import pytest
from helpers.models import make_ppo

from workbench.ppo.hyperparameters import parse
from workbench.ppo.tokens import VALUE_LINE, read_steps


@pytest.fixture(scope="module")
def learned():
    """A cycle that learned from the completions of a tiny policy: its settings and its result."""
    from workbench.models.control import Unattended

    ppo = make_ppo(lambda text: 2.0 + text.count("a"))
    hp = parse({"batch_size": 4, "response_length": 7, "missing_eos_penalty": 1.5})
    ppo.begin(["ab", "c"], hp)
    return hp, ppo.run_cycle(1, hp, [0], Unattended())


def test_the_line_is_made_of_the_numbers_of_the_trace(learned):
    hp, result = learned
    for trace, written in zip(result.traces, result.rollout, strict=True):
        steps = read_steps(trace.pieces, trace.numbers, written.score, hp.model_dump())
        for of, column in ((VALUE_LINE.estimate, "value"), (VALUE_LINE.target, "return"),
                           (VALUE_LINE.bar, "advantage")):
            np.testing.assert_allclose([of(s) for s in steps], trace.numbers[column])
        # A completion that did not end was trained on less than the reward model gave.
        end = written.score if written.ended else trace.numbers["reward"][-1]
        assert VALUE_LINE.end(steps[-1]) == pytest.approx(end, abs=1e-6)
        lines = VALUE_LINE.flag(steps[-1]).splitlines()
        assert lines[0] == f"reward {written.score:.2f}"
        assert lines[1:] == ([] if written.ended else [f"trained on as {end:.2f}"])
        gap = end - trace.numbers["value"][-1]
        assert VALUE_LINE.gap(steps[-1]) == f"not yet foreseen: {gap:.2f}"


def test_the_value_loss_is_between_line_and_returns(learned):
    _, result = learned
    apart = np.concatenate([
        t.numbers["return"] - t.numbers["value"] for t in result.traces]).astype(float)
    assert abs(apart).max() > 0.1
    # The return is the advantage, before it was whitened, above the estimate.
    advantages = np.concatenate([t.numbers["advantage"] for t in result.traces])
    np.testing.assert_allclose(
        (apart - apart.mean()) / apart.std(ddof=1), advantages, atol=1e-4)


def steps_of(score, **columns):
    count = len(columns["value"])
    return read_steps([" a"] * count, columns, score, {})


def test_what_was_foreseen_too_much_is_said_so():
    end = steps_of(-0.75, value=[0.2, -0.25])[-1]
    assert VALUE_LINE.gap(end) == "foreseen too much: 0.50"


def test_what_is_not_known_yet_is_not_said():
    first, last = steps_of(math.nan, value=[0.2, 0.3])
    assert (VALUE_LINE.flag(last), VALUE_LINE.gap(last)) == ("not scored yet", "")
    assert math.isnan(VALUE_LINE.end(last))
    assert math.isnan(VALUE_LINE.target(first))
    assert math.isnan(VALUE_LINE.bar(first))
    assert VALUE_LINE.say(last) == (
        "a: the value head's estimate is 0.30 before it, then not scored yet; the advantage is "
        "not known yet.")


def test_a_token_is_told_in_a_sentence():
    columns = {"value": [0.34, 1.23], "advantage": [1.0, -0.5], "reward": [0.0, 1.87]}
    first, last = steps_of(1.87, **columns)
    assert VALUE_LINE.say(first) == (
        "a: the value head's estimate goes from 0.34 to 1.23; advantage +1.00.")
    assert VALUE_LINE.say(last) == (
        "a: the value head's estimate is 1.23 before it, then reward 1.87, not yet foreseen: "
        "0.64; advantage −0.50.")
    scaled = steps_of(45.2, **columns)[-1]
    assert "then reward 45.20, trained on as 1.87, not yet foreseen: 0.64;" in VALUE_LINE.say(
        scaled)
