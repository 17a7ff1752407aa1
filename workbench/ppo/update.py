"""Phase 2: several epochs of gradient steps on the PPO objective."""

from __future__ import annotations

import math

import torch

from workbench.learning.epochs import Epochs, Plan, mean, summarise
from workbench.models.control import Control
from workbench.models.policy import Policy
from workbench.ppo.loss import PPOLoss


def update(
    policy: Policy, optimizer: torch.optim.Optimizer, loss: PPOLoss, *, cycle: int,
    control: Control,
) -> dict[str, float]:
    """Run the epochs of one cycle and return its metrics.

    Raises:
        Interrupted: ``control`` asked to end.
        NotFiniteError: a gradient is not a number.
    """
    hp = loss.hp
    plan = Plan.of(hp, cycle, epochs=hp.num_ppo_epochs, mini_batches=hp.num_mini_batches,
                   values_alone=loss.warming_up)
    epochs = Epochs(policy, loss.experience.completions, loss, plan, control)
    log = epochs.run(optimizer, lambda means: 0 < hp.target_kl < means["approxkl"])
    last = [entry for entry in log if entry["epoch"] == log[-1]["epoch"]]
    return summarise(log) | {
        "policy/approxkl_avg": mean(log, "approxkl"),
        "policy/clipfrac_avg": mean(log, "clipped"),
        "policy/entropy_avg": mean(log, "entropy"),
        "loss/policy_avg": mean(log, "policy"),
        "loss/value_avg": mean(log, "value"),
        "loss/total_avg": mean(log, "total"),
        "val/ratio": mean(log, "ratio"),
        "val/ratio_start": math.sqrt(2 * log[0]["approxkl"]),
        # Var(rho) = E[(rho - 1)²] - (E[rho] - 1)²
        "val/ratio_var": max(0.0, mean(last, "ratio_excess") - (mean(last, "ratio") - 1) ** 2),
    }
