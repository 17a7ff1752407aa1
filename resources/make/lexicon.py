"""Reads the word lists in `lexicon/`: one plain file for each kind of thing a review is about."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "lexicon"


class Graded(NamedTuple):
    """A stretch of text and what it says, from -1 (very bad) to 1 (very good)."""

    text: str
    value: float


@dataclass(frozen=True)
class Aspect:
    """One side of a thing ("the room"), with the adjectives that go with it."""

    noun: str
    many: bool
    words: tuple[Graded, ...]


@dataclass
class Domain:
    """Everything the grammar needs to write about one kind of thing."""

    name: str
    many: bool = False
    past: bool = True
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    overall: tuple[Graded, ...] = ()
    aspects: list[Aspect] = field(default_factory=list)
    events: list[Graded] = field(default_factory=list)


def _words(text: str) -> tuple[Graded, ...]:
    """`"cosy 5, noisy -4"` as graded words."""
    found = []
    for part in text.split(","):
        word, level = part.strip().rsplit(" ", 1)
        found.append(Graded(word, int(level) / 10))
    return tuple(found)


def _read(path: Path) -> Domain:
    domain = Domain(path.stem)
    for line in path.read_text(encoding="utf-8").splitlines():
        event = re.fullmatch(r"([+-]) (\d) (.+)", line)
        if event:
            sign = 1 if event[1] == "+" else -1
            domain.events.append(Graded(event[3], sign * int(event[2]) / 10))
            continue
        key, rest = line.split(": ", 1)
        if key.startswith("- "):
            noun = key[2:]
            domain.aspects.append(Aspect(noun.rstrip("*"), noun.endswith("*"), _words(rest)))
        elif key == "overall":
            domain.overall = _words(rest)
        elif key == "number":
            domain.many = rest == "many"
        elif key == "tense":
            domain.past = rest == "past"
        else:
            domain.lists[key] = tuple(part.strip() for part in rest.split(";"))
    # "we stayed at the hotel" must be able to name any of the domain's things.
    things = sorted(domain.lists["thing"], key=len, reverse=True)
    pattern = "|".join(rf"\b{re.escape(thing)}\b" for thing in things)
    domain.lists["tried"] = tuple(re.sub(pattern, "{t}", s) for s in domain.lists["tried"])
    return domain


def load() -> list[Domain]:
    """All domains, in the order of their names."""
    return [_read(path) for path in sorted(FOLDER.glob("*.txt"))]
