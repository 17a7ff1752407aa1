import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.dpo.objective import pair_metrics, preference_loss, sft_loss

# d = [(-.5 + .1) - (-.5 + .1), (-10 + 30) - (-10.1 + 20.1), (-1 + 21) - (-.1 + .1)] = [0, 10, 20].
POLICY = [-0.5, -10.0, -1.0], [-0.1, -30.0, -21.0]
REFERENCE = [-0.5, -10.1, -0.1], [-0.1, -20.1, -0.1]


def worked(loss_type="sigmoid", **more):
    given = (torch.tensor(x, dtype=torch.double) for x in (*POLICY, *REFERENCE))
    return preference_loss(*given, beta=0.1, loss_type=loss_type, **more)


def close(found, right):
    torch.testing.assert_close(
        found, torch.tensor(right, dtype=torch.double), rtol=0, atol=1e-6)


def test_sigmoid():
    losses, metrics = worked()
    close(losses, [0.693147, 0.313262, 0.126928])
    close(losses.mean(), 0.377779)
    assert losses[0].item() == math.log(2)
    # β times the log-ratios: chosen [0, .01, -.09], rejected [0, -.99, -2.09]; a tie is no win.
    assert {name: round(number.item(), 6) for name, number in metrics.items()} == {
        "rewards/chosen": round(-0.08 / 3, 6), "rewards/rejected": round(-3.08 / 3, 6),
        "rewards/accuracies": round(2 / 3, 6), "rewards/margins": 1.0,
        "logps/chosen": round(-11.5 / 3, 6), "logps/rejected": round(-51.1 / 3, 6)}


def test_what_rounding_leaves_is_a_tie():
    # Of sums near -40 the last place of float32 is 4e-6: twice that is none of them.
    start = torch.tensor([-40.0, -40.0, -40.0])
    policy = start + torch.tensor([8e-6, 0.01, -0.01])
    found = pair_metrics(policy, start, start, start, beta=0.001)
    assert found["rewards/margins"][0] > 0
    assert found["rewards/accuracies"].tolist() == [0, 1, 0]


def test_conservative_smoothing():
    close(worked(label_smoothing=0.1)[0], [0.693147, 0.413262, 0.326928])


def test_robust():
    # (.9 · .313262 - .1 · 1.313262) / .8 = .188262; at d = 0, (.9 - .1) ln 2 / .8 = ln 2.
    close(worked("robust", label_smoothing=0.1)[0], [0.693147, 0.188262, -0.123072])


@given(d=st.floats(-20, 20), smoothing=st.floats(0, 0.45))
def test_robust_is_right_on_average(d, smoothing):
    """Labels flipped with chance ε give the loss of clean labels on average."""
    zero = torch.zeros(1, dtype=torch.double)
    def loss(x, **more):
        return preference_loss(zero + x, zero, zero, zero, beta=1.0, **more)[0].item()
    noisy = (1 - smoothing) * loss(d, loss_type="robust", label_smoothing=smoothing) + (
        smoothing * loss(-d, loss_type="robust", label_smoothing=smoothing))
    assert noisy == pytest.approx(loss(d), abs=1e-9)


def test_ipo_and_hinge():
    close(worked("ipo")[0], [25.0, 25.0, 225.0])  # 1 / (2 · .1) = 5
    close(worked("hinge")[0], [1.0, 0.0, 0.0])


def test_gradient_of_a_pair():
    """Of -log s(βd) it is -β s(-βd) on the chosen and the opposite on the rejected."""
    chosen, rejected = (torch.zeros(1, requires_grad=True) for _ in range(2))
    zero = torch.zeros(1)
    preference_loss(chosen, rejected, zero, zero, beta=0.1)[0].sum().backward()
    assert (chosen.grad.item(), rejected.grad.item()) == pytest.approx((-0.05, 0.05))


@pytest.mark.parametrize("wrong", [
    {"loss_type": "cosine"}, {"beta": 0.0}, {"label_smoothing": 0.5}])
def test_what_is_out_of_range(wrong):
    zero = torch.zeros(1)
    with pytest.raises(ValueError, match=r"loss|beta"):
        preference_loss(zero, zero, zero, zero, **{"beta": 0.1, **wrong})


def test_sft():
    assert sft_loss(torch.tensor([-6.0, -1.0]), torch.tensor([3, 1])).tolist() == [2.0, 1.0]
