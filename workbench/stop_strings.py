"""Texts that end a completion, for base models that never write an end-of-sequence token.

Imports no torch: settings are checked with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Stopped = Callable[[Sequence[int], Sequence[int]], bool]
"""``stopped(prompt, response)``: whether the ids of a response, which had not ended before its
last, have come to a stop string."""
MOST = 16
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "|": "|"}
_PART = re.compile(r"(?:\\.|[^|\\])*", re.DOTALL)


def parse_stop_strings(text: str) -> tuple[str, ...]:
    r"""Return the strings that a setting names: several between ``|``, with ``\n``, ``\t``,
    ``\|`` and ``\\`` for what cannot be typed.

    Raises:
        ValueError: with a sentence.
    """
    found: list[str] = []
    rest = text
    while rest:
        part = _PART.match(rest)
        end = part.end() if part else 0
        if end < len(rest) and rest[end] == "\\":
            raise ValueError(r"A backslash stands alone at the end; write \\ for one.")
        found.append(_unescaped(rest[:end]))
        rest = rest[end + 1 :]
    found = [each for each in dict.fromkeys(found) if each]
    if len(found) > MOST:
        raise ValueError(f"There are {len(found)} stop strings; {MOST} is the most.")
    return tuple(found)


def cut_at_stop(text: str, stop_strings: Sequence[str]) -> str:
    """Return ``text`` up to the first of the stop strings in it."""
    places = [place for stop in stop_strings if (place := text.find(stop)) >= 0]
    return text[: min(places)] if places else text


def _unescaped(part: str) -> str:
    def meant(match: re.Match[str]) -> str:
        letter = match[1]
        if letter not in _ESCAPED:
            raise ValueError(rf"\{letter} is not known; there are \n, \t, \r, \| and \\.")
        return _ESCAPED[letter]

    return re.sub(r"\\(.)", meant, part, flags=re.DOTALL)
