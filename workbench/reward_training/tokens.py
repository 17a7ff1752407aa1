"""A completion of a pair as the reward model reads it: the score up to each token. No torch."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.algorithm import Sides, TokenColumn, TokenView, ValueLine
from workbench.formatting import number, percent, signed, visible
from workbench.papers import BRADLEY_1952

_EVEN = 0.005  # what is less is written as 0


@dataclass(frozen=True, slots=True)
class Step:
    """One token. ``score`` is that of the text up to and with it, ``change`` by how much it moved
    the score, NaN where that is not known; ``total`` is the score of the whole and ``chance`` that
    of being the chosen one, known at the last."""

    piece: str
    score: float
    change: float
    total: float
    chance: float
    last: bool


COLUMNS = (
    TokenColumn("Change", "By how much the token moved the score. A judge reads whole texts: how a "
                "word moves the score is what it makes of the text so far, not what the word is "
                "worth", lambda s: _or_dash(s.change, signed(s.change)), lambda s: s.change),
    TokenColumn("So far", "The score of the text up to and with this token",
                lambda s: _or_dash(s.score, signed(s.score)), lambda s: s.score),
)


def read_steps(
    pieces: Sequence[str], numbers: Mapping[str, Sequence[float]], worth: float,
    settings: Mapping[str, object],
) -> tuple[Step, ...]:
    """Return the steps of a completion. What is not known yet, within a cycle, is NaN."""
    scores = numbers.get("score", [math.nan] * len(pieces))
    chances = numbers.get("predicted", [math.nan] * len(pieces))
    return tuple(
        Step(piece, scores[i], scores[i] - scores[i - 1] if i else math.nan, scores[-1],
             chances[i], i == len(pieces) - 1) for i, piece in enumerate(pieces))


def say(step: Step, settings: Mapping[str, object]) -> str:
    """Say in words, as rich text, what the model makes of a token."""
    piece = f"<b>{html.escape(visible(step.piece))}</b> &nbsp;"
    if math.isnan(step.score):
        return f"{piece}The score up to here is not known."
    said = f"{piece}{_said_change(step)}Score so far {number(step.score)}"
    if step.last and math.isfinite(step.chance):
        return (f"{said}, which is that of the whole: a chance of "
                f"{html.escape(percent(step.chance))} to be the chosen one.")
    return f"{said}, of the whole {number(step.total)}."


def _said_change(step: Step) -> str:
    if math.isnan(step.change):
        return ""
    if abs(step.change) < _EVEN:
        return "Leaves the score where it is. "
    return f"{'Raises' if step.change > 0 else 'Lowers'} the score by {number(abs(step.change))}. "


def _say_line(step: Step) -> str:
    if math.isnan(step.score):
        return f"{visible(step.piece)}: the score up to here is not known."
    return (f"{visible(step.piece)}: {_said_change(step)}Score "
            f"{number(step.score)}{' in all' if step.last else ' so far'}.")


def _or_dash(value: float, text: str) -> str:
    return text if math.isfinite(value) else "–"


TOKENS = TokenView(
    "what the reward model makes of the text up to it, chosen beside rejected",
    COLUMNS, read_steps, say,
    weight=lambda step: abs(step.change) if math.isfinite(step.change) else 0.0,
    line=ValueLine(
        "Score so far",
        "The line is the score that the reward model gives the text up to each word; the score "
        "that counts is that of the whole text, at its end. Under each word by how much it moved "
        "the line. Left and Right go through the tokens.",
        estimate=lambda s: s.score - s.change if math.isfinite(s.change) else s.score,
        target=lambda s: math.nan, bar=lambda s: s.change, end=lambda s: s.total,
        flag=lambda s: ("not known yet" if math.isnan(s.total) else f"score\n{number(s.total)}"),
        gap=lambda s: "", say=_say_line, formula="r(x, y_{≤t})", source=BRADLEY_1952,
        sums=True, of_value_head=False, gained="change"),
    sides=Sides(("chosen", "rejected"), "score", "pairs", order="held out, where some are"))
