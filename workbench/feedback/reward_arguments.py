"""What a person's reward function is called with: prompts, completions, and the columns of the
prompts that it names, each a list with one entry for every completion, as TRL calls its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.feedback.reward_model import Reward
from workbench.feedback.weighted_reward import WeightedSum
from workbench.records import Exchange

_TEXTS = ("prompts", "completions")


@dataclass(frozen=True, slots=True)
class Arguments:
    """The parameters of a function ``reward``."""

    by_name: bool = False
    """Whether it has prompts and completions by these names, in whatever order."""
    by_place: tuple[str, ...] = ()
    """The names it has for prompts and completions where they are given by their place."""
    needed: tuple[str, ...] = ()
    """The columns that it cannot do without."""
    optional: tuple[str, ...] = ()
    any: bool = False
    """Whether it takes every column there is."""

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Arguments:
        """Read the signature of ``function``."""
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            return cls()  # a built-in that tells none
        placed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        every = any(p.kind is p.VAR_KEYWORD for p in parameters)
        by_name = "completions" in {p.name for p in named}
        by_place = () if by_name else tuple(p.name for p in placed[:2])
        columns = [p for p in named if p.name not in (_TEXTS if by_name else by_place)]
        return cls(by_name, by_place, tuple(p.name for p in columns if p.default is p.empty),
                   tuple(p.name for p in columns if p.default is not p.empty), every)

    def fit(self, function: Callable[..., Any]) -> bool:
        """Whether ``function`` can be called so."""
        texts = ((), _TEXTS) if self.by_name else (_TEXTS, ())
        try:
            inspect.signature(function).bind(
                *texts[0], **dict.fromkeys((*texts[1], *self.needed)))
        except TypeError:
            return False
        except ValueError:
            pass  # a built-in that tells no signature
        return True

    def call(self, function: Callable[..., Any], exchanges: Sequence[Exchange]) -> Any:
        """Return what ``function`` says of ``exchanges``, which all have the same columns."""
        prompts, completions = [e.prompt for e in exchanges], [e.completion for e in exchanges]
        there = exchanges[0].columns
        wanted = [*self.needed, *(n for n in there if self.any or n in self.optional)]
        columns = {name: [e.columns.get(name) for e in exchanges] for name in wanted
                   if name not in (*_TEXTS, *self.by_place)}
        if self.by_name:
            return function(prompts=prompts, completions=completions, **columns)
        return function(prompts, completions, **columns)


def missing_column(reward: Reward, columns: Sequence[str]) -> str:
    """Return one plain sentence when a reward needs a column that is none of ``columns``, which
    the prompts have; empty when there is all it needs."""
    parts = [part.reward for part in reward.parts] if isinstance(reward, WeightedSum) else [reward]
    for part in parts:
        for name in getattr(part, "needs", ()):
            if name not in columns:
                have = ", ".join(f"“{column}”" for column in columns)
                return (
                    f"{getattr(part, 'name', 'The reward')} asks for the column “{name}”, which "
                    f"the prompts do not have ({f'they have {have}' if have else 'nor any other'}"
                    "); open a prompt file that has it, or give the parameter a default value.")
    return ""
