"""What the guide tells of an algorithm: a card for each of its ideas, and experiments with a run
that has ended. No torch, no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from workbench.settings import Value

Drawing = Literal["models", "cycle", "chances", "scores", "leash", "estimates", "paths", "terms",
                  "band", "openness", "rewards", "siblings", "course"]
"""What a card shows of the run: the models; the cycle; a completion with the chance of each token;
the best and the worst completion with their scores, or the two sides of a pair; how far it is
from the start policy; what was foreseen of a completion; the tokens that turned out best and worst;
the terms of the loss; ratios in the trust region; how open the choice of a token is; the compared
reward over cycles; completions of one prompt and what they were held against; a metric over
cycles."""
BEFORE, LOADING = "", "loading"
"""When a card shows that belongs to no part of a cycle: before a run, and while models are read."""


@dataclass(frozen=True, slots=True)
class Card:
    """An idea in two plain sentences, shown while a ``part`` of a cycle is on.

    ``say(metrics, settings)`` says in the numbers of a cycle what its drawing shows; nothing where
    they do not tell. ``metric`` is the number that is drawn, or the column of tokens, where the
    drawing is of one. ``view`` is the dock that has more of it. ``phases`` says, where the cycle is
    drawn, what its first phase does, and what its second changes. ``by_settings`` returns title,
    text and formula as they read with a run's settings, as far as they are others.
    """

    part: str
    title: str
    text: str
    drawing: Drawing
    view: str = ""
    formula: str = ""
    metric: str = ""
    say: Callable[[Mapping[str, float], Mapping[str, Any]], str] = lambda metrics, settings: ""
    phases: tuple[str, str] = ("write, score", "policy")
    by_settings: Callable[[Mapping[str, Any]], Mapping[str, str]] = lambda settings: {}

    def read_with(self, settings: Mapping[str, Any]) -> Card:
        """Return the card as it reads with the settings of a run."""
        words = self.by_settings(settings)
        return replace(
            self, title=words.get("title", self.title), text=words.get("text", self.text),
            formula=words.get("formula", self.formula))


@dataclass(frozen=True, slots=True)
class Experiment:
    """A question that a run with one other setting answers. ``value`` is made of the settings of
    the run that is asked about; ``look`` says where the answer shows."""

    question: str
    setting: str
    value: Callable[[Mapping[str, Value]], Value]
    look: str


@dataclass(frozen=True, slots=True)
class Guide:
    """``cards`` stand in the order of a cycle's parts; ``cost(metrics, settings)`` says in a few
    words what the distance from the start policy came to."""

    cards: tuple[Card, ...]
    experiments: tuple[Experiment, ...] = ()
    cost: Callable[[Mapping[str, float], Mapping[str, Any]], str] = lambda metrics, settings: ""
