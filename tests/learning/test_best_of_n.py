"""Best of n, against counting all choices."""

from itertools import combinations

import numpy as np
import pytest

from workbench.learning.best_of_n import best_of, best_weights, kl_bound


def test_the_kl_bound_is_that_of_the_paper():
    assert [kl_bound(n) for n in (1, 2, 4, 8)] == pytest.approx([0, .193147, .636294, 1.204441],
                                                                abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 7])
def test_it_is_the_mean_over_all_choices_of_k_samples(n):
    rng = np.random.default_rng(n)
    scores, also = rng.normal(size=(2, 5, n)).round(1) + rng.normal(size=(2, 5, n)) * 1e-9
    for k in range(1, n + 1):
        chosen = [[max(choice, key=lambda i: row[i]) for choice in combinations(range(n), k)]
                  for row in scores]
        assert best_of(scores)[k - 1] == pytest.approx(np.mean(
            [[row[i] for i in best] for row, best in zip(scores, chosen, strict=True)]))
        assert best_of(scores, also)[k - 1] == pytest.approx(np.mean(
            [[row[i] for i in best] for row, best in zip(also, chosen, strict=True)]))


def test_the_ends_and_ties():
    scores = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    found = best_of(scores)
    assert found[0] == pytest.approx(scores.mean())
    assert found[-1] == pytest.approx((3 + 2) / 2)
    assert (np.diff(found) >= 0).all()


def test_weights_of_64_are_exact():
    weights = best_weights(64)
    assert weights.sum(axis=1) == pytest.approx(np.ones(64), abs=1e-12)
    assert weights[0] == pytest.approx(np.full(64, 1 / 64))
    assert weights[-1].tolist() == [0.0] * 63 + [1.0]


def test_no_k_is_favoured():
    # The mean of many small samples is the expected maximum of k uniform numbers, k / (k + 1).
    scores = np.random.default_rng(0).random((200_000, 5))
    assert best_of(scores) == pytest.approx([k / (k + 1) for k in range(1, 6)], abs=2e-3)
