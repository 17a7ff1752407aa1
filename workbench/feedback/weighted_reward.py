"""A reward that is a weighted sum of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workbench.feedback.reward_model import Reward, RewardModel
from workbench.feedback.reward_text import RewardError
from workbench.models import ranks
from workbench.models.control import Control
from workbench.models.phases import Phase
from workbench.models.sharding import gathered
from workbench.records import Exchange


@dataclass(frozen=True, slots=True)
class WeightedPart:
    """One part of a sum, under the name that its metric bears."""

    name: str
    weight: float
    reward: Reward


class WeightedSum:
    """``r(x, y) = Σ wᵢ·rᵢ(x, y)``."""

    def __init__(self, parts: Sequence[WeightedPart]) -> None:
        """Take the parts, whose names must differ."""
        self.parts = tuple(parts)

    def score(
        self, exchanges: Sequence[Exchange], *, control: Control, phase: Phase = Phase.SCORING
    ) -> Tensor:
        """Return one float32 score a completion, (b,), on the CPU."""
        return score_all(self, exchanges, control=control, phase=phase)[0]

    def combine(self, scores: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum, (b,), of the parts' scores, each (b,).

        A part of weight 0 is only watched: not even a NaN of it counts. Nor does that of a part
        which does not apply to a completion; NaN where none does.
        """
        total = torch.zeros_like(next(iter(scores.values())), dtype=torch.float64)
        applies = torch.zeros_like(total, dtype=torch.bool)
        for part in self.parts:
            if part.weight:
                found = scores[part.name].double()
                there = ~found.isnan() if _abstains(part.reward) else torch.ones_like(applies)
                total += part.weight * found.where(there, 0.0)
                applies |= there
        return total.where(applies, torch.nan).float()


def score_all(
    reward: Reward, exchanges: Sequence[Exchange], *, control: Control,
    phase: Phase = Phase.SCORING,
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Score completions and say what each part of a sum gave.

    Returns:
        ``(scores, parts, cut)``: (b,) float32, and the same by part, no parts for a single reward
        and NaN where one does not apply; and how many tokens of each text's beginning were too
        many for the model that reads the least, (b,) int64.

    Raises:
        RewardError: a reward failed, or none applies to a completion.
    """
    if not isinstance(reward, WeightedSum):
        scores, cut = _judge(reward, exchanges, control, phase)
        if _abstains(reward):
            _check_applies(scores, exchanges, "the reward does not apply")
        return scores, {}, cut
    found = {p.name: _judge(p.reward, exchanges, control, phase) for p in reward.parts}
    parts = {name: scores for name, (scores, _) in found.items()}
    cuts = torch.stack([cut for _, cut in found.values()])
    scores = reward.combine(parts)
    if all(_abstains(part.reward) for part in reward.parts if part.weight):
        _check_applies(scores, exchanges, "no part of the reward applies")
    return scores, parts, cuts.amax(dim=0)


def models_of(reward: Any) -> list[nn.Module]:
    """Return the models of a reward, which may be a sum of several; a program has none."""
    parts = [part.reward for part in getattr(reward, "parts", ())] or [reward]
    return [model for part in parts
            if isinstance(model := getattr(part, "model", None), nn.Module)]


def _abstains(reward: Reward) -> bool:
    return getattr(reward, "abstains", False)


def _check_applies(scores: Tensor, exchanges: Sequence[Exchange], problem: str) -> None:
    for row in scores.isnan().nonzero().flatten().tolist():
        exchange = exchanges[row]
        raise RewardError(
            f"To completion {row + 1:,} of {len(exchanges):,} {problem} (it gave None, or null); "
            "add a part that scores all of them, or give a number, and resume the run.",
            f"Prompt:\n{exchange.prompt}\n\nCompletion:\n{exchange.completion}\n")


def _judge(
    reward: Reward, exchanges: Sequence[Exchange], control: Control, phase: Phase
) -> tuple[Tensor, Tensor]:
    """Return scores and cuts, (b,) each. Ranks that are together share the rows of a reward model;
    a program or a server is asked by the first alone."""
    scores, cut = torch.zeros(len(exchanges)), torch.zeros(len(exchanges), dtype=torch.long)
    if isinstance(reward, RewardModel):
        own = ranks.share([len(e.prompt) + len(e.completion) for e in exchanges])
        mine = [exchanges[row] for row in own]
        with gathered(reward.model):
            judged = ranks.guarded(
                lambda: reward.judge(mine, control=control, phase=phase) if mine else None)
        if judged is not None:
            scores[own], cut[own] = judged
        ranks.sum_on_host(scores, cut)
        return scores, cut
    found = ranks.guarded(lambda: reward.score(exchanges, control=control, phase=phase)
                          if ranks.number() == 0 else scores)
    return ranks.broadcast(found), cut
