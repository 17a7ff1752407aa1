"""Completions that are good or bad by their scores, as the policy reads them, each beside one that
does not belong to its prompt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

import torch
from torch import Tensor

from workbench.formatting import both_ends, counted, number
from workbench.kto.hyperparameters import KTOSettings
from workbench.learning.data_tables import ReadTexts, read_texts, remark, split_by_prompt
from workbench.models.policy_tokenizer import PolicyTokenizer, PromptError
from workbench.models.sampling import Completions
from workbench.records import ScoredText

_NAMED, _SHOWN = 3, 40
"""So many completions are named, by so many characters of each."""


@dataclass(frozen=True, slots=True)
class MarkedTable(ReadTexts):
    """``training`` and ``held_out`` are the places of what is learned from and of what is not; a
    prompt is in one of the two alone. ``partners`` has the place of the completion that each prompt
    is read with to estimate z."""

    training: Sequence[int]
    held_out: Sequence[int]
    partners: Sequence[int]
    limit: int | None
    """How many tokens the policy reads."""
    share: float
    """Of the prompts, which was to be held out."""

    def completions(self, places: Sequence[int], device: torch.device) -> Completions:
        """Return two rows of each of some completions, (2n, T): itself, and its partner."""
        return Completions.of_ids(
            [self.prompts[p] for p in places for _ in range(2)],
            [ids for p in places for ids in (self.responses[p], self._partner(p))],
            device, siblings=2)

    def own(self, places: Sequence[int], device: torch.device) -> Completions:
        """Return some completions as rows, (n, T)."""
        return Completions.of_ids(
            [self.prompts[p] for p in places], [self.responses[p] for p in places], device)

    def mismatched(self, places: Sequence[int], device: torch.device) -> Completions:
        """Return the partners of some completions behind the prompts of these, (n, T)."""
        return Completions.of_ids(
            [self.prompts[p] for p in places], [self._partner(p) for p in places], device)

    def _partner(self, place: int) -> list[int]:
        """Return the partner of a completion, cut to what the policy reads behind its prompt."""
        room = None if self.limit is None else self.limit - len(self.prompts[place])
        return self.responses[self.partners[place]][:room]

    def prompt_text(self, place: int) -> str:
        """Return the prompt of a completion as a person reads it."""
        return self.texts[place].prompt.text

    def threshold(self, settings: KTOSettings) -> float:
        """Return the lowest score of a good completion."""
        return fmean(text.score for text in self.texts) if settings.good_at == "mean" else (
            settings.good_threshold)

    def good(self, places: Sequence[int], settings: KTOSettings) -> Tensor:
        """Return which of some completions are good, (n,) bool."""
        least = self.threshold(settings)
        return torch.tensor([self.texts[place].score >= least for place in places])

    def both_ways(self, settings: KTOSettings) -> list[int]:
        """Return where the completions are first, ascending, that are there as good ones and as bad
        ones."""
        places: dict[tuple[tuple[int, ...], tuple[int, ...]], dict[bool, int]] = {}
        for place, good in enumerate(self.good(range(len(self)), settings).tolist()):
            same = tuple(self.prompts[place]), tuple(self.responses[place])
            places.setdefault(same, {}).setdefault(good, place)
        return [min(found.values()) for found in places.values() if len(found) > 1]

    def say_both_ways(self, settings: KTOSettings) -> str:
        """Say in a sentence which completions are marked both good and bad; nothing where none
        is."""
        found = self.both_ways(settings)
        if not found:
            return ""
        named = ", ".join(
            f"“{both_ends(' '.join(self.texts[place].completion.split()), _SHOWN)}”"
            for place in found[:_NAMED])
        more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
        return (f"{counted(len(found), 'text')} {'is' if len(found) == 1 else 'are'} marked both "
                f"good and bad, and teach{'es' if len(found) == 1 else ''} both: {named}{more}.")

    def check(self, settings: KTOSettings) -> None:
        """Make sure that there are both kinds to learn from.

        Raises:
            PromptError: there are not.
        """
        many = int(self.good(self.training, settings).sum())
        if 0 < many < len(self.training):
            return
        kind, other, side = ("good", "bad", "of at least") if many else ("bad", "good", "below")
        scores = {self.texts[place].score for place in self.training}
        # No threshold tells those apart that have one score.
        advice = ("choose others" if len(scores) == 1 else
                  "set another Threshold in Good from (good_at, good_threshold), or choose others")
        all_of_them = ("The only completion to learn from is" if len(self.training) == 1 else
                       f"All {len(self.training):,} completions to learn from are")
        scored = "a score" if len(self.training) == 1 else "scores"
        raise PromptError(
            f"{all_of_them} {kind}, with {scored} {side} "
            f"{number(self.threshold(settings))}, and KTO needs {other} ones as well: {advice}.")

    @property
    def remark(self) -> str:
        """Say in a sentence what is learned from and what is not."""
        return remark("completion", len(self.training), len(self.held_out), self.left_out,
                      self.share)


def read_table(
    texts: Sequence[ScoredText], policy_tokenizer: PolicyTokenizer, *, control_tokens: bool,
    held_out_share: float, seed: int, never: Collection[str] = (),
) -> MarkedTable:
    """Return scored completions as the policy reads them.

    Args:
        never: prompts of which no completion is learned from.

    Raises:
        PromptError: none can be learned from, or the tokenizer cannot read one.
    """
    read = read_texts(texts, policy_tokenizer, control_tokens=control_tokens)
    training, held_out = split_by_prompt(
        [text.prompt for text in read.texts], held_out_share, seed, never)
    if not training:
        raise PromptError(
            "All completions are of held-out prompts, so there are none to learn from; lower "
            "Held-out prompts (held_out_prompts), or choose other completions.")
    return MarkedTable(read.texts, read.prompts, read.responses, read.left_out, training, held_out,
                       _partners(read), policy_tokenizer.context_length, held_out_share)


def _partners(read: ReadTexts) -> list[int]:
    """Return for each place that whose completion its prompt is read with: of another prompt, as
    long as none has more than half of them, and each once.

    The paper takes that of the next row of a batch, which may be one of the same prompt; TRL fixes
    it, with the batches, when it reads the data, so that the start policy has to read it once. Here
    it is fixed for any batches, by the texts alone: neither their order in the data nor which are
    held out says anything. (No completion is learned from as a partner.)
    """
    def prompt(place: int) -> list[int]:
        return read.prompts[place]

    order = sorted(range(len(read)), key=lambda place: (prompt(place), read.responses[place]))
    largest = max((len(list(same)) for _, same in groupby(order, prompt)), default=0)
    partner = {place: order[(i + largest) % len(order)] for i, place in enumerate(order)}
    return [partner[place] for place in range(len(read))]
