"""A completion as algorithms see it that go by how much likelier the policy finds it than the start
policy does: what each token gives to its implicit reward. No torch."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.algorithm import Sides, TokenColumn, TokenView, ValueLine
from workbench.formatting import number, percent, signed, visible
from workbench.learning.referenced_settings import ReferencedSettings
from workbench.papers import RAFAILOV_2023

if TYPE_CHECKING:
    from workbench.records import TokenTrace

_EVEN = 0.005  # what is less is written as 0


@dataclass(frozen=True, slots=True)
class Step:
    """One token. ``chance`` and ``start_chance`` are its probabilities by the policy before the
    step that learned from it, and by the start policy; ``ratio`` is the difference of their
    logarithms, ``share`` β times that, ``before`` the sum of the shares of the tokens before it and
    ``total`` that of all."""

    piece: str
    chance: float
    start_chance: float
    ratio: float
    share: float
    before: float
    total: float
    last: bool


COLUMNS = (
    TokenColumn("Share",
                "What the token gives to the implicit reward of its completion: β·(log π − "
                "log π_start). Above 0 the policy has become likelier to write it than the start "
                "policy was; all shares of a completion add up to its implicit reward",
                lambda s: _or_dash(s.share, signed(s.share)), lambda s: s.share),
    TokenColumn("So far", "The implicit reward up to and with this token: the sum of the shares",
                lambda s: _or_dash(s.share, signed(s.before + s.share)),
                lambda s: s.before + s.share),
    TokenColumn("log-ratio", "By how many nats the policy finds the token likelier than the start "
                "policy does: log π − log π_start",
                lambda s: _or_dash(s.ratio, signed(s.ratio)), lambda s: s.ratio),
    TokenColumn("Chance", "How likely the policy found the token before the step that learned from "
                "it, at the temperature set",
                lambda s: _or_dash(s.chance, percent(s.chance)), lambda s: s.chance, False),
    TokenColumn("Start", "How likely the start policy finds the token, at the temperature set",
                lambda s: _or_dash(s.start_chance, percent(s.start_chance)),
                lambda s: s.start_chance, False),
)


def read_steps(
    pieces: Sequence[str], numbers: Mapping[str, Sequence[float]], worth: float,
    settings: Mapping[str, object],
) -> tuple[Step, ...]:
    """Return the steps of a completion. What is not known yet, within a cycle, is NaN."""
    beta = settings.get("beta", ReferencedSettings.specs()["beta"].default)
    assert isinstance(beta, int | float)
    now, start = (numbers.get(name, [math.nan] * len(pieces)) for name in (
        "logprob", "ref_logprob"))
    ratios = [a - b for a, b in zip(now, start, strict=True)]
    shares = [beta * ratio for ratio in ratios]
    steps, before, total = [], 0.0, math.fsum(shares)
    for i, piece in enumerate(pieces):
        steps.append(Step(piece, math.exp(now[i]), math.exp(start[i]), ratios[i], shares[i],
                          before, total, i == len(pieces) - 1))
        before += shares[i]
    return tuple(steps)


def log_ratio(trace: TokenTrace) -> float:
    """Return by how many nats the policy found a whole completion likelier than the start policy
    does; NaN where that is not known."""
    now, start = (trace.numbers.get(name) for name in ("logprob", "ref_logprob"))
    return math.nan if now is None or start is None else float(
        now.astype(float).sum() - start.astype(float).sum())


def say(step: Step, settings: Mapping[str, object]) -> str:
    """Say in words, as rich text, what the policy stands for at a token."""
    piece = f"<b>{html.escape(visible(step.piece))}</b> &nbsp;"
    start = html.escape(percent(step.start_chance))
    if math.isnan(step.share):
        return f"{piece}Start policy {start}; the step that learns from it is still to come."
    turned = ("as likely as" if abs(step.share) < _EVEN else
              "likelier than" if step.share > 0 else "less likely than")
    return (f"{piece}Chance {html.escape(percent(step.chance))}, {turned} by the start policy "
            f"({start}): gives {signed(step.share)} to the implicit reward "
            f"{signed(step.total)} of its completion.")


def _say_line(step: Step) -> str:
    if math.isnan(step.share):
        return f"{visible(step.piece)}: the step that learns from it is still to come."
    return (f"{visible(step.piece)}: gives {signed(step.share)}, so that the implicit reward is "
            f"{signed(step.before + step.share)}"
            f"{' in all' if step.last else ' so far'}.")


def _or_dash(value: float, text: str) -> str:
    return text if math.isfinite(value) else "–"


def token_view(about: str, sides: Sides) -> TokenView:
    """Return how tokens are shown; ``about`` says what is seen of every token."""
    return TokenView(
        about, COLUMNS, read_steps, say,
        weight=lambda step: abs(step.share) if math.isfinite(step.share) else 0.0,
        line=_LINE, sides=sides)


_LINE = ValueLine(
    "Reward so far",
    "The line is the implicit reward of the completion up to each word: β·(log π − log π_start), "
    "added up. It rises where the policy has become likelier to write the word than the start "
    "policy was, and falls where it has become less so. Under each word its share. Left and Right "
    "go through the tokens.",
    estimate=lambda s: s.before if math.isfinite(s.share) else math.nan,
    target=lambda s: math.nan, bar=lambda s: s.share, end=lambda s: s.total,
    flag=lambda s: ("not known yet" if math.isnan(s.total)
                    else f"implicit reward\n{number(s.total)}"),
    gap=lambda s: "", say=_say_line, formula="r = β·Σₜ(log π − log π_start)",
    source=RAFAILOV_2023, sums=True, of_value_head=False, gained="share")
