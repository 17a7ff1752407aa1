"""What changed between two texts, word by word. No Qt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

Span = tuple[int, int]
"""Start and length, in characters."""

# Scripts without spaces are compared character by character, punctuation mark by mark.
_CHARACTERS = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{_CHARACTERS}]|[^\W{_CHARACTERS}]+|[^\w\s]")


# Matching costs the square of the words; beyond this many the frequent ones are left aside.
_MANY = 1000
_TOO_MUCH = 0.6


@dataclass(frozen=True, slots=True)
class Difference:
    """The spans deleted from the text before and inserted in the text after."""

    deleted: tuple[Span, ...]
    inserted: tuple[Span, ...]


def marked_difference(before: str, after: str) -> Difference:
    """Return what to mark: nothing where most has changed, since then marks tell nothing."""
    found = word_difference(before, after)
    changed = sum(length for _, length in (*found.deleted, *found.inserted))
    return found if changed <= _TOO_MUCH * (len(before) + len(after)) else Difference((), ())


@lru_cache(maxsize=256)
def word_difference(before: str, after: str) -> Difference:
    """Compare two texts by words; a lone common word between changes counts as changed.

    >>> word_difference("a good film", "a bad film")
    Difference(deleted=((2, 4),), inserted=((2, 3),))
    """
    old, new = ([m.span() for m in _WORD.finditer(text)] for text in (before, after))
    old_words = [before[a:b] for a, b in old]
    new_words = [after[a:b] for a, b in new]
    # What both begin and end with is found in one pass; completions from the same random numbers
    # usually share a long beginning, and matching costs the square of the rest.
    head = _common(old_words, new_words)
    tail = _common(old_words[head:][::-1], new_words[head:][::-1])
    old_words = old_words[head : len(old) - tail]
    new_words = new_words[head : len(new) - tail]
    blocks = SequenceMatcher(
        None, old_words, new_words, autojunk=len(new_words) > _MANY).get_matching_blocks()
    equal = [(0, 0, head)]
    equal += [(a + head, b + head, n) for a, b, n in blocks if n > 1]
    equal.append((len(old) - tail, len(new) - tail, tail))
    deleted, inserted = [], []
    for (a, b, n), (next_a, next_b, _) in pairwise(equal):
        deleted += _span(old, a + n, next_a)
        inserted += _span(new, b + n, next_b)
    return Difference(tuple(deleted), tuple(inserted))


def split(text: str, spans: tuple[Span, ...]) -> list[tuple[str, bool]]:
    """Cut a text into pieces, each with whether it lies in one of ``spans``.

    >>> split("a good film", ((2, 4),))
    [('a ', False), ('good', True), (' film', False)]
    """
    pieces, position = [], 0
    for start, length in spans:
        pieces += [(text[position:start], False), (text[start : start + length], True)]
        position = start + length
    return [(piece, changed) for piece, changed in [*pieces, (text[position:], False)] if piece]


def _common(a: list[str], b: list[str]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y),
                min(len(a), len(b)))


def _span(words: list[Span], first: int, end: int) -> list[Span]:
    return [(words[first][0], words[end - 1][1] - words[first][0])] if first < end else []
