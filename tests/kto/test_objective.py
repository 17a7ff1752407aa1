import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.kto.objective import kto_loss, reference_point, told_apart

BOTH = torch.tensor([True, False])


def close(found, right):
    torch.testing.assert_close(
        found, torch.tensor(right, dtype=torch.double), rtol=0, atol=1e-6)


def test_worked():
    # Good: 1 - s(.1 (2 - .5)) = 1 - s(.15) = .462570; bad: 1 - s(-.15) = .537430.
    ratios = torch.tensor([2.0, 2.0], dtype=torch.double, requires_grad=True)
    losses = kto_loss(ratios, BOTH, beta=0.1, kl=0.5)
    close(losses.detach(), [0.462570, 0.537430])
    # An estimate below 0 counts as 0: s(.2) = .549834.
    below = kto_loss(ratios, BOTH, beta=0.1, kl=torch.tensor(-3.0))
    close(below.detach(), [0.450166, 0.549834])
    below.sum().backward()
    # The derivative of s at .2, .549834 · .450166 = .247517, times β: down the one, up the other.
    close(ratios.grad, [-0.0247517, 0.0247517])


def test_weights_and_a_point_of_each():
    ratios = torch.tensor([2.0, 2.0], dtype=torch.double)
    losses = kto_loss(ratios, BOTH, beta=0.1, kl=torch.tensor([0.5, 2.0]), desirable_weight=4.0,
                      undesirable_weight=0.5)
    close(losses, [4 * 0.462570, 0.5 * 0.5])  # at its point a loss is a half


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=20), st.booleans(), st.floats(0.01, 5),
       st.floats(0, 10))
def test_it_teaches_most_at_the_point(ratios, good, beta, z):
    h = torch.tensor(ratios, dtype=torch.double, requires_grad=True)
    losses = kto_loss(h, torch.full((len(ratios),), good), beta=beta, kl=z)
    assert ((losses >= 0) & (losses <= 1)).all()
    losses.sum().backward()
    assert (h.grad.abs() <= beta / 4 + 1e-12).all()
    assert (h.grad * (-1 if good else 1) >= 0).all()


def test_the_reference_point_has_no_gradient_and_is_no_distance_below_0():
    ratios = torch.tensor([3.0, -1.0, 1.0], requires_grad=True)
    z = reference_point(ratios)
    assert z.item() == 1.0
    assert not z.requires_grad
    assert reference_point(-ratios).item() == 0.0
    # Neither has one that is handed to the loss.
    kto_loss(torch.zeros(2), BOTH, beta=1.0, kl=ratios.mean()).sum()
    losses = kto_loss(torch.zeros(2, requires_grad=True), BOTH, beta=1.0, kl=ratios.mean())
    losses.sum().backward()
    assert ratios.grad is None


def test_told_apart_counts_pairs():
    scores = torch.tensor([3.0, 1.0, 2.0, 2.0, 0.0])
    good = torch.tensor([True, True, True, False, False])
    # Pairs with (2, 0): 3 wins both; 1 loses and wins; 2 ties and wins.
    assert told_apart(scores, good) == pytest.approx((2 + 1 + 1.5) / 6)
    assert told_apart(torch.zeros(5), good) == 0.5
    assert told_apart(torch.tensor([1e-6, 0.0, 0.0, -1e-6, 2e-6]), good, tie=1e-5) == 0.5
    assert math.isnan(told_apart(scores, torch.ones(5, dtype=torch.bool)))
