"""Losses of preferences between two completions of one prompt.

All take (b,) log-probabilities of whole completions, sums over their tokens, and return (b,)
losses. With ``d = (log π - log π_start)(chosen) - (log π - log π_start)(rejected)``, β times either
log-ratio is the reward that the policy stands for (Rafailov et al. 2023, arXiv:2305.18290).
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import logsigmoid

from workbench.learning.sums import rounding

LossType = Literal["sigmoid", "hinge", "ipo", "robust"]


def preference_loss(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor,
    reference_rejected: Tensor, *, beta: float, loss_type: LossType = "sigmoid",
    label_smoothing: float = 0.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of each pair, (b,), and the means over pairs that are logged of them.

    ``sigmoid``: -log s(βd), and with ``label_smoothing`` ε the conservative
    -(1 - ε) log s(βd) - ε log s(-βd), which takes a share ε of the labels to be wrong.
    ``robust``: {-(1 - ε) log s(βd) + ε log s(-βd)}÷{1 - 2ε}, whose mean over labels of which that
    share is flipped is that of clean ones (Chowdhury et al. 2024, arXiv:2403.00409).
    ``hinge``: max(0, 1 - βd) (Zhao et al. 2023, arXiv:2305.10425). ``ipo``: (d - 1÷{2β})², on what
    is given: sums as in its paper (Azar et al. 2023, arXiv:2310.12036), or means over tokens.

    Args:
        policy_chosen, policy_rejected: (b,) by the policy.
        reference_chosen, reference_rejected: (b,) by the start policy.
        beta: how dear it is to leave the start policy; above 0.
        label_smoothing: in [0, 0.5); of ``sigmoid`` and ``robust``.

    Raises:
        ValueError: there is no such loss, or its numbers are out of range.
    """
    if beta <= 0 or not 0 <= label_smoothing < 0.5:
        raise ValueError("beta must be above 0, and label_smoothing at least 0 and below 0.5")
    d = (policy_chosen - policy_rejected) - (reference_chosen - reference_rejected)
    right, wrong = logsigmoid(beta * d), logsigmoid(-beta * d)
    if loss_type == "sigmoid":
        losses = -(1 - label_smoothing) * right - label_smoothing * wrong
    elif loss_type == "robust":
        losses = (-(1 - label_smoothing) * right + label_smoothing * wrong) / (
            1 - 2 * label_smoothing)
    elif loss_type == "hinge":
        losses = (1 - beta * d).clamp(min=0)
    elif loss_type == "ipo":
        losses = (d - 1 / (2 * beta)) ** 2
    else:
        raise ValueError(f"there is no loss {loss_type!r}; there are sigmoid, hinge, ipo, robust")
    measured = pair_metrics(
        policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta=beta)
    return losses, {name: numbers.mean() for name, numbers in measured.items()}


def pair_metrics(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor,
    reference_rejected: Tensor, *, beta: float,
) -> dict[str, Tensor]:
    """Return what is logged of each pair, (b,) each, under the names that TRL has for it. A tie is
    no win, and what differs by no more than float32 rounds is a tie."""
    chosen = beta * (policy_chosen - reference_chosen).detach()
    rejected = beta * (policy_rejected - reference_rejected).detach()
    least = beta * rounding(
        policy_chosen, policy_rejected, reference_chosen, reference_rejected)
    return {
        "rewards/chosen": chosen,
        "rewards/rejected": rejected,
        "rewards/accuracies": (chosen - rejected > least).float(),
        "rewards/margins": chosen - rejected,
        "logps/chosen": policy_chosen.detach(),
        "logps/rejected": policy_rejected.detach(),
    }


def sft_loss(policy_chosen: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean over its tokens of -log π(token) of each chosen completion, (b,): what keeps
    the chosen ones likely while the distance to the rejected grows (Pang et al. 2024,
    arXiv:2404.19733).

    Args:
        lengths: (b,) tokens of each, at least 1.
    """
    return -policy_chosen / lengths
