"""A reward that is a weighted sum of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.feedback.reward_model import Reward, RewardModel
from workbench.models.control import Control
from workbench.models.phases import Phase
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

        A part of weight 0 is only watched: not even a NaN of it counts.
        """
        total = torch.zeros_like(next(iter(scores.values())), dtype=torch.float64)
        for part in self.parts:
            if part.weight:
                total += part.weight * scores[part.name].double()
        return total.float()


def score_all(
    reward: Reward, exchanges: Sequence[Exchange], *, control: Control,
    phase: Phase = Phase.SCORING,
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Score completions and say what each part of a sum gave.

    Returns:
        ``(scores, parts, cut)``: (b,) float32, and the same by part, no parts for a single reward;
        and how many tokens of each text's beginning were too many for the model that reads the
        least, (b,) int64.
    """
    if not isinstance(reward, WeightedSum):
        scores, cut = _judge(reward, exchanges, control, phase)
        return scores, {}, cut
    found = {p.name: _judge(p.reward, exchanges, control, phase) for p in reward.parts}
    parts = {name: scores for name, (scores, _) in found.items()}
    cuts = torch.stack([cut for _, cut in found.values()])
    return reward.combine(parts), parts, cuts.amax(dim=0)


def _judge(
    reward: Reward, exchanges: Sequence[Exchange], control: Control, phase: Phase
) -> tuple[Tensor, Tensor]:
    if isinstance(reward, RewardModel):
        return reward.judge(exchanges, control=control, phase=phase)
    scores = reward.score(exchanges, control=control, phase=phase)
    return scores, torch.zeros(len(exchanges), dtype=torch.long)
