"""Pairs that people or judges mark, as the store gives them back, and what their marks give to
learn from."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Literal

from workbench.formatting import counted
from workbench.records import Pair, ScoredText, TextPrompt
from workbench.store.records import Message

Choice = Literal["first", "second", "tie", "both_bad", "skip"]
CHOICES: tuple[Choice, ...] = ("first", "second", "tie", "both_bad", "skip")
PREFERENCES: frozenset[Choice] = frozenset({"first", "second"})
NOT_SAID, SLIGHTLY, CLEARLY = 0, 1, 2
"""How strong a preference is. Of a tie, above 0: that both are good."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a completion came from: a run, by its identity, with cycle, kind and position; a line
    of a file; or a try, by what its ``writer`` is called."""

    run: str = ""
    cycle: int = 0
    kind: str = ""
    position: int = 0
    file: str = ""
    line: int = 0
    writer: str = ""

    def to_json(self) -> str | None:
        """Return what differs from nothing, as JSON; None: nothing does."""
        said = {f.name: value for f in fields(self) if (value := getattr(self, f.name))}
        return json.dumps(said) if said else None

    @classmethod
    def of_json(cls, said: str | None) -> Origin:
        """Return what :meth:`to_json` wrote."""
        return cls(**json.loads(said)) if said else cls()


@dataclass(frozen=True, slots=True)
class Side:
    """A completion; ``score`` is what the reward gave it, NaN where that is not known."""

    text: str
    ended: bool = True
    score: float = math.nan
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True, slots=True)
class PairToJudge:
    """Two completions of one prompt. ``turns``: they are turns of the assistant, after
    ``messages`` or, without these, after ``prompt`` as the user's turn. ``scored_by`` names the
    reward of their scores."""

    prompt: str
    first: Side
    second: Side
    messages: tuple[Message, ...] = ()
    turns: bool = False
    scored_by: str = ""

    @property
    def differs(self) -> bool:
        """Whether a person can tell the two apart, and both say something."""
        first, second = self.first.text.strip(), self.second.text.strip()
        return bool(first and second) and first != second

    @property
    def digest(self) -> str:
        """What it has in common with the same pair, whichever stands first."""
        texts = sorted((self.first.text, self.second.text))
        return _digest([self.prompt, self.messages, self.turns, texts])

    def decided(self, mark: Mark) -> Pair | None:
        """Return the pair that a mark makes; None: it prefers neither."""
        if mark.choice not in PREFERENCES:
            return None
        chosen, rejected = self.first, self.second
        if mark.choice == "second":
            chosen, rejected = rejected, chosen
        ended = chosen.ended, rejected.ended
        asked = [(role, said) for role, said in self.messages]
        if not self.turns:
            return Pair(self.prompt, chosen.text, rejected.text, tuple(asked), *ended,
                        mark.margin, mark.by)
        return Pair(asked or [("user", self.prompt)], [("assistant", chosen.text)],
                    [("assistant", rejected.text)], (), *ended, mark.margin, mark.by)


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """A pair of a set, by its number in the store."""

    id: int
    pair: PairToJudge


@dataclass(frozen=True, slots=True)
class Mark:
    """What somebody said of a pair.

    ``left`` is the side that was shown on the left, ``guidelines`` the hash of those that were
    beside it (a judge's: of its rubric), ``margin`` by how much a file says that the chosen one is
    better. A ``repeat`` was asked again with the sides swapped, to see whether the person agrees
    with themselves; ``stands`` says that neither it is that nor a later one came in its place.
    """

    id: int
    pair: int
    by: str
    choice: Choice
    strength: int = NOT_SAID
    judge: bool = False
    at: str = ""
    seconds: float = math.nan
    left: str = ""
    guidelines: str = ""
    margin: float | None = None
    repeat: bool = False
    stands: bool = True
    source: str = ""
    """Which line of which file it came of; "" where it was made here."""


@dataclass(frozen=True, slots=True)
class Thumb:
    """What somebody said of a single completion."""

    prompt: str
    completion: Side
    by: str
    up: bool
    messages: tuple[Message, ...] = ()
    turns: bool = False
    at: str = ""

    @property
    def digest(self) -> str:
        """What it has in common with other thumbs on the same completion."""
        return completion_digest(self.prompt, self.completion.text)

    @property
    def scored(self) -> ScoredText:
        """The completion with a score of 1 for up and 0 for down."""
        text = self.completion.text
        if self.turns and not text[:1].isspace():
            text = f" {text}"  # after turns that are written out, it is a word like any other
        asked = TextPrompt(self.prompt, tuple((role, said) for role, said in self.messages))
        return ScoredText(asked, text, float(self.up), self.completion.ended)


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """A set of pairs. ``seed`` says which side of each is shown on the left; ``guidelines`` is what
    the person wrote for themselves to go by."""

    id: int
    name: str
    created_at: str
    seed: int
    guidelines: str = ""
    pairs: int = 0
    marks: int = 0
    """Those that stand and say something."""
    thumbs: int = 0
    preferences: int = 0
    """Marks that prefer one of two, which make pairs."""
    verdicts: int = 0
    """Marks that say of both whether they are good (:func:`thumbs_of_marks`)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a pair without its texts, of one person: the last ``choice`` that stands,
    the number of its ``mark``, and the choices of repeats. ``prompt`` tells pairs of one prompt
    from others."""

    id: int
    prompt: str
    scores: tuple[float, float]
    choice: Choice | None = None
    strength: int = NOT_SAID
    mark: int = 0
    repeats: tuple[Choice, ...] = ()

    @property
    def reward_prefers(self) -> Choice | None:
        """The side that the reward scored higher; None: neither, or it is not known."""
        first, second = self.scores
        return "first" if first > second else "second" if second > first else None

    @property
    def apart(self) -> float:
        """How far its scores are from each other; infinite where they are not known."""
        first, second = self.scores
        return abs(first - second) if math.isfinite(first - second) else math.inf


@dataclass(frozen=True, slots=True)
class Added:
    """What became of pairs that were put into a set: how many it did not have, how many it had, and
    how many are no pair, since nobody could tell their texts apart or one is empty."""

    pairs: int = 0
    known: int = 0
    equal: int = 0
    marks: int = 0
    thumbs: int = 0

    @property
    def summary(self) -> str:
        """Say it in a sentence."""
        said = [f"{counted(self.pairs, 'pair')} added"]
        if self.marks:
            said.append(counted(self.marks, "mark"))
        if self.thumbs:
            said.append(counted(self.thumbs, "thumb"))
        if self.known:
            said.append(f"{self.known:,} there already")
        if self.equal:
            said.append(f"{self.equal:,} left out, for their texts are equal or one is empty")
        return f"{', '.join(said)}."


@dataclass(frozen=True, slots=True)
class Judged:
    """What the marks of a set give to learn from, and what they do not."""

    pairs: tuple[Pair, ...]
    ties: int = 0
    both_bad: int = 0
    disagreements: int = 0
    whose: Mapping[tuple[str, bool], int] = field(default_factory=dict)
    """How many of the pairs come of whose marks, by name and whether that is a judge."""

    @property
    def summary(self) -> str:
        """Say in one sentence what there is."""
        text = ", ".join(said for number, said in (
            (1, counted(len(self.pairs), "preference")), (self.ties, counted(self.ties, "tie")),
            (self.both_bad, f"{self.both_bad:,} both bad")) if number)
        if self.disagreements:
            text += f"; {counted(self.disagreements, 'pair')} judged both ways"
        return f"{text}."


def shown_left(seed: int, pair: int, showing: int = 0) -> Literal["first", "second"]:
    """Return which side of a pair stands on the left; with each further ``showing`` the other."""
    bit = sha256(f"{seed}:{pair}".encode()).digest()[0] & 1
    return "second" if (bit + showing) % 2 else "first"


def prompt_digest(prompt: str, messages: Sequence[tuple[str, str]]) -> str:
    """Return what tells a prompt from others."""
    return _digest([prompt, messages])


def completion_digest(prompt: str, completion: str) -> str:
    """Return what tells a completion of a prompt from others; space around it says nothing."""
    return _digest([prompt, completion.strip()])


def thumbs_of_marks(
    marked: Iterable[tuple[PairToJudge, Mark]], *, preferences: bool = False
) -> Iterator[Thumb]:
    """Give the thumbs that marks of pairs are worth: both bad two down, a tie of good ones two up;
    with ``preferences`` also the chosen completion up and the rejected one down."""
    for pair, mark in marked:
        ups: Sequence[bool]
        if mark.choice == "both_bad":
            ups = False, False
        elif mark.choice == "tie" and mark.strength:
            ups = True, True
        elif preferences and mark.choice in PREFERENCES:
            ups = mark.choice == "first", mark.choice == "second"
        else:
            continue
        for side, up in zip((pair.first, pair.second), ups, strict=True):
            yield Thumb(pair.prompt, side, mark.by, up, pair.messages, pair.turns, mark.at)


def kappa(said: Mapping[tuple[str, str], int]) -> float:
    """Return how far two agree beyond chance: 1 where they always do, 0 where it is no more than
    chance would give them (J. Cohen, "A coefficient of agreement for nominal scales", 1960).

    Args:
        said: how often the first said the one while the second said the other.

    Returns:
        (p_o - p_e) / (1 - p_e), p_o the share in which they agree and p_e what chance would give;
        NaN where there is nothing, or both always say the same one thing.
    """
    whole = sum(said.values())
    if not whole:
        return math.nan
    first, second = Counter[str](), Counter[str]()
    for (one, other), number in said.items():
        first[one] += number
        second[other] += number
    agreed = sum(number for (one, other), number in said.items() if one == other) / whole
    chance = sum(number * second[name] for name, number in first.items()) / whole**2
    return (agreed - chance) / (1 - chance) if chance < 1 else math.nan


def _digest(what: object) -> str:
    return sha256(json.dumps(what).encode()).hexdigest()[:32]
