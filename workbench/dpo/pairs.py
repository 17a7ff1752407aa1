"""Pairs as the policy reads them: token ids, and which pairs are held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from workbench.formatting import counted
from workbench.learning.data_tables import listed, remark, split_by_prompt
from workbench.learning.pair_texts import answer_of, foreign_token
from workbench.models.policy_tokenizer import PolicyTokenizer, PromptError
from workbench.models.sampling import Completions
from workbench.records import Pair


@dataclass(frozen=True, slots=True)
class PairTable:
    """The pairs that can be learned from: ids of prompt, chosen and rejected completion of each.

    ``training`` and ``held_out`` are their places; a prompt is in one of the two alone.
    ``left_out`` counts the others by the reason.
    """

    prompts: Sequence[Sequence[int]]
    chosen: Sequence[Sequence[int]]
    rejected: Sequence[Sequence[int]]
    texts: Sequence[tuple[str, str, str]]
    training: Sequence[int]
    held_out: Sequence[int]
    left_out: Counter[str]
    share: float
    """Of the prompts, which was to be held out."""

    def __len__(self) -> int:
        return len(self.prompts)

    def completions(self, places: Sequence[int], device: torch.device) -> Completions:
        """Return the completions of some pairs as rows of a batch, (2n, T): of each the chosen one,
        then the rejected one."""
        rows = [ids for p in places for ids in (self.chosen[p], self.rejected[p])]
        prompts = [self.prompts[p] for p in places for _ in range(2)]
        return Completions.of_ids(prompts, rows, device, siblings=2)

    @property
    def remark(self) -> str:
        """Say in a sentence what is learned from and what is not."""
        return remark("pair", len(self.training), len(self.held_out), self.left_out,
                      self.share)

    def prompt_text(self, place: int) -> str:
        """Return the prompt of a pair as a person reads it."""
        return self.texts[place][0]


def read_table(
    pairs: Sequence[Pair], policy_tokenizer: PolicyTokenizer, *, control_tokens: bool,
    held_out_share: float, seed: int, never: Collection[str] = (),
) -> PairTable:
    """Return pairs as the policy reads them.

    Args:
        never: prompts of which no pair is learned from.

    Raises:
        PromptError: none can be learned from, or the tokenizer cannot read one.
    """
    if not pairs:
        raise PromptError("There are no pairs to learn from; choose a file of pairs or a run.")
    left_out: Counter[str] = Counter()
    own = {str(token) for token in getattr(policy_tokenizer.tokenizer, "all_special_tokens", ())}
    readable = []
    for pair in pairs:
        if foreign := foreign_token(pair, own):
            left_out[f"with control tokens of another tokenizer ({foreign})"] += 1
        else:
            readable.append(pair)
    chat = policy_tokenizer.use_chat_template
    asked = [pair.asked for pair in readable]
    prompt_ids = policy_tokenizer.read(asked, control_tokens=control_tokens)
    sides = [policy_tokenizer.read_answers(asked, prompt_ids, [
        (answer_of(pair, side, chat), (pair.chosen_ended, pair.rejected_ended)[side])
        for pair in readable]) for side in (0, 1)]
    limit = policy_tokenizer.context_length
    kept = []
    for place, (ids, chosen, rejected) in enumerate(zip(prompt_ids, *sides, strict=True)):
        if chosen == rejected:
            left_out["whose completions are the same tokens"] += 1
        elif not chosen or not rejected:
            left_out["with a completion that has no token"] += 1
        elif limit is not None and len(ids) + max(len(chosen), len(rejected)) > limit:
            left_out[f"longer than the policy's {limit:,} tokens"] += 1
        else:
            kept.append(place)
    if not kept:
        raise PromptError(f"None of the {counted(len(pairs), 'pair')} can be learned from: "
                          f"{listed(left_out)}; choose others.")
    training, held_out = split_by_prompt(
        [asked[place] for place in kept], held_out_share, seed, never)
    if not training:
        raise PromptError("All pairs are of held-out prompts, so there are none to learn from; "
                          "lower Held-out prompts (held_out_prompts), or choose other pairs.")
    return PairTable(
        [prompt_ids[p] for p in kept], [sides[0][p] for p in kept], [sides[1][p] for p in kept],
        [(asked[p].text, *readable[p].answers) for p in kept], training, held_out, left_out,
        held_out_share)
