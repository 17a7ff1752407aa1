"""A completion as it was held against others: all of its tokens share what it was worth. No
torch."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from workbench.algorithm import TokenColumn, TokenView, ValueLine
from workbench.formatting import number, percent, signed, visible
from workbench.ppo.tokens import COLUMNS, SIBLINGS, TOKENS, Step, say_band, times

_EVEN = 0.05  # advantages nearer to 0 than this say nothing about a completion
_APART = 0.1  # a score and what it was worth that differ by less say the same


@dataclass(frozen=True, slots=True)
class Words:
    """What completions are held against: the ``mean`` and its ``title``; over all siblings it is
    ``together``."""

    mean: str
    title: str
    together: str
    formula: str
    source: str


def token_view(words: Words) -> TokenView:
    """Return how tokens are shown whose completion was held against others."""
    advantage = replace(
        COLUMNS[0], help=f"How much better (above 0) or worse this completion was than "
        f"{words.mean}; all of its tokens have it alike. The update makes tokens above 0 likelier")
    value = TokenColumn(
        words.title, f"What the completion was held against: {words.mean}, KL price included",
        lambda s: "–" if math.isnan(s.value) else number(s.value), lambda s: s.value)
    return replace(
        TOKENS, help=f"what it was held against ({words.mean}), its advantage and what the update "
        "made of it",
        columns=(advantage, value, *COLUMNS[2:]),
        say=lambda step, settings: _say(step, settings, words),
        line=ValueLine(
            words.title,
            f"The line is {words.mean}: what this completion was held against. The flag is its "
            "reward; hatched is how much it was better or worse. Under each word its advantage, "
            "which all words of a completion have alike: up, better than the others; down, worse. "
            "Left and Right go through the tokens.",
            estimate=lambda s: s.value, target=lambda s: math.nan, bar=lambda s: s.advantage,
            end=_worth, flag=_flag, gap=lambda s: _gap(s, words),
            say=lambda s: _say_value(s, words), formula=words.formula, source=words.source,
            of_value_head=False),
        siblings=replace(
            SIBLINGS, line=words.together, gained="advantage", worth=_whole_worth,
            against=lambda steps: steps[0].value, advantage=lambda steps: steps[0].advantage,
            help="The completions of one prompt that a cycle wrote. A path's height is what it was "
            f"worth, its colour the advantage: how much better or worse than {words.mean}, "
            "which the dashed line is", formula=words.formula, source=words.source))


def _whole_worth(steps: Sequence[Step]) -> float:
    """What a completion was worth from its first token on."""
    return _worth(steps[-1]) if math.isnan(steps[0].returned) else steps[0].returned


def _worth(step: Step) -> float:
    """What the completion was worth: its score as it was trained on, less the KL price."""
    return step.value_after if math.isnan(step.returned) else step.returned


def _flag(end: Step) -> str:
    if math.isnan(end.value_after):
        return "not scored yet"
    reward = f"reward {number(end.value_after)}"
    return reward if abs(_worth(end) - end.value_after) <= _APART else (
        f"{reward}\nworth {number(_worth(end))}")


def _gap(end: Step, words: Words) -> str:
    gap = _worth(end) - end.value
    if math.isnan(gap):
        return ""
    return f"{number(abs(gap))} {'better' if gap >= 0 else 'worse'} than {words.mean}"


def _say_value(step: Step, words: Words) -> str:
    if math.isnan(step.value):
        return f"{visible(step.piece)}: {words.mean} is not told yet."
    said = f"{visible(step.piece)}: {words.mean} is {number(step.value)}"
    if step.last:
        said += f", then {_flag(step)}".replace("\n", ", ")
    return said + (f"; advantage {signed(step.advantage)}."
                   if math.isfinite(step.advantage) else "; the advantage is not known yet.")


def _say(step: Step, settings: Mapping[str, object], words: Words) -> str:
    """Say in words, as rich text, what was made of a token."""
    turned = ("about as good as" if abs(step.advantage) < _EVEN else
              "better than" if step.advantage > 0 else "worse than")
    judged = ("Advantage: told by Advantages" if math.isnan(step.advantage) else
              f"Advantage {signed(step.advantage)}: its completion was {turned} {words.mean}"
              + ("" if math.isnan(step.value) else f", {number(step.value)}"))
    updated = ("the update is still to come" if math.isnan(step.ratio) else
               f"the update made it {times(step.ratio)}{say_band(step, settings)}")
    return (
        f"<b>{html.escape(visible(step.piece))}</b> &nbsp;{judged}. "
        f"Chance {html.escape(percent(step.chance))} "
        f"(start policy {html.escape(percent(step.start_chance))}); {updated}.")
