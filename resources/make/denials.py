"""Reviews alike but for one adjective and whether it is denied, so that denial is learned.

In whole reviews a denied adjective decides little of the grade, and a model can ignore it. Four
texts that differ in nothing else leave it no other way to tell them apart.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import phrases as p
from grammar import Review
from lexicon import Aspect, Domain, Graded

# What a denial leaves of a fault and of a merit.
_LEFT = {form: (dict(p.DENY_BAD)[form], dict(p.DENY_GOOD)[form])
         for form in dict(p.DENY_BAD) if form in dict(p.DENY_GOOD)}


class Denials:
    """Draws groups of four: a fault and a merit of the same aspect, said and denied."""

    def __init__(self, rng: random.Random, domains: Sequence[Domain]) -> None:
        self.rng = rng
        self.domains = [(d, usable) for d in domains
                        if (usable := [a for a in d.aspects if _fault(a) and _merit(a)])]

    def group(self, reviews: Sequence[Review]) -> tuple[list[str], list[float]]:
        """Four texts and their values; the second sentence is some review's, the same in all."""
        rng = self.rng
        domain, aspects = rng.choice(self.domains)
        aspect = rng.choice(aspects)
        be = (("was", "were") if domain.past else ("is", "are"))[aspect.many]
        start = rng.choice(domain.lists["tried"]).replace("{t}", domain.lists["thing"][0])
        if rng.random() < 0.6:
            start = f"{start} {rng.choice(domain.lists['when'])}"
        lead = rng.choice((f"{start}, and {aspect.noun} {be}", f"{aspect.noun} {be}",
                           f"{start} and thought that {aspect.noun} {be}"))
        close = rng.choice(reviews).second
        form, (left_of_fault, left_of_merit) = rng.choice(list(_LEFT.items()))
        fault, merit = rng.choice(_fault(aspect)), rng.choice(_merit(aspect))
        texts, values = [], []
        for word, left in ((fault, left_of_fault), (merit, left_of_merit)):
            for said, value in ((word.text, word.value),
                                (form.format(a=word.text), word.value * left)):
                sentence = f"{lead} {said}."
                texts.append(f"{sentence[0].upper()}{sentence[1:]} {close}")
                values.append(0.5 * value)
        return texts, values


def _fault(aspect: Aspect) -> list[Graded]:
    return [w for w in aspect.words if -0.8 <= w.value <= -0.3 and w.text not in p.NO_DEGREE]


def _merit(aspect: Aspect) -> list[Graded]:
    return [w for w in aspect.words if 0.3 <= w.value <= 0.8 and w.text not in p.NO_DEGREE]
