"""Completions token by token, as policy and values find them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from workbench.ilql.heads import QHeads
from workbench.ilql.hyperparameters import ILQLSettings
from workbench.ilql.objective import q_targets, returns
from workbench.learning.traces import ALTERNATIVES
from workbench.models import ranks
from workbench.models.control import Control
from workbench.models.forward import (
    MicroBatch,
    divide_by_temperature,
    head_chunks,
    read_chances,
)
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.sampling import Completions

BEFORE, STEERED, BETTER = "before", "steered", "q_advantage"
"""What is known of other tokens: their log-probability by the policy, that with values, and their
Q - V."""


@torch.no_grad()
def read_tokens(
    policy: Policy, heads: QHeads, completions: Completions, rewards: Tensor,
    settings: ILQLSettings, control: Control,
) -> tuple[Completions, dict[str, Tensor], dict[str, Tensor]]:
    """Return completions with the tokens noted that would be written likeliest in place of each,
    and of it last; what is known of each token, (b, T); and of those noted, (b, T, k).

    Args:
        rewards: (b, T) of each token.

    Raises:
        Interrupted: ``control`` asked to end.
    """
    mask, device = completions.mask, policy.device
    k = min(ALTERNATIVES, policy.config.vocab_size) + 1
    found = {name: torch.zeros(mask.shape, device=device)
             for name in ("q", "value", "steered_logprob")}
    noted = torch.zeros(*mask.shape, k, dtype=torch.long, device=device)
    others = {name: torch.zeros(noted.shape, device=device) for name in (BEFORE, STEERED, BETTER)}

    def look(states: Tensor, batch: MicroBatch) -> None:
        for part in head_chunks(len(states), policy.config.vocab_size, device):
            at = batch.row[part], batch.column[part]
            taken = completions.tokens[at].unsqueeze(-1)
            logits = policy.logits(states[part])
            steered = heads.steered(
                logits, states[part], beta=settings.beta, top_k=settings.steer_top_k)
            likeliest = torch.cat([steered.topk(k - 1, dim=-1).indices, taken], dim=-1)
            q, values = heads.target(states[part]), heads.values(states[part])
            found["q"][at] = q.gather(-1, taken).squeeze(-1)
            found["value"][at] = values
            with_values = divide_by_temperature(
                steered.clone(), settings.temperature).log_softmax(-1).gather(-1, likeliest)
            found["steered_logprob"][at] = with_values[:, -1]
            noted[at] = likeliest
            others[STEERED][at] = with_values
            others[BEFORE][at] = divide_by_temperature(
                logits, settings.temperature).log_softmax(-1).gather(-1, likeliest)
            others[BETTER][at] = q.gather(-1, likeliest) - values.unsqueeze(-1)
            del logits, steered, q  # before the next are made

    logprobs, _ = read_chances(
        policy, completions, temperature=settings.temperature,
        max_tokens=settings.micro_batch_tokens, control=control, phase=Phase.UPDATING, show=look)
    ranks.sum_(*found.values(), noted, *others.values())
    after = torch.cat([found["value"][:, 1:], torch.zeros_like(found["value"][:, :1])], dim=1)
    target = q_targets(after, rewards, gamma=settings.gamma)
    return replace(completions, likeliest=noted), {
        "logprob": logprobs, **found, "target": target, "reward": rewards,
        "advantage": (found["q"] - found["value"]).masked_fill(~mask, 0.0),
        "return": returns(rewards, mask, gamma=settings.gamma)}, others
