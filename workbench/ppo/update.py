"""Phase 2: several epochs of gradient steps on the PPO objective."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.learning.aggregation import Aggregation
from workbench.learning.epochs import Epochs, Plan, mean, summarise
from workbench.models import ranks
from workbench.models.control import CycleControl
from workbench.models.policy import Policy
from workbench.ppo.loss import TERMS, PPOLoss
from workbench.ppo.metrics import ENTROPY_LOSS, GRADIENT_OF
from workbench.ppo.parts import UPDATE
from workbench.ppo.picture import ratios_in


def update(
    policy: Policy, optimizer: torch.optim.Optimizer, loss: PPOLoss, *, cycle: int,
    control: CycleControl, counted: Tensor | None = None,
) -> tuple[dict[str, float], dict[str, NDArray[np.float32]]]:
    """Run the epochs of one cycle and return its metrics, and the ratios of its tokens as each
    epoch found them, by :func:`ratios_in`, (n,) each.

    Args:
        counted: (b,) bool, the completions that are learned from; None: all.

    Raises:
        Interrupted: ``control`` asked to end.
        NotFiniteError: a gradient is not a number.
    """
    hp = loss.hp
    plan = Plan.of(hp, cycle, epochs=hp.num_ppo_epochs, mini_batches=hp.num_mini_batches,
                   values_alone=loss.warming_up)
    ratios: list[Tensor] = []
    found: dict[str, NDArray[np.float32]] = {}
    loss = replace(loss, ratios=ratios)
    aggregation = Aggregation(hp.loss_aggregation, hp.response_length, counted)
    epochs = Epochs(policy, loss.experience.completions, loss, plan, control, aggregation)
    norms = {} if not hp.measure_gradients else {
        GRADIENT_OF[name]: epochs.gradient_norm(optimizer, replace(loss, only=name, ratios=None))
        for name in TERMS if hp.has_values or name != "value"}

    def enough(means: Mapping[str, float]) -> bool:
        control.tell(UPDATE.name, {
            "epoch": means["epoch"] + 1, "epochs": hp.num_ppo_epochs,
            "policy/clipfrac": means["clipped"], "policy/approxkl": means["approxkl"],
            "val/ratio_var": _variance(means["ratio_excess"], means["ratio"])})
        name = ratios_in(round(means["epoch"]) + 1)
        own = torch.cat(ratios).float().cpu().numpy() if ratios else np.zeros(0, np.float32)
        read = np.concatenate(ranks.exchange(own))
        found[name] = np.concatenate([found[name], read]) if name in found else read
        ratios.clear()
        return 0 < hp.target_kl < means["approxkl"]

    log = epochs.run(optimizer, enough)
    last = [entry for entry in log if entry["epoch"] == log[-1]["epoch"]]
    values = {"loss/value_avg": mean(log, "loss/value")} if hp.has_values else {}
    metrics = summarise(log) | norms | values | {
        "policy/approxkl_avg": mean(log, "approxkl"),
        "policy/clipfrac_avg": mean(log, "clipped"),
        "policy/entropy_avg": mean(log, "entropy"),
        "loss/policy_avg": mean(log, "loss/policy"),
        ENTROPY_LOSS: mean(log, "loss/entropy"),
        "loss/total_avg": mean(log, "loss/total"),
        "val/ratio": mean(log, "ratio"),
        "val/ratio_start": math.sqrt(2 * mean(log[:1], "approxkl")),
        "val/ratio_var": _variance(mean(last, "ratio_excess"), mean(last, "ratio")),
    }
    return metrics, found


def _variance(excess: float, ratio: float) -> float:
    """Return ``Var(rho) = E[(rho - 1)²] - (E[rho] - 1)²``."""
    return max(0.0, excess - (ratio - 1) ** 2)
