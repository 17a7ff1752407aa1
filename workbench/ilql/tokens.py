"""A completion as ILQL saw it: what each token is worth, and what would have been better. No
torch."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from workbench.algorithm import Sides, TokenColumn, TokenView, ValueLine
from workbench.formatting import number, percent, signed, visible
from workbench.papers import SNELL_2022
from workbench.records import Likeliest

_EVEN = 0.005  # what is less is written as 0
_WRITTEN = 0.01
"""What is steered to a smaller chance is hardly ever written."""


@dataclass(frozen=True, slots=True)
class Other:
    """A token that could have stood there: by how much it is better than the state (Q - V), its
    chance by the policy, and that with values; NaN in what an earlier version recorded."""

    piece: str
    advantage: float
    chance: float
    steered: float = math.nan


@dataclass(frozen=True, slots=True)
class Step:
    """One token, before the cycle's steps. ``value`` is what the state is worth that it was written
    in, ``q`` what it itself is, and ``target`` what that is learned towards: its reward and the
    worth of the next state; all in deviations of the data's scores. ``chance`` is its probability
    by the policy, ``steered`` that with values. ``reward`` is that of the last token, ``score`` the
    completion's. ``others`` are those that would be written likeliest, likeliest first."""

    piece: str
    value: float
    q: float
    target: float
    chance: float
    steered: float
    reward: float
    score: float
    last: bool
    others: tuple[Other, ...] = ()

    @property
    def advantage(self) -> float:
        """By how much the token is better than its state."""
        return self.q - self.value

    @property
    def instead(self) -> Other | None:
        """The best of :attr:`better`."""
        return next(iter(self.better), None)

    @property
    def better(self) -> list[Other]:
        """The other tokens that might have been written, the best first."""
        return sorted((other for other in self.others if other.piece != self.piece
                       and not other.steered < _WRITTEN), key=lambda other: -other.advantage)


def _instead(step: Step) -> str:
    other = step.instead
    return "–" if other is None else f"{visible(other.piece)} {signed(other.advantage)}"


COLUMNS = (
    TokenColumn("Q − V",
                "By how much the token is worth more (above 0) or less than the state it was "
                "written in, in deviations of the scores learned from. The smaller of two slow "
                "copies of Q; times β it raises the token's log-probability when the policy "
                "writes. Below 0 on average: V is nearer to the best than to the mean",
                lambda s: signed(s.advantage), lambda s: s.advantage),
    TokenColumn("Instead",
                "Of the other tokens that would be written here with a chance of at least 1 % the "
                "one that is worth most, and its Q − V",
                _instead,
                lambda s: 0.0 if s.instead is None else s.instead.advantage - s.advantage),
    TokenColumn("Value", "What the state is worth before the token: V, in deviations of the scores",
                lambda s: number(s.value), lambda s: s.value),
    TokenColumn("Chance", "How likely the policy alone found the token, at the temperature set",
                lambda s: percent(s.chance), lambda s: s.chance, False),
    TokenColumn("Steered", "How likely the token was with values: log π + β·(Q − V)",
                lambda s: percent(s.steered), lambda s: s.steered, False),
)


def read_steps(
    pieces: Sequence[str], numbers: Mapping[str, Sequence[float]], score: float,
    settings: Mapping[str, object],
) -> tuple[Step, ...]:
    """Return the steps of a completion that was given ``score``."""
    n = {name: numbers.get(name, [math.nan] * len(pieces)) for name in (
        "value", "q", "target", "logprob", "steered_logprob", "reward")}
    return tuple(
        Step(piece, n["value"][i], n["q"][i], n["target"][i], math.exp(n["logprob"][i]),
             math.exp(n["steered_logprob"][i]), n["reward"][i], score, i == len(pieces) - 1)
        for i, piece in enumerate(pieces))


def add_others(steps: Sequence[Step], likeliest: Likeliest) -> tuple[Step, ...]:
    """Return steps with the tokens that could have stood in their places."""
    known = likeliest.logprobs
    better, logprobs = known["q_advantage"], known["before"]
    steered = known.get("steered", logprobs * math.nan)
    return tuple(
        replace(step, others=tuple(
            Other(likeliest.pieces[int(token)], float(advantage), math.exp(logprob),
                  math.exp(with_values))
            for token, advantage, logprob, with_values in list(
                zip(ids, better[i], logprobs[i], steered[i], strict=True))[:-1]))
        for i, (step, ids) in enumerate(zip(steps, likeliest.tokens, strict=True)))


def say(step: Step, settings: Mapping[str, object]) -> str:
    """Say in words, as rich text, what values say of a token."""
    worth = ("about as good as" if abs(step.advantage) < _EVEN else
             "better than" if step.advantage > 0 else "worse than")
    said = (f"<b>{html.escape(visible(step.piece))}</b> &nbsp;Q − V {signed(step.advantage)}: "
            f"{worth} its state, which is worth {number(step.value)}. ")
    if better := step.better:
        listed = ", ".join(f"<b>{html.escape(visible(other.piece))}</b> {signed(other.advantage)}"
                           for other in better[:3])
        said += f"Others that would be written here: {listed}. "
    elif step.others:
        said += "No other would be written here as often as once in a hundred times. "
    return said + (f"Chance {html.escape(percent(step.chance))}, steered "
                   f"{html.escape(percent(step.steered))}.")


def _flag(end: Step) -> str:
    return f"score {number(end.score)}\n{signed(end.reward)} deviations"


def _gap(end: Step) -> str:
    gap = end.reward - end.value
    if abs(gap) < _EVEN:
        return ""
    return f"{'foreseen too much' if gap < 0 else 'not yet foreseen'}: {number(abs(gap))}"


def _say_line(step: Step) -> str:
    end = f", then {_flag(step)}".replace("\n", ", ") if step.last else ""
    return (f"{visible(step.piece)}: the state is worth {number(step.value)} before it{end}; "
            f"Q − V {signed(step.advantage)}.")


TOKENS = TokenView(
    "what it is worth against its state, and which others would have been worth more",
    COLUMNS, read_steps, say,
    weight=lambda step: abs(step.advantage) if math.isfinite(step.advantage) else 0.0,
    line=ValueLine(
        "Value line",
        "The line is what the state is worth: at the prompt's end, then after every token, in "
        "deviations of the scores learned from. The dashed line is what Q is learned towards: the "
        "reward of the token and the worth of the next state. The flag is the completion's score. "
        "Under each word Q − V: up, better than its state; down, worse. Left and Right go through "
        "the tokens.",
        estimate=lambda s: s.value, target=lambda s: s.target, bar=lambda s: s.advantage,
        end=lambda s: s.reward, flag=_flag, gap=_gap, say=_say_line,
        formula="L_Q = Σ_i (Q_i(s, a) - [r + γ·V(s')])²", source=SNELL_2022, of_value_head=False,
        gained="Q − V", unit=lambda settings: "deviations"),
    sides=Sides(("",), "score", "completions"), others=add_others)
