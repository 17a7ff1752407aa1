"""Words and clauses: the lower half of the review grammar.

Adjectives are picked near a mood, then strengthened, weakened or denied, and put into clauses
about one aspect or about the whole thing. Every piece carries the value of what it says.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence

import phrases as p
from lexicon import Aspect, Domain, Graded

MAIN, SIDE = 0.7, 0.3  # how much a main clause and a conceded one count


def clip(value: float, limit: float = 1.0) -> float:
    """The value, kept inside the scale."""
    return max(-limit, min(limit, value))


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[0].upper() + text[1:]


def article(words: str) -> str:
    """`words` after the right one of "a" and "an"."""
    return ("an " if re.match(r"(?!one|us|uni)[aeiou]|hour|honest", words) else "a ") + words


class Writer:
    """Writes one review; it remembers what it has used so that nothing is said twice."""

    def __init__(self, rng: random.Random, domain: Domain) -> None:
        self.rng = rng
        self.domain = domain
        self.thing = rng.choice(domain.lists["thing"])
        self.named = False
        self.last = ""  # what a pronoun would be taken to mean
        self.used: set[str] = set()

    # --- choosing -----------------------------------------------------------------------------
    def near(self, items: Sequence[Graded], target: float, width: float = 0.28) -> Graded:
        """An unused item whose value lies near the target."""
        fresh = [item for item in items if item.text not in self.used] or list(items)
        weights = [math.exp(-(((item.value - target) / width) ** 2)) + 1e-6 for item in fresh]
        chosen = self.rng.choices(fresh, weights)[0]
        self.used.add(chosen.text)
        return chosen

    def any(self, key: str) -> str:
        """One of the domain's phrases of that kind."""
        return self.rng.choice(self.domain.lists[key])

    def aspect(self) -> Aspect:
        """An aspect not yet spoken of."""
        self.last = "aspect"
        fresh = [a for a in self.domain.aspects if a.noun not in self.used]
        chosen = self.rng.choice(fresh or self.domain.aspects)
        self.used.add(chosen.noun)
        return chosen

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    # --- words --------------------------------------------------------------------------------
    def be(self, many: bool) -> str:
        if self.domain.past:
            return "were" if many else "was"
        return "are" if many else "is"

    def link(self, many: bool) -> str:
        """A linking verb: mostly "be"."""
        if self.chance(0.75):
            return self.be(many)
        if self.domain.past:
            return self.rng.choice(("turned out to be", "proved", "seemed", "proved to be"))
        have = "have" if many else "has"
        return self.rng.choice((f"{have} proved", "seem" if many else "seems", "turned out to be"))

    def it(self) -> str:
        """The thing as a subject: a pronoun only where nothing else could be meant."""
        if self.named and self.last == "thing":
            return "they" if self.domain.many else "it"
        return self.name()

    def name(self) -> str:
        """The thing by its name; "this hotel" becomes "the hotel" the second time."""
        known, self.named, self.last = self.named, True, "thing"
        return re.sub(r"^(this|these|my new) ", "the ", self.thing) if known else self.thing

    def them(self) -> str:
        if self.named:
            return "them" if self.domain.many else "it"
        return self.name()

    def degree(self, word: Graded) -> Graded:
        """The adjective, often strengthened or weakened."""
        plain = word.text in p.NO_DEGREE or not 0.35 < abs(word.value) < 0.8
        if plain or self.chance(0.4):
            if abs(word.value) >= 0.8 and self.chance(0.35):
                adverb, factor = self.rng.choice(p.EXTREME)
                return Graded(f"{adverb} {word.text}", word.value * factor)
            return word
        own = p.GOOD_ONLY if word.value > 0 else p.BAD_ONLY
        adverb, factor = self.rng.choice(self.rng.choice((p.STRONGER, p.WEAKER, own)))
        return Graded(f"{adverb} {word.text}", clip(word.value * factor, 0.97))

    def denied(self, words: Sequence[Graded], target: float) -> Graded | None:
        """An adjective of the other sign, denied: "hardly fresh", "anything but dull"."""
        sign = 1 if target > 0 else -1
        other = [w for w in words if -0.7 <= w.value * sign < -0.25 and w.text not in p.NO_DEGREE]
        if not other:
            return None
        forms = p.DENY_BAD if sign > 0 else p.DENY_GOOD
        form, factor = self.rng.choice([f for f in forms if f[0] not in self.used])
        self.used.add(form)
        word = self.near(other, -target)
        return Graded(form.format(a=word.text), word.value * factor)

    def description(self, words: Sequence[Graded], target: float) -> tuple[Graded, bool]:
        """What follows the verb, and whether only a plain "be" may come before it."""
        roll = self.rng.random()
        if roll < 0.2 and abs(target) > 0.15:
            found = self.denied(words, target)
            if found:
                return found, True
        one = self.near(words, target)
        if roll < 0.42:
            two = self.near(words, target)
            if two.text != one.text and one.value * two.value > 0:
                return Graded(f"{one.text} and {two.text}", (one.value + two.value) * 0.55), False
        elif roll < 0.5:
            # Only a small fault or merit goes with its opposite: "small but spotless".
            slight = [w for w in words if abs(w.value) <= 0.35 and w.value * one.value < 0]
            if slight and abs(one.value) > 0.35:
                two = self.near(slight, -one.value)
                joint = self.rng.choice(("but", "if", "but"))
                if joint == "if":  # "good if slow": the first is what counts
                    return Graded(f"{one.text} if {two.text}", MAIN * one.value
                                  + SIDE * two.value), False
                return Graded(f"{two.text} {joint} {one.text}",
                              MAIN * one.value + SIDE * two.value), False
        return self.degree(one), False

    def noun_phrase(self, target: float) -> Graded:
        """An aspect with an adjective before it: "the rather cold breakfast"."""
        aspect = self.aspect()
        word = self.near([w for w in aspect.words if w.value * target >= 0] or aspect.words, target)
        shown = self.degree(word) if self.chance(0.3) else word
        if shown.text.startswith(("too", "far too", "a ", "so ", "more", "quite")):
            shown = word
        return Graded(f"the {shown.text} {aspect.noun.removeprefix('the ')}", shown.value)

    # --- clauses ------------------------------------------------------------------------------
    def about_aspect(self, target: float) -> Graded:
        aspect = self.aspect()
        said, plain = self.description(aspect.words, target)
        verb = self.be(aspect.many) if plain else self.link(aspect.many)
        return Graded(f"{aspect.noun} {verb} {said.text}", said.value)

    def about_whole(self, target: float) -> Graded:
        said, plain = self.description(self.domain.overall, target)
        verb = self.be(self.domain.many) if plain else self.link(self.domain.many)
        return Graded(f"{self.it()} {verb} {said.text}", said.value)

    def event(self, target: float) -> Graded:
        fresh = [e for e in self.domain.events if not self.heads(e.text) & self.used]
        chosen = self.near(fresh or self.domain.events, target)
        self.used |= self.heads(chosen.text)
        who, rest = chosen.text.split(" ", 1)
        own = "they" if self.domain.many else "it"
        text = chosen.text
        if not self.domain.past and who == own and self.last != "thing":
            text = f"{self.name()} {rest}"
        self.last = "thing" if who == own and not self.domain.past else "event"
        return Graded(text, chosen.value)

    def heads(self, text: str) -> set[str]:
        """The aspects that a text speaks of."""
        said = set(re.findall(r"[a-z]+", text))
        return {a.noun for a in self.domain.aspects
                if said & {a.noun.split()[-1], a.noun.split()[-1].rstrip("s")}}

    def so_that(self, target: float) -> Graded:
        """An adjective so strong that something came of it."""
        aspect = self.aspect()
        usable = [w for w in aspect.words if w.text not in p.NO_DEGREE and abs(w.value) < 0.8]
        word = self.near(usable or aspect.words, target)
        if abs(word.value) < 0.4 or word not in usable:
            return self.about_aspect(target)
        what = self.rng.choice(p.SO_GOOD if word.value > 0 else p.SO_BAD)
        return Graded(f"{aspect.noun} {self.be(aspect.many)} so {word.text} that {what}",
                      clip(word.value * 1.3))

    def both(self, target: float) -> Graded:
        """Two aspects under one adjective they share."""
        one = self.aspect()
        rest = [a for a in self.domain.aspects if a.noun not in self.used]
        shared = [(a, w) for a in rest for w in a.words if w in one.words
                  and w.value * target > 0]
        if not shared:
            return self.about_aspect(target)
        two, word = self.rng.choice(shared)
        self.used.update((two.noun, word.text))
        return Graded(f"both {one.noun} and {two.noun} {self.be(True)} {word.text}",
                      clip(word.value * 1.2))

    def ranged(self, target: float) -> Graded:
        """A sum of everything, from one aspect to another."""
        one, two = self.aspect(), self.aspect()
        total = self.near(p.SUMS, target)
        said = total.text.replace("{be}", self.be(False))
        return Graded(f"from {one.noun} to {two.noun}, {said}", total.value)

    def phrase(self, items: Sequence[Graded], target: float) -> Graded:
        """One of the general phrases, its slots filled in."""
        form = self.near(items, target)
        text = form.text
        value = form.value
        many = self.domain.many
        if "{n}" in text or "{np}" in text:
            if "{np}" in text:
                noun = self.noun_phrase(target)
                value = 0.5 * value + 0.5 * noun.value
                text = text.replace("{np}", noun.text).replace("{be}", self.be(False))
                verbs = ("I liked", "impressed", "annoyed", "let") if self.domain.past else (
                    "I like", "impresses", "annoys", "lets")
                for slot, verb in zip(("{like}", "{impress}", "{annoy}", "{let}"), verbs,
                                      strict=True):
                    text = text.replace(slot, verb)
            else:
                aspect = self.aspect()
                text = text.replace("{n}", aspect.noun).replace("{be}", self.be(aspect.many))
        if "{t}" in text:
            text = text.replace("{t}", self.name())
        if "{it}" in text:
            text = text.replace("{it} {is}", f"{self.it()} {self.be(many)}", 1)
            text = text.replace("{deserve}", "deserve" if many else "deserves")
            text = text.replace("{it}", "they" if many else "it")
        if "{them" in text:
            text = text.replace("{them_}", "they" if many else "it")
            text = text.replace("{them}", self.them())
        for key in ("best", "again", "people", "need", "answer", "waste"):
            if "{" + key + "}" in text:
                text = text.replace("{" + key + "}", self.any(key))
        return Graded(text, value)

    def other_person(self, target: float) -> Graded:
        """Someone else's view, then the writer's own, which is the one that counts."""
        who = self.rng.choice([person for person in p.OTHERS if person not in self.used])
        self.used.add(who)
        theirs = self.near(p.OTHERS_FELT, target if self.chance(0.45) else -target)
        said = theirs.text.replace("{x}", self.them() if self.last == "thing" else self.name())
        if theirs.value * target > 0:
            tail = self.rng.choice(("and so did I", "and I can see why", "and I felt the same"))
            if "did" in tail and not theirs.text.startswith(("loved", "liked", "hated")):
                tail = "and I felt the same"
            return Graded(f"{who} {said}, {tail}", theirs.value)
        own = self.clause(target)
        return Graded(f"{who} {said}, but {own.text}", 0.15 * theirs.value + 0.85 * own.value)

    def clause(self, target: float) -> Graded:
        """A clause with no clause inside it."""
        kind = self.rng.choices(range(8), (34, 13, 20, 13, 7, 6, 4, 4))[0]
        if kind == 0:
            return self.about_aspect(target)
        if kind == 1:
            return self.about_whole(target)
        if kind == 2:
            return self.event(target)
        if kind == 3:
            return self.phrase(p.ABOUT_ASPECT, target)
        if kind == 4:
            return self.phrase(p.COMPARED, target)
        if kind == 5:
            return self.phrase(p.WHOLE, target)
        return (self.so_that, self.both)[kind - 6](target)
