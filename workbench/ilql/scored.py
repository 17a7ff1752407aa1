"""Scored completions as the policy reads them: token ids, and the score on the last of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.formatting import counted
from workbench.models.policy_tokenizer import PolicyTokenizer, PromptError
from workbench.models.sampling import Completions
from workbench.records import ScoredText


@dataclass(frozen=True, slots=True)
class ScoredTable:
    """The completions that can be learned from, ``texts``: ids of prompt and completion of each,
    and its ``rewards``, the scores standardised over them. ``left_out`` counts the others by the
    reason."""

    texts: Sequence[ScoredText]
    prompts: Sequence[Sequence[int]]
    responses: Sequence[Sequence[int]]
    rewards: Sequence[float]
    left_out: Counter[str]
    all_equal: bool = False
    """Whether all scores are the same, so that all rewards are 0."""

    def __len__(self) -> int:
        return len(self.prompts)

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
        said = f"{counted(len(self), 'completion')} to learn from"
        said = f"{said}; left out: {_listed(self.left_out)}." if self.left_out else f"{said}."
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
    if not texts:
        raise PromptError("There are no scored completions to learn from; choose a run that has "
                          "some, or a file with scores.")
    left_out: Counter[str] = Counter()
    asked = [text.prompt for text in texts]
    chat = policy_tokenizer.use_chat_template
    encoded = policy_tokenizer.read(asked, control_tokens=control_tokens)
    written = policy_tokenizer.read_answers(asked, encoded, [
        (text.completion.removeprefix(" ") if chat else text.completion, text.ended)
        for text in texts])
    limit = policy_tokenizer.context_length
    kept, prompts, responses = [], [], []
    for text, ids, response in zip(texts, encoded, written, strict=True):
        if text.prompt.text in never:
            left_out["of held-out prompts"] += 1
        elif not response:
            left_out["empty"] += 1
        elif limit is not None and len(ids) + len(response) > limit:
            left_out[f"longer than the policy's {limit:,} tokens"] += 1
        else:
            prompts.append(ids)
            responses.append(response)
            kept.append(text)
    if not kept:
        raise PromptError("None of the scored completions can be learned from: "
                          f"{_listed(left_out)}.")
    found = torch.tensor([text.score for text in kept], dtype=torch.double)
    spread = found.std(unbiased=False)
    # Scores that are all equal say nothing: all rewards are 0.
    rewards = (found - found.mean()) / (spread if spread > 0 else 1.0)
    return ScoredTable(
        kept, prompts, responses, rewards.tolist(), left_out, not spread > 0)


def _listed(reasons: Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
