"""How much memory a run of DPO will take, by phase and part, before it starts; and what to
lower."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.dpo.hyperparameters import DPOSettings
from workbench.dpo.pairs import read_table
from workbench.learning.data_lengths import Item, Lengths, ReferencedMemory, of_all_lengths
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.records import Pair


def measure(
    pairs: Sequence[Pair], policy_tokenizer: PolicyTokenizer, *, control_tokens: bool
) -> Lengths:
    """Return how long ``pairs`` are, as the policy reads them.

    Raises:
        PromptError: none can be learned from.
    """
    some = of_all_lengths(pairs, lambda p: len(p.asked.text) + max(map(len, p.answers)))
    table = read_table(some, policy_tokenizer, control_tokens=control_tokens,
                       held_out_share=0.0, seed=0)
    items = [Item(len(prompt), tuple(map(len, sides)))
             for prompt, *sides in zip(table.prompts, table.chosen, table.rejected, strict=True)]
    total = sum(item.prompt + sum(item.completions) for item in items)
    return Lengths(items, total * len(pairs) // len(items))


class PairsMemory(ReferencedMemory[DPOSettings]):
    """A batch is taken to have pairs of all lengths."""

    LEARNED = 2
