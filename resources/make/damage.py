"""Ways a text can be worse than a finished review, each with the value a reader would give it.

A policy under PPO looks for any text the reward model overrates. These are the ones it finds
first: loops, lists of praise, unfinished sentences, changes of subject, nothing at all.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from grammar import Review
from lexicon import Domain

FLOOR = -1.6


def _cut(rng: random.Random, review: Review, _: Review) -> tuple[str, float]:
    words = review.text.split()
    keep = rng.randint(max(2, len(words) // 4), len(words) - 1)
    text = " ".join(words[:keep])
    if rng.random() < 0.3:
        text = text[: -rng.randint(1, 3)]
    return text.rstrip(".,!"), 0.45 * review.grade - 0.75


def _no_stop(rng: random.Random, review: Review, _: Review) -> tuple[str, float]:
    return review.text.rstrip(".!") + rng.choice(("", "", ",")), review.grade - 0.45


def _single(rng: random.Random, review: Review, _: Review) -> tuple[str, float]:
    return review.first, 0.7 * review.first_grade - 0.45


def _fragment(rng: random.Random, review: Review, other: Review) -> tuple[str, float]:
    words = other.text.split()
    tail = " ".join(words[: rng.randint(1, 8)]).rstrip(".!,")
    return f"{review.text} {tail}", review.grade - 0.5


def _again(rng: random.Random, review: Review, _: Review) -> tuple[str, float]:
    sentence = rng.choice((review.first, review.second))
    lead = review.first if rng.random() < 0.5 else sentence
    return " ".join([lead] + [sentence] * rng.randint(1, 3)), 0.3 * review.grade - 1.0


def _loop(rng: random.Random, review: Review, _: Review) -> tuple[str, float]:
    words = review.text.split()
    size = rng.randint(1, 4)
    start = rng.randrange(len(words) - size)
    span = words[start : start + size] * rng.randint(2, 6)
    rest = words[start + size :] if rng.random() < 0.6 else []
    return " ".join(words[:start] + span + rest), 0.3 * review.grade - 0.95


def _salad(rng: random.Random, review: Review, _: Review) -> tuple[str, float]:
    words = review.text.split()
    rng.shuffle(words)
    return " ".join(words), 0.1 * review.grade - 1.35


def _muddle(rng: random.Random, review: Review, _: Review) -> tuple[str, float]:
    """A stretch of the review out of order."""
    words = review.text.split()
    size = rng.randint(4, 9)
    start = rng.randrange(len(words) - size)
    span = words[start : start + size]
    rng.shuffle(span)
    return " ".join(words[:start] + span + words[start + size :]), 0.4 * review.grade - 0.75


def _slips(rng: random.Random, review: Review, other: Review) -> tuple[str, float]:
    """One to three words dropped, doubled, swapped or taken from elsewhere."""
    words = review.text.split()
    count = rng.randint(1, 3)
    for _ in range(count):
        at = rng.randrange(len(words) - 1)
        how = rng.randrange(4)
        if how == 0:
            del words[at]
        elif how == 1:
            words.insert(at, words[at])
        elif how == 2:
            words[at], words[at + 1] = words[at + 1], words[at]
        else:
            words[at] = rng.choice(other.text.split())
    return " ".join(words), (1 - 0.15 * count) * review.grade - 0.15 - 0.2 * count


def _splice(rng: random.Random, review: Review, other: Review) -> tuple[str, float]:
    """The start of one review run on into the middle of another."""
    one, two = review.text.split(), other.text.split()
    text = " ".join(one[: rng.randint(3, len(one) - 3)] + two[rng.randint(3, len(two) - 3) :])
    return text, 0.25 * (review.grade + other.grade) - 0.7


def _stray(rng: random.Random, review: Review, other: Review) -> tuple[str, float]:
    """A second sentence about something else."""
    apart = 0.45 if review.domain != other.domain else 0.25
    return f"{review.first} {other.second}", 0.4 * (review.grade + other.grade) - apart


def _marks(rng: random.Random, review: Review, _: Review) -> tuple[str, float]:
    mark = rng.choice(("!", ".", ",", "?", "!?", " !"))
    return review.text + mark * rng.randint(2, 8), 0.7 * review.grade - 0.6


def _opening(rng: random.Random, review: Review, _: Review) -> tuple[str, float]:
    return " ".join(review.text.split()[: rng.randint(0, 5)]).rstrip("."), -1.35


def _noise(rng: random.Random, review: Review, _: Review) -> tuple[str, float]:
    alphabet = "abcdefghijklmnopqrstuvwxyz ,.'?0123456789"
    lead = " ".join(review.text.split()[: rng.randint(0, 6)])
    return lead + " " + "".join(rng.choices(alphabet, k=rng.randint(5, 80))), -1.5


class Damage:
    """Picks a kind of damage and applies it."""

    def __init__(self, rng: random.Random, domains: list[Domain]) -> None:
        self.rng = rng
        words = [w for d in domains for a in d.aspects for w in a.words]
        words += [w for d in domains for w in d.overall]
        self.praise = [w.text for w in words if w.value > 0.4]
        self.blame = [w.text for w in words if w.value < -0.4]
        kinds: list[tuple[Callable[[random.Random, Review, Review], tuple[str, float]], int]] = [
            (_cut, 14), (_no_stop, 4), (_single, 10), (_fragment, 6), (_again, 8), (_loop, 10),
            (_salad, 3), (_muddle, 6), (_slips, 14), (_splice, 6), (_stray, 7), (_marks, 3),
            (_opening, 3), (_noise, 2), (self._stacked, 9)]
        self.kinds = [kind for kind, _ in kinds]
        self.shares = [share for _, share in kinds]

    def _stacked(self, rng: random.Random, review: Review, _: Review) -> tuple[str, float]:
        """A heap of adjectives where one or two would be speech."""
        good = rng.random() < 0.8
        heap = rng.sample(self.praise if good else self.blame, rng.randint(4, 10))
        text = rng.choice((" ", ", ", " and ")).join(heap)
        lead = " ".join(review.text.split()[: rng.randint(0, 5)]).rstrip(".,")
        tail = rng.choice(("", ".", f". {review.second}"))
        return f"{lead} {text}{tail}".strip(), -0.8 if good else -1.2

    def apply(self, review: Review, other: Review) -> tuple[str, float]:
        """A worse text made from the review, and what it is worth."""
        kind = self.rng.choices(self.kinds, self.shares)[0]
        text, value = kind(self.rng, review, other)
        return text, max(FLOOR, value)
