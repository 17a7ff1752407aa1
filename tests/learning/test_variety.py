"""How different completions are, against what is counted by hand."""

import pytest

from workbench.learning.variety import distinct, repetition


def test_distinct_counts_different_runs():
    # 12 23 31 12, 12: five pairs, of which three are different.
    assert distinct([[1, 2, 3, 1, 2], [1, 2], [7]], 2) == pytest.approx(3 / 5)
    assert distinct([[1, 2, 3], [4, 5]], 2) == 1
    assert distinct([[7], [7]], 2) == 1  # there is no pair


def test_repetition_is_of_a_completion_with_itself():
    # 121 212 121: a third says again; the second completion says the same as the first, once.
    assert repetition([[1, 2, 1, 2, 1], [1, 2, 1]], 3) == pytest.approx((1 / 3 + 0) / 2)
    assert repetition([[5] * 8], 4) == pytest.approx(1 - 1 / 5)
    assert repetition([[1, 2], [3]], 4) == 0


def test_a_cycle_reports_both(unattended):
    from helpers.models import make_ppo

    from workbench.ppo.hyperparameters import parse

    ppo = make_ppo(len)
    hp = parse({"batch_size": 4, "response_length": 12, "num_cycles": 1})
    ppo.begin(["ab", "c"], hp)
    result = ppo.run_cycle(1, hp, [0], unattended)
    responses = [trace.tokens.tolist() for trace in result.traces]
    assert result.metrics["objective/distinct_2"] == distinct(responses, 2)
    assert result.metrics["objective/repetition"] == repetition(responses, 4)
