"""Pairs as the reward model reads them: rows of token ids, and which pairs are held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from workbench.feedback.reward_text import Reader, RewardError, Row
from workbench.formatting import counted
from workbench.learning.data_tables import listed, remark, split_by_prompt
from workbench.learning.pair_texts import answer_of, foreign_token
from workbench.models.policy_tokenizer import PromptError
from workbench.records import Exchange, Pair


@dataclass(frozen=True, slots=True)
class RowTable:
    """The n pairs that can be learned from: 2n rows, of each pair the chosen completion with its
    prompt, then the rejected one, as ``exchanges`` and as token ids.

    ``margins`` are by how much the chosen one was found better, 0 where nobody said. ``training``
    and ``held_out`` are places of pairs; a prompt is in one of the two alone. ``left_out`` counts
    the other pairs by the reason; of ``cut`` rows the beginning was too long.
    """

    rows: Sequence[Row]
    exchanges: Sequence[Exchange]
    margins: Sequence[float]
    by: Sequence[str]
    training: Sequence[int]
    held_out: Sequence[int]
    left_out: Counter[str]
    share: float
    """Of the prompts, which was to be held out."""
    cut: int = 0

    def __len__(self) -> int:
        return len(self.margins)

    def rows_of(self, places: Sequence[int]) -> list[Row]:
        """Return the rows of some pairs: of each the chosen one, then the rejected one."""
        return [row for p in places for row in self.rows[2 * p : 2 * p + 2]]

    @property
    def remark(self) -> str:
        """Say in a sentence what is learned from and what is not."""
        said = remark("pair", len(self.training), len(self.held_out), self.left_out,
                      self.share, "Held-out pairs")
        if not self.cut:
            return said
        are = "is" if self.cut == 1 else "are"
        return (f"{said} The beginning of {counted(self.cut, 'text')} is not read, which {are} too "
                "long for the model.")


def read_table(
    pairs: Sequence[Pair], reader: Reader, *, chat: bool, held_out_share: float, seed: int,
    never: Collection[str] = (),
) -> RowTable:
    """Return pairs as a classifier reads them that will score what a policy writes.

    Args:
        chat: whether the policy answers in a chat, so that its completion is a text of its own.
        never: prompts of which no pair is learned from.

    Raises:
        PromptError: none can be learned from, or the tokenizer cannot read one.
    """
    if not pairs:
        raise PromptError("There are no pairs to learn from; choose a file of pairs or a run.")
    left_out: Counter[str] = Counter()
    own = {str(token) for token in getattr(reader.tokenizer, "all_special_tokens", ())}
    readable = []
    for pair in pairs:
        if foreign := foreign_token(pair, own):
            left_out[f"with control tokens of another tokenizer ({foreign})"] += 1
        else:
            readable.append(pair)
    exchanges = [exchange for pair in readable for exchange in exchanges_of(pair, chat=chat)]
    try:
        rows = reader.read(exchanges)
    except RewardError as error:
        raise PromptError(str(error).replace("completion", "text", 1)) from error
    kept = []
    for place in range(len(readable)):
        if rows[2 * place].ids == rows[2 * place + 1].ids:
            left_out["whose texts are the same tokens"] += 1
        else:
            kept.append(place)
    if not kept:
        raise PromptError(f"None of the {counted(len(pairs), 'pair')} can be learned from: "
                          f"{listed(left_out)}; choose others.")
    training, held_out = split_by_prompt(
        [readable[place].asked for place in kept], held_out_share, seed, never)
    if not training:
        raise PromptError("All pairs are of held-out prompts, so there are none to learn from; "
                          "lower Held-out prompts (held_out_prompts), or choose other pairs.")
    both = [2 * place + side for place in kept for side in (0, 1)]
    return RowTable(
        [rows[i] for i in both], [exchanges[i] for i in both],
        [readable[place].margin or 0.0 for place in kept], [readable[place].by for place in kept],
        training, held_out, left_out, held_out_share, sum(rows[i].cut > 0 for i in both))


def exchanges_of(pair: Pair, *, chat: bool) -> tuple[Exchange, Exchange]:
    """Return the chosen and the rejected completion of a pair with its prompt, as those are that a
    policy writes (:meth:`workbench.models.policy_tokenizer.PolicyTokenizer.exchange`)."""
    asked = pair.asked

    def side(number: int) -> Exchange:
        answer = answer_of(pair, number, chat)
        return Exchange(
            asked.text, answer, answer if chat else asked.text + answer, asked.messages)

    return side(0), side(1)


def lead(reader: Reader, exchange: Exchange, row: Row) -> int:
    """Return how many tokens of a row stand before its completion."""
    alone = Exchange(exchange.prompt, "", exchange.prompt, exchange.messages)
    if exchange.joined == exchange.completion and reader.reads == "text":
        return 0
    [before] = reader.read([alone])
    same = 0
    for one, other in zip(before.ids, row.ids, strict=False):
        if one != other:
            break
        same += 1
    return min(max(0, same - row.cut), len(row.ids) - 1)
