"""A seeded grammar of two-sentence reviews, each with the grade its words add up to.

A review is composed, never filled in: clauses are joined by addition, concession, contrast or a
cause, and the grade is computed from the pieces that were in fact chosen. A main clause weighs
more than the concession before it, and the second sentence more than the first.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import phrases as p
from lexicon import Domain, Graded, load
from writer import MAIN, SIDE, Writer, capital, clip

MAX_WORDS = 36
MIN_WORDS = 15


class Review(NamedTuple):
    """A finished review: its two sentences, its grade in [-1, 1] and its domain."""

    first: str
    second: str
    grade: float
    first_grade: float
    domain: str

    @property
    def text(self) -> str:
        return f"{self.first} {self.second}"


class Sentences(Writer):
    """Joins clauses into sentences."""

    final = False  # whether the last sentence sums up
    bare = ""

    def tried(self) -> str:
        """How the writer came by the thing, with some circumstance."""
        self.named = True
        text = self.bare = self.any("tried").replace("{t}", self.thing)
        self.last = "thing"
        roll = self.rng.random()
        if roll < 0.45:
            return f"{text} {self.any('when')}"
        if roll < 0.68:
            return f"{text} {self.rng.choice(p.CIRCUMSTANCES)}"
        if roll < 0.82:
            return f"{text} because we wanted {self.any('need')}" if text.startswith("we") else (
                f"{text} because I wanted {self.any('need')}")
        return text

    def joined(self, target: float) -> Graded:
        """Two clauses side by side."""
        one, two = self.clause(target), self.clause(target)
        value = clip((one.value + two.value) * 0.55)
        joint = ", and" if one.value * two.value >= 0 else ", but"
        if joint == ", but":
            value = SIDE * one.value + MAIN * two.value
        return Graded(f"{one.text}{joint} {two.text}", value)

    def conceded(self, target: float) -> Graded:
        """A concession that the main clause outweighs."""
        far = clip(-target + self.rng.gauss(0, 0.15), 0.8)
        roll = self.rng.random()
        if roll < 0.2:
            side = self.noun_phrase(far)
            main = self.clause(target)
            word = self.rng.choice(("despite", "in spite of"))
            text = f"{word} {side.text}, {main.text}"
        elif roll < 0.55:
            side, main = self.clause(far), self.clause(target)
            word = self.rng.choice(("although", "even though", "though", "while"))
            text = f"{word} {side.text}, {main.text}"
        elif roll < 0.75:
            main, side = self.clause(target), self.clause(far)
            word = self.rng.choice(("although", "even if", "even though"))
            text = f"{main.text}, {word} {side.text}"
        else:
            side, main = self.clause(far), self.clause(target)
            word = self.rng.choice(("but", "yet", "but"))
            text = f"{side.text}, {word} {main.text}"
        return Graded(text, SIDE * side.value + MAIN * main.value)

    def story(self, target: float) -> Graded:
        """How it came about, and then how it was."""
        start = self.tried()
        roll = self.rng.random()
        if roll < 0.3 and self.domain.past and " because " not in start:
            main = self.event(target) if self.chance(0.4) else self.about_aspect(target)
            return Graded(f"when {start}, {main.text}", main.value)
        main = self.clause(target)
        free = " because " not in start and self.chance(0.5)
        joint = "and" if main.value > 0 or free else "but"
        if roll < 0.42:
            start = f"{self.rng.choice(p.CIRCUMSTANCES)}, {self.bare}"
        return Graded(f"{start}, {joint} {main.text}", main.value)

    def reversed_hope(self, target: float) -> Graded:
        """What was expected, and what came instead."""
        hope = self.rng.choice(p.HOPES_LOW if target > 0 else p.HOPES_HIGH)
        hope = hope.replace("{them}", self.them())
        main = self.clause(target)
        joint = self.rng.choice(("but", "yet")) if main.value * target > 0 else "and"
        boost = 0.08 if target > 0 else -0.08
        return Graded(f"{hope}, {joint} {main.text}", clip(main.value + boost))

    def after(self, target: float) -> Graded:
        start = self.any("after")
        self.used |= self.heads(start)
        main = self.clause(target)
        return Graded(f"{start}, {main.text}", main.value)

    def tailed(self, target: float) -> Graded:
        """An event and what it did to the writer."""
        main = self.event(target)
        if main.text.startswith("I "):
            return main
        tail = self.near([t for t in p.TAILS if t.value * main.value > 0], main.value)
        return Graded(f"{main.text}, {tail.text}", clip(0.7 * main.value + 0.45 * tail.value))

    def frank(self, target: float) -> Graded:
        main = self.clause(target)
        starts: tuple[str, ...] = p.FRANK
        if self.chance(0.5) and abs(main.value) > 0.2:
            starts = p.GLAD if main.value > 0 else p.SORRY
        return Graded(f"{self.rng.choice(starts)} {main.text}", main.value)

    def pointed(self, target: float) -> Graded:
        return self.phrase(p.POINTED, target)

    def because(self, target: float) -> Graded:
        """A verdict and its cause."""
        self.final = True
        verdict = self.phrase(p.VERDICTS[:17], target)
        cause = self.clause(verdict.value)
        if cause.value * verdict.value <= 0:
            return verdict
        return Graded(f"{verdict.text}, because {cause.text}",
                      0.65 * verdict.value + 0.4 * cause.value)

    def verdict(self, target: float) -> Graded:
        self.final = True
        if self.chance(0.06):
            mark = round(clip(5.5 + 4.5 * target + self.rng.gauss(0, 0.7), 10))
            mark = max(1, mark)
            return Graded(f"I give {self.them()} {p.TENTHS[mark - 1]} out of ten",
                          (mark - 5.5) / 4.7)
        return self.phrase(p.VERDICTS, target)

    def owing(self, target: float) -> Graded:
        """A verdict and the one thing it is owed to."""
        self.final = True
        noun = self.noun_phrase(target)
        verdict = self.phrase(p.VERDICTS[:14], noun.value)
        if noun.value * verdict.value <= 0:
            return verdict
        owed = self.rng.choice(("if only because of", "thanks to", "because of")
                               if verdict.value > 0 else ("because of", "if only because of"))
        return Graded(f"{verdict.text}, {owed} {noun.text}",
                      0.65 * verdict.value + 0.4 * noun.value)

    def as_for(self, target: float) -> Graded:
        """An aspect taken up by name."""
        aspect = self.aspect()
        said, plain = self.description(aspect.words, target)
        verb = self.be(aspect.many) if plain else self.link(aspect.many)
        return Graded(f"as for {aspect.noun}, {'they' if aspect.many else 'it'} {verb} {said.text}",
                      said.value)

    def sentence(self, target: float, kinds: Sequence[tuple[Callable[[float], Graded], int]]
                 ) -> Graded:
        make = self.rng.choices([k for k, _ in kinds], [w for _, w in kinds])[0]
        return make(target)

    def opening(self, target: float) -> Graded:
        return self.sentence(target, (
            (self.story, 30), (self.conceded, 18), (self.joined, 12), (self.clause, 8),
            (self.reversed_hope, 9), (self.after, 7), (self.tailed, 5), (self.frank, 6),
            (self.pointed, 6), (self.other_person, 8), (self.ranged, 3)))

    def closing(self, target: float) -> Graded:
        return self.sentence(target, (
            (self.verdict, 30), (self.because, 9), (self.owing, 5), (self.as_for, 5),
            (self.conceded, 14), (self.joined, 12),
            (self.clause, 12), (self.tailed, 7), (self.pointed, 6), (self.ranged, 3),
            (self.other_person, 3)))


def _contract(text: str) -> str:
    """The spoken forms of the common negations."""
    for verb in ("was", "were", "would", "did", "is", "are", "could", "should", "does"):
        text = re.sub(rf"\b({verb}) not\b", r"\1n't", text, flags=re.IGNORECASE)
    return text.replace("cannot", "can't").replace("do not", "don't")


def _join(writer: Sentences, one: Graded, two: Graded) -> str:
    """The second sentence with a word that tells how it follows from the first."""
    gap = abs(one.value - two.value)
    clash = one.value * two.value < 0 and gap > 0.4
    if not writer.chance(0.85 if clash and gap > 0.8 else 0.5):
        return two.text
    if two.text.startswith(("if ", "as for", "despite", "in spite", "although", "even though",
                            "though", "while", "from ", "what ")):
        return two.text
    if clash and re.search(r", (but|yet) ", two.text):
        return two.text
    if clash:
        words = p.CONTRAST
    elif writer.final:
        words = p.CLOSING
    elif one.value * two.value > 0.04 and not re.search(
            r"\b(but|yet|although|though|if|despite|spite|while)\b", two.text):
        words = p.SAME if two.value > 0 else p.SAME_BAD
    else:
        return two.text
    return f"{writer.rng.choice(words)} {two.text}"


def write(rng: random.Random, domains: Sequence[Domain], mood: float | None = None) -> Review:
    """One review; without a mood, one is drawn that is as often bad as good."""
    while True:
        domain = rng.choice(domains)
        aim = mood if mood is not None else clip(rng.gauss(0, 0.55), 0.95)
        writer = Sentences(rng, domain)
        first_aim = -0.6 * aim if writer.chance(0.22) else aim + rng.gauss(0, 0.15)
        one = writer.opening(clip(first_aim, 0.95))
        writer.named, writer.final = True, False
        two = writer.closing(clip(aim + 0.4 * (aim - one.value), 0.95))
        first, second = capital(one.text), capital(_join(writer, one, two))
        grade = clip(1.05 * (0.42 * one.value + 0.58 * two.value))
        mark = "!" if abs(two.value) > 0.7 and writer.chance(0.2) else "."
        first, second = first + ".", second + mark
        if writer.chance(0.25):
            first, second = _contract(first), _contract(second)
        review = Review(first, second, round(grade, 4), round(one.value, 4), domain.name)
        if MIN_WORDS <= len(review.text.split()) <= MAX_WORDS:
            return review


def stream(seed: int, count: int) -> list[Review]:
    """`count` reviews, the same ones for the same seed."""
    rng = random.Random(seed)
    domains = load()
    return [write(rng, domains) for _ in range(count)]
