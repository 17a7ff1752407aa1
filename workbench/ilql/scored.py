"""Scored completions as ILQL learns from them: the score on the last token."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.learning.data_tables import ReadTexts, read_texts, remark
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.models.sampling import Completions
from workbench.records import ScoredText


@dataclass(frozen=True, slots=True)
class ScoredTable(ReadTexts):
    """With their ``rewards``, the scores standardised over them."""

    rewards: Sequence[float]
    all_equal: bool = False
    """Whether all scores are the same, so that all rewards are 0."""

    def batch(self, places: Sequence[int], device: torch.device) -> tuple[Completions, Tensor]:
        """Return some completions as rows of a batch, and the reward of each token, (b, T)."""
        found = Completions.of_ids(
            [self.prompts[p] for p in places], [self.responses[p] for p in places], device)
        rewards = torch.zeros(found.mask.shape, device=device)
        rewards[torch.arange(len(places)), found.lengths - 1] = torch.tensor(
            [self.rewards[p] for p in places], device=device)
        return found, rewards

    @property
    def remark(self) -> str:
        """Say in a sentence what is learned from and what is not."""
        said = remark("completion", len(self), None, self.left_out)
        if self.all_equal:
            said += (" All their scores are equal, so that no token is worth more than another; "
                     "choose other completions.")
        return said


def read_table(
    texts: Sequence[ScoredText], policy_tokenizer: PolicyTokenizer, *, control_tokens: bool,
    never: Collection[str] = (),
) -> ScoredTable:
    """Return scored completions as the policy reads them.

    Args:
        never: prompts of which no completion is learned from.

    Raises:
        PromptError: none can be learned from.
    """
    read = read_texts(texts, policy_tokenizer, control_tokens=control_tokens, never=never)
    found = torch.tensor([text.score for text in read.texts], dtype=torch.double)
    spread = found.std(unbiased=False)
    # Scores that are all equal say nothing: all rewards are 0.
    rewards = (found - found.mean()) / (spread if spread > 0 else 1.0)
    return ScoredTable(read.texts, read.prompts, read.responses, read.left_out, rewards.tolist(),
                       not spread > 0)
