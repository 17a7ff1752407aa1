"""Phase 2: several epochs of gradient steps on the PPO objective."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.models.control import Control, NotFiniteError
from workbench.models.forward import MicroBatch, head_chunks, micro_batches, temper
from workbench.models.gradients import in_place_gradients
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.randomness import mini_batches
from workbench.models.sampling import Completions
from workbench.models.token_statistics import token_statistics
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.kl import kl_loss_terms
from workbench.ppo.objective import policy_loss_terms, value_loss_terms


@dataclass(frozen=True, slots=True)
class Experience:
    """A batch ready to learn from: what was sampled and what it was worth, (b, T) each.

    ``reward_scale`` is what whitening multiplied rewards by on their way to advantages; KL in the
    loss is multiplied likewise, so that its coefficient stays a price in units of the reward.
    """

    completions: Completions
    ref_logprobs: Tensor
    advantages: Tensor
    returns: Tensor
    reward_scale: float = 1.0


def update(
    policy: Policy, optimizer: torch.optim.Optimizer, experience: Experience, *,
    hp: Hyperparameters, cycle: int, kl_coef: float, control: Control,
) -> dict[str, float]:
    """Run the epochs of one cycle and return its metrics.

    The loss of a mini-batch is the sum over its real tokens divided by their number, however it
    is cut into micro-batches, so the cut changes no gradient.
    """
    with in_place_gradients(policy):
        return _summarise(_run_epochs(policy, optimizer, experience, hp, cycle, kl_coef, control))


def _run_epochs(
    policy: Policy, optimizer: torch.optim.Optimizer, experience: Experience, hp: Hyperparameters,
    cycle: int, kl_coef: float, control: Control,
) -> list[dict[str, float]]:
    """Return the means of every optimiser step."""
    rows = experience.completions.mask.shape[0]
    total = hp.num_ppo_epochs * hp.num_mini_batches
    log: list[dict[str, float]] = []
    epoch = 0
    stopped = False
    control.step(Phase.UPDATING, 0, total)
    while epoch < hp.num_ppo_epochs and not stopped:
        for chosen in mini_batches(hp.seed, cycle, epoch, rows, hp.num_mini_batches):
            optimizer.zero_grad(set_to_none=True)
            means = {"epoch": float(epoch)} | _accumulate(
                policy, experience, chosen, hp=hp, kl_coef=kl_coef, control=control,
                warming_up=cycle <= hp.critic_warmup_cycles, progress=(len(log), total))
            # Moved far enough: this gradient is not applied any more.
            stopped = 0 < hp.target_kl < means["approxkl"]
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            norm = torch.nn.utils.clip_grad_norm_(parameters, hp.max_grad_norm or float("inf"))
            log.append(means | {"grad_norm": norm.item(), "applied": float(not stopped)})
            if not math.isfinite(log[-1]["grad_norm"]):  # nor would Adam's state be, ever again
                raise NotFiniteError(f"The gradient of cycle {cycle} is not a finite number; it was"
                                     " not applied. Lower the learning rate or clip scores.")
            if stopped:
                break
            optimizer.step()
        epoch += 1
    optimizer.zero_grad(set_to_none=True)
    control.step(Phase.UPDATING, total, total)
    return log


def _accumulate(
    policy: Policy, experience: Experience, chosen: Tensor, *, hp: Hyperparameters,
    kl_coef: float, control: Control, warming_up: bool, progress: tuple[int, int],
) -> dict[str, float]:
    """Add the gradient of one mini-batch and return its means over tokens."""
    count = int(experience.completions.mask[chosen.to(policy.device)].sum())
    # Summed on the device: reading a number at every step would stall a GPU.
    sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=policy.device))
    for batch in micro_batches(
        experience.completions, chosen, max_tokens=hp.micro_batch_tokens, device=policy.device,
        together=policy.abilities.reading,
    ):
        control.step(Phase.UPDATING, *progress)
        _backward(policy, batch, experience, hp, count, kl_coef, warming_up, sums)
    return {name: number.item() / count for name, number in sums.items()}


def _backward(
    policy: Policy, batch: MicroBatch, experience: Experience, hp: Hyperparameters, count: int,
    kl_coef: float, warming_up: bool, sums: dict[str, Tensor],
) -> None:
    """Add one micro-batch's gradient.

    Two stages: through the heads, chunk by chunk, down to the trunk's output; then through the
    trunk once. The logits of a micro-batch never exist all at the same time.
    """
    with torch.set_grad_enabled(not warming_up):
        hidden = policy.hidden_states(batch.input_ids)
    # The shared trunk stays as it is during the warm-up; a separate one is part of the critic.
    shared = policy.value_trunk is None
    states = hidden.flatten(0, 1)[batch.source]
    value_states = (
        states if shared else policy.value_states(batch.input_ids).flatten(0, 1)[batch.source])
    leaves, value_leaves = [], []
    for part in head_chunks(len(states), policy.config.vocab_size, policy.device):
        at = (batch.row[part], batch.column[part])
        leaf = states[part].detach().requires_grad_(not warming_up)
        value_leaf = leaf if shared else value_states[part].detach().requires_grad_()
        leaves.append(leaf)
        value_leaves.append(value_leaf)
        with torch.set_grad_enabled(not warming_up):
            logprobs, entropy = token_statistics(
                temper(policy.logits(leaf), hp.temperature), experience.completions.tokens[at],
                entropy_gradient=hp.entropy_coef > 0)
        loss = _token_losses(logprobs, entropy, policy.values(value_leaf), at, experience, hp,
                             kl_coef, warming_up, sums)
        (loss.sum() / count).backward()
    if not warming_up:
        states.backward(_gradients(leaves))
    if not shared:
        value_states.backward(_gradients(value_leaves))


def _gradients(leaves: list[Tensor]) -> Tensor:
    return torch.cat([leaf.grad for leaf in leaves if leaf.grad is not None])


def _token_losses(
    logprobs: Tensor, entropy: Tensor, values: Tensor, at: tuple[Tensor, Tensor],
    experience: Experience, hp: Hyperparameters, kl_coef: float, warming_up: bool,
    sums: dict[str, Tensor],
) -> Tensor:
    """Return ``L_POLICY + c1 L_VF + c2 L_ENT`` of each token, and KL if it enters here, and add
    what is logged to ``sums``."""
    old = experience.completions
    policy_terms, ratio, clipped = policy_loss_terms(
        logprobs, old.logprobs[at], experience.advantages[at],
        cliprange=hp.cliprange, dual_clip=hp.dual_clip)
    value_terms, _ = value_loss_terms(
        values, old.values[at], experience.returns[at], cliprange_value=hp.cliprange_value)
    loss = hp.vf_coef * value_terms
    if not warming_up:
        loss = loss + policy_terms - hp.entropy_coef * entropy
        if hp.kl_in == "loss":
            loss = loss + kl_coef * experience.reward_scale * kl_loss_terms(
                logprobs, experience.ref_logprobs[at], hp.kl_estimator)
    with torch.no_grad():
        for name, numbers in (
            ("policy", policy_terms), ("value", value_terms), ("total", loss),
            ("entropy", entropy), ("clipped", clipped), ("ratio", ratio),
            ("approxkl", 0.5 * (logprobs - old.logprobs[at]).square()),
            ("ratio_excess", (ratio - 1).square()),
        ):
            sums[name] = sums[name] + numbers.sum()
    return loss


def _summarise(log: list[dict[str, float]]) -> dict[str, float]:
    def mean(name: str, entries: list[dict[str, float]]) -> float:
        return sum(entry[name] for entry in entries) / len(entries)

    last = [entry for entry in log if entry["epoch"] == log[-1]["epoch"]]
    return {
        "policy/approxkl_avg": mean("approxkl", log),
        "policy/clipfrac_avg": mean("clipped", log),
        "policy/entropy_avg": mean("entropy", log),
        "policy/grad_norm": mean("grad_norm", log),
        "policy/epochs": len({entry["epoch"] for entry in log if entry["applied"]}),
        "policy/steps": sum(entry["applied"] for entry in log),
        "loss/policy_avg": mean("policy", log),
        "loss/value_avg": mean("value", log),
        "loss/total_avg": mean("total", log),
        "val/ratio": mean("ratio", log),
        "val/ratio_start": math.sqrt(2 * log[0]["approxkl"]),
        # Var(rho) = E[(rho - 1)²] - (E[rho] - 1)²
        "val/ratio_var": max(0.0, mean("ratio_excess", last) - (mean("ratio", last) - 1) ** 2),
    }
