"""What a reward model reads of a prompt and its completion: the token ids of its own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbench.records import Exchange, TextPrompt, conversation

Reads = Literal["auto", "text", "segments", "chat"]
"""``text``: prompt and completion as one text; ``segments``: as the two of a pair, which is how
encoders that compare texts are trained; ``chat``: as the turns of the tokenizer's chat template;
``auto``: as a chat where there is a template, else as one text."""


class RewardError(Exception):
    """A reward failed on a text. The message is one plain sentence; ``details`` has what a person
    needs to mend it."""

    def __init__(self, sentence: str, details: str) -> None:
        super().__init__(sentence)
        self.details = details

    def __reduce__(self) -> tuple[type[RewardError], tuple[str, str]]:
        return type(self), (str(self), self.details)


@dataclass(frozen=True, slots=True)
class Row:
    """The token ids that a reward model reads, and which segment each belongs to where that
    matters; ``cut`` tokens of the text's beginning were left out."""

    ids: list[int]
    types: list[int] | None = None
    cut: int = 0

    def stretched(self, length: int) -> Row:
        """Return a row of another length, by repeating or leaving out tokens of its middle."""
        half = len(self.ids) // 2
        more = max(0, length - len(self.ids))
        ids = [*self.ids[:half], *[self.ids[half]] * more, *self.ids[half:]]
        less = len(ids) - length
        return Row([*ids[: half - less // 2], *ids[half - less // 2 + less :]])


class Reader:
    """Turns exchanges into what a classifier reads. Begin and end tokens stand once each, and of a
    text that is too long the end is kept."""

    def __init__(
        self, tokenizer: Any, *, reads: Reads = "auto", end_token: bool = False,
        rows: int | None = None, limit: int | None = None,
    ) -> None:
        """Read with ``tokenizer``.

        Args:
            end_token: end every text with the tokenizer's end-of-sequence token, as TRL's
                RewardTrainer does.
            rows: how many token ids the classifier's embedding has; None: any.
            limit: how many tokens it reads at most; None: any number.
        """
        self.tokenizer = tokenizer
        chat = bool(getattr(tokenizer, "chat_template", None))
        self.reads = reads if reads != "auto" else "chat" if chat else "text"
        self.rows, self.limit = rows, limit
        self.end_id: int | None = tokenizer.eos_token_id if end_token else None
        """The token that every text ends with, where it does not already."""
        self._typed = "token_type_ids" in getattr(tokenizer, "model_input_names", ())

    def read(self, exchanges: Sequence[Exchange]) -> list[Row]:
        """Return what is read of every exchange.

        Raises:
            RewardError: a text cannot be read.
        """
        if not exchanges:
            return []
        try:
            found = self._encode(exchanges)
        except RewardError:
            raise
        except Exception:
            # One by one, to find which it was.
            found = []
            for number, exchange in enumerate(exchanges, 1):
                try:
                    found += self._encode([exchange])
                except Exception as error:
                    raise _unreadable(str(error), number, exchange) from error
        for i, row in enumerate(found):
            if self._beyond(row):
                # What a text spells like a token that has no embedding is text.
                [found[i]] = self._encode([exchanges[i]], split_special_tokens=True)
                if self._beyond(found[i]):
                    raise _unreadable(
                        "its tokenizer has more tokens than its weights", i + 1, exchanges[i])
        return found

    def _beyond(self, row: Row) -> bool:
        return self.rows is not None and max(row.ids) >= self.rows

    def _encode(self, exchanges: Sequence[Exchange], **more: Any) -> list[Row]:
        pairs = None
        if self.reads == "segments":
            texts, pairs = [e.prompt for e in exchanges], [e.answer for e in exchanges]
        elif self.reads == "chat":
            texts = [self.tokenizer.apply_chat_template(
                [*conversation(TextPrompt(e.prompt, e.messages)),
                 {"role": "assistant", "content": e.answer}], tokenize=False) for e in exchanges]
        else:
            texts = [e.joined for e in exchanges]
        encoded = self.tokenizer(
            texts, pairs, return_special_tokens_mask=True, return_token_type_ids=True,
            return_attention_mask=False, truncation=False, padding=False, verbose=False, **more)
        return [self._row(ids, special, types) for ids, special, types in zip(
            encoded["input_ids"], encoded["special_tokens_mask"], encoded["token_type_ids"],
            strict=True)]

    def _row(self, ids: list[int], special: list[int], types: list[int]) -> Row:
        """Frame a text by its begin and end tokens once, and cut it where it is too long.

        Args:
            special: 1 where the tokenizer added a token to the text.
        """
        bare = [i for i, added in enumerate(special) if not added]
        first, last = (bare[0], bare[-1] + 1) if bare else (len(ids), len(ids))
        begin, text, end = (list(zip(ids, types, special, strict=True))[part] for part in (
            slice(first), slice(first, last), slice(last, None)))
        if begin and _ids(text[: len(begin)]) == _ids(begin):
            text = text[len(begin):]  # a template, or the person, wrote them already
        written = _ids(text)
        while written and not self.tokenizer.decode([written[-1]]).strip():
            written.pop()
        if end and written[-len(end):] == _ids(end):
            end = []
        if self.end_id is not None and self.end_id not in (*_ids(end), *written[-1:]):
            end = [(self.end_id, types[last - 1] if last else 0, 1), *end]
        over = len(begin) + len(text) + len(end) - (self.limit or len(ids) + 1)
        cut = [i for i, (_, _, added) in enumerate(text) if not added][: max(0, over)]
        text = [token for i, token in enumerate(text) if i not in set(cut)]
        whole = [*begin, *text, *end] or [(self._nothing(), 0, 0)]
        kinds = [kind for _, kind, _ in whole]
        return Row(_ids(whole), kinds if self._typed and any(kinds) else None, len(cut))

    def _nothing(self) -> int:
        """Stand for an empty text: a classifier cannot read nothing at all."""
        for token in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            if token is not None and (self.rows is None or token < self.rows):
                return token
        return 0


def _ids(tokens: Sequence[tuple[int, int, int]]) -> list[int]:
    return [token for token, _, _ in tokens]


def _unreadable(reason: str, number: int, exchange: Exchange) -> RewardError:
    said = " ".join(reason.split()).rstrip(".")[:200]
    return RewardError(
        f"The reward model cannot read completion {number} ({said}); change or switch off its "
        "prompt, or choose another reward.",
        f"Prompt:\n{exchange.prompt}\n\nCompletion:\n{exchange.completion}\n")
