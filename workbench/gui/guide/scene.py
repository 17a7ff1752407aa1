"""What the guide's drawings show, read from the store. No Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from statistics import fmean
from typing import Any

import numpy as np

from workbench.algorithm import Algorithm, Share, TokenView, TrustRegion
from workbench.algorithms import algorithm_of_run
from workbench.formatting import visible
from workbench.guide import Card
from workbench.learning.metrics import COMPARED, KL
from workbench.records import TokenTrace
from workbench.store.records import CompletionRecord
from workbench.store.store import Store

_DOTS, _SIBLINGS = 400, 8


@dataclass(frozen=True, slots=True)
class Scored:
    """A completion and what it was given."""

    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Word:
    """A token, written out as the word it is in, with its advantage, and how many times as likely
    the update made it (NaN: not known yet)."""

    text: str
    advantage: float
    ratio: float = math.nan


@dataclass(frozen=True, slots=True)
class Estimates:
    """What was foreseen of a completion at its beginning and after each of its words, and what it
    came to (NaN: not known yet)."""

    text: str
    values: Sequence[float]
    end: float
    flag: str = ""
    """What it came to, in words; nothing: a reward."""


@dataclass(frozen=True, slots=True)
class Dots:
    """Ratios of tokens after an update, and which of them the clip holds."""

    ratios: Sequence[float]
    held: Sequence[bool]
    band: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Siblings:
    """Completions that were held against one another: what each was worth with its advantage, best
    first, and the mean of what they were held against."""

    paths: Sequence[tuple[float, float]]
    mean: float
    title: str


@dataclass(frozen=True, slots=True)
class InHand:
    """What is known of a cycle that is not whole."""

    cycle: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """The latest numbers of a run, as far as there are any."""

    cycle: int = 0
    """The one in hand, or the last."""
    num_cycles: int = 0
    settings: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Of ``cycle``, as far as they are known."""
    whole: Mapping[str, float] = field(default_factory=dict)
    """Of ``before``, the last whole cycle, where ``cycle`` is in hand."""
    before: int = 0
    settings_before: Mapping[str, object] = field(default_factory=dict)
    of: Mapping[str, int] = field(default_factory=dict)
    """Of which cycle what is drawn is, by the name of its field, where not of ``cycle``."""
    first: Mapping[str, float] = field(default_factory=dict)
    """What is drawn of the first cycle."""
    chances: Sequence[tuple[str, float]] = ()
    """Tokens as they were written, with the chance that each had (NaN: not known)."""
    best: Scored | None = None
    worst: Scored | None = None
    estimates: Estimates | None = None
    up: Word | None = None
    down: Word | None = None
    terms: Sequence[tuple[str, Share]] = ()
    dots: Dots | None = None
    siblings: Siblings | None = None
    courses: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Metrics of every cycle, as far as cards draw them."""
    rewards: Sequence[float] = ()
    """The compared reward, of the start policy at first."""
    made_up: bool = False
    """It is an example, not a run."""

    def latest(self, metric: str) -> float:
        """Return the latest value that is known; NaN where none is."""
        return self.metrics.get(metric, self.whole.get(metric, math.nan))

    @property
    def distance(self) -> float:
        """How far completions are from the start policy, in nats."""
        return self.latest(KL)

    def cycle_of(self, card: Card) -> int:
        """Return the cycle that what a card draws is of."""
        metric = {"leash": KL, "openness": card.metric, "course": card.metric,
                  "rewards": COMPARED}.get(card.drawing)
        if metric:
            earlier = metric not in self.metrics and metric in self.whole
            return self.before if earlier else self.cycle
        return self.of.get(_FIELDS.get(card.drawing, ""), self.cycle)

    def settings_of(self, card: Card) -> Mapping[str, object]:
        """Return the settings of the cycle that a card draws."""
        earlier = self.before and self.cycle_of(card) == self.before
        return self.settings_before if earlier else self.settings

    def say(self, card: Card) -> str:
        """Return what a card says in the numbers of the cycle that it draws, and which that is."""
        if self.made_up:
            return ""
        cycle = self.cycle_of(card)
        metrics, settings = {
            self.before: (self.whole, self.settings_before),
            self.cycle: (self.metrics, self.settings)}.get(cycle, ({}, {}))
        said = card.say(metrics, settings)
        return f"Cycle {cycle:,}: {said}" if said else ""


_FIELDS: Mapping[str, str] = {
    "chances": "chances", "scores": "best", "estimates": "estimates", "paths": "up",
    "terms": "terms", "band": "dots", "siblings": "siblings"}

EXAMPLE = Scene(
    cycle=0, made_up=True,
    metrics={KL: 3.2}, first={},
    chances=((" The", 0.62), (" staff", 0.18), (" was", 0.55), (" kind", 0.09), (" and", 0.71),
             (" patient", 0.04), (".", 0.83)),
    best=Scored("The staff was kind and patient.", 1.87),
    worst=Scored("The staff was rude and slow.", -1.34),
    estimates=Estimates("The staff was kind and patient.",
                        (0.34, 0.31, 0.38, 0.52, 0.95, 1.02, 1.23), 1.87),
    up=Word(" kind", 1.2, 1.15), down=Word(" rude", -1.1, 0.86),
    terms=(("L_POLICY", Share(-0.03, "−0.03")), ("c₁ · L_VF", Share(0.05, "0.05")),
           ("c₂ · L_ENT", Share(-0.01, "−0.01"))),
    dots=Dots((0.93, 0.97, 0.99, 1.0, 1.01, 1.02, 1.04, 1.07, 1.12, 0.9, 1.24, 0.77),
              (*[False] * 10, True, True), (0.8, 1.2)),
    siblings=Siblings(((1.87, 1.05), (1.2, 0.52), (0.3, -0.19), (-1.22, -1.38)), 0.54,
                      "mean"),
    rewards=(-0.1, 0.2, 0.5, 0.9, 1.1, 1.3))
"""What is drawn before there is a run."""


def read_scene(
    store: Store, run_id: int, cards: Sequence[Card], in_hand: InHand | None = None
) -> Scene:
    """Return the latest numbers of a run; of the cycle ``in_hand`` what is told of it and what is
    in the store. ``cards`` say which of them are drawn."""
    run = store.run(run_id)
    if run is None:
        return EXAMPLE
    algorithm, last = algorithm_of_run(run), run.cycles
    # Of a long run all numbers of all cycles would take a tenth of a second.
    series = store.metrics(run_id, [COMPARED, *(card.metric for card in cards if card.metric)])
    whole = store.cycle_metrics(run_id, last - 1).get(last, {})
    used: dict[int, Mapping[str, object]] = {
        at: store.settings_after(run_id, at) for at in (last, last + 1)}
    found, of = _read_tokens(store, run_id, last, algorithm, used, _column(cards))
    cycle = last
    metrics: Mapping[str, float] = whole
    if in_hand is not None and in_hand.cycle > last:
        cycle, metrics = in_hand.cycle, in_hand.metrics
    for at, numbers in ((cycle, metrics), (last, whole)):
        if terms := _read_terms(algorithm, numbers, used.get(at, used[last + 1]), at):
            found["terms"], of["terms"] = terms, at
            break
    compared = store.completions(run_id, 0)
    start = [sum(c.score for c in compared) / len(compared)] if compared else []
    rewards = list(series[COMPARED].values) if COMPARED in series else []
    if cycle > last and COMPARED in metrics:
        rewards.append(metrics[COMPARED])
    first = {card.metric: metrics[card.metric] for card in cards if card.metric in metrics}
    courses = {name: [*s.values, *([metrics[name]] if cycle > last and name in metrics else ())]
               for name, s in series.items()}
    return Scene(
        courses=courses, cycle=cycle,
        num_cycles=int(store.settings_planned(run_id).get("num_cycles", 0)),
        settings=used[last + 1 if cycle > last else last], settings_before=used[last],
        metrics=metrics, whole=whole if cycle > last else {},
        before=last if cycle > last else 0, of=of,
        first=first | {name: s.values[0] for name, s in series.items() if s.values},
        rewards=[*start, *rewards], **found)


def _column(cards: Sequence[Card]) -> str:
    return next((card.metric for card in cards if card.drawing == "chances"), "")


def _read_terms(
    algorithm: Algorithm, metrics: Mapping[str, float], settings: Mapping[str, object], cycle: int
) -> Sequence[tuple[str, Share]]:
    objective = algorithm.objective
    if objective is None or not all(name in metrics for name in objective.metrics):
        return ()
    shares = zip(objective.terms, objective.shares(metrics, settings, cycle), strict=True)
    return [(term.title, share) for term, share in shares
            if not (term.optional and share.off)]


def _read_tokens(
    store: Store, run_id: int, last: int, algorithm: Algorithm,
    used: Mapping[int, Mapping[str, object]], column: str,
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return what of a scene is seen of completions: of the cycle in hand what it has so far, the
    rest of the last one that is whole; and of which cycle each is."""
    found: dict[str, Any] = {}
    of: dict[str, int] = {}
    sides = algorithm.tokens.sides if algorithm.tokens else None
    for cycle in (last + 1, last):
        if algorithm.tokens is not None and sides is not None:
            seen = _of_sides(store.traces(run_id, cycle), algorithm.tokens, used[cycle])
            of = dict.fromkeys(seen, cycle) | of
            found = seen | found
            continue
        rollout = store.completions(run_id, cycle, "rollout")
        scored = [c for c in rollout if math.isfinite(c.score)]
        seen = {}
        if scored:
            best, worst = (pick(scored, key=lambda c: c.score) for pick in (max, min))
            seen |= {"best": Scored(_whole_text(best), best.score),
                     "worst": Scored(_whole_text(worst), worst.score)}
        traces = store.traces(run_id, cycle) if rollout else []
        if traces:
            seen |= _of_traces(traces, rollout, algorithm, used[cycle], column)
        of = dict.fromkeys(seen, cycle) | of
        found = seen | found
    return found, of


def _of_traces(
    traces: Sequence[TokenTrace], rollout: Sequence[CompletionRecord], algorithm: Algorithm,
    settings: Mapping[str, object], column: str,
) -> dict[str, Any]:
    scores = {c.position: c.score for c in rollout}
    cut_off = {c.position for c in rollout if not c.ended}
    # One that is good to look at: of those kept the one with the best score.
    shown = max(traces, key=lambda t: (
        scores[t.position] if math.isfinite(scores.get(t.position, math.nan)) else -math.inf))
    chances = shown.numbers.get(column)
    rest = went_on("".join(shown.pieces)) if shown.position in cut_off else ""
    found: dict[str, Any] = {"chances": [
        (piece, math.exp(float(chances[i])) if chances is not None else math.nan)
        for i, piece in enumerate(shown.pieces)] + ([(rest, math.nan)] if rest else [])}
    view = algorithm.tokens
    line = view.line if view is not None else None
    if view is None or line is None:
        return found
    found |= _estimates(shown, scores.get(shown.position, math.nan), rest, view, settings)
    if together := _siblings(traces, scores, shown.position, view, settings):
        found["siblings"] = together
    region = algorithm.objective.region if algorithm.objective else None
    if region is not None and region.advantage in shown.numbers:
        found |= _of_update(traces, region, settings, column)
    return found


def _estimates(
    trace: TokenTrace, score: float, rest: str, view: TokenView, settings: Mapping[str, object]
) -> dict[str, Any]:
    line = view.line
    steps = view.read(
        trace.pieces, {k: v.tolist() for k, v in trace.numbers.items()}, score, settings)
    values = [] if line is None else [line.estimate(step) for step in steps]
    if line is None or not values or not all(map(math.isfinite, values)):
        return {}
    begins = word_begins(trace.pieces)
    # What is foreseen before a word is so after the last piece of the word before it; of the last
    # word, what was foreseen last.
    at = begins if begins[-1] == len(values) - 1 else [*begins, len(values) - 1]
    found = [values[i] for i in at]
    end = line.end(steps[-1])
    if line.sums:  # the last token's share takes it to its total
        found.append(end)
    return {"estimates": Estimates(
        _written(trace.pieces, begins) + rest, found, end,
        "" if line.of_value_head else line.flag(steps[-1]).replace("\n", " "))}


def _of_sides(
    traces: Sequence[TokenTrace], view: TokenView, settings: Mapping[str, object]
) -> dict[str, Any]:
    """Return what is seen of completions that stand side by side, or that are marked: those two
    that are furthest apart, where that is known, and the first of them word by word."""
    marks = view.sides.marks if view.sides is not None else ()
    if view.sides is not None and marks:
        kinds = [[t for t in traces if view.sides.title(t.position, t.numbers) == mark]
                 for mark in (marks[-1], marks[0])]
        pairs = list(product(*kinds))
    else:
        pairs = [(one, other) for one, other in pairwise(traces)
                 if one.position % 2 == 0 and other.position == one.position + 1]
    if not pairs:
        return {}
    first, second = max(pairs, key=lambda pair: (
        pair[0].worth - pair[1].worth if math.isfinite(pair[0].worth) else 0.0))
    best, worst = (Scored(visible(f"{trace.prompt_text}{''.join(trace.pieces)}"), trace.worth)
                   for trace in (first, second))
    return {"best": best, "worst": worst,
            **_estimates(first, first.worth, "", view, settings)}


def _siblings(
    traces: Sequence[TokenTrace], scores: Mapping[int, float], position: int, view: TokenView,
    settings: Mapping[str, object],
) -> Siblings | None:
    """Return the group of a completion; where each prompt has one, some of the batch."""
    declared = view.siblings
    if declared is None:
        return None
    count = settings.get(declared.count)
    each = count if isinstance(count, int) and count > 1 else len(traces)
    group = [t for t in traces if t.position // each == position // each]
    paths, against = [], []
    for trace in group[::max(1, len(group) // _SIBLINGS)]:
        steps = view.read(trace.pieces, {k: v.tolist() for k, v in trace.numbers.items()},
                          scores.get(trace.position, math.nan), settings)
        if steps:
            paths.append((declared.worth(steps), declared.advantage(steps)))
            against.append(declared.against(steps))
    known = paths and all(math.isfinite(x) for path in paths for x in path)
    return Siblings(sorted(paths, reverse=True), fmean(against), declared.line) if known else None


def _of_update(
    traces: Sequence[TokenTrace], region: TrustRegion, settings: Mapping[str, object], column: str
) -> dict[str, Any]:
    """Return the words that turned out best and worst where there was a choice, and the dots in the
    trust region where the update is over."""
    pieces = [(trace.pieces, i) for trace in traces for i in range(len(trace.pieces))]
    advantages = np.concatenate([trace.numbers[region.advantage] for trace in traces])
    updated = all(region.ratio in trace.numbers for trace in traces)
    ratios = np.concatenate([trace.numbers[region.ratio] for trace in traces]) if updated else (
        np.full(len(pieces), math.nan))
    words = [row for row, (of, i) in enumerate(pieces) if any(map(str.isalpha, of[i]))]
    found: dict[str, Any] = {}
    if words and np.isfinite(advantages).all():
        weights = advantages
        if all(column in trace.numbers for trace in traces):
            chances = np.exp(np.concatenate([trace.numbers[column] for trace in traces]))
            weights = advantages * (1 - chances)
        up, down = (pick(words, key=weights.__getitem__) for pick in (max, min))
        found = {name: Word(whole_word(*pieces[row]), float(advantages[row]), float(ratios[row]))
                 for name, row in (("up", up), ("down", down))}
    if updated and np.isfinite(ratios).all():
        held = region.held(ratios, advantages, settings)
        every = max(1, len(ratios) // _DOTS)
        found["dots"] = Dots(ratios[::every].tolist(), held[::every].tolist(),
                             region.band(settings))
    return found


def word_begins(pieces: Sequence[str]) -> list[int]:
    """Return which pieces begin a word: the first one and all that begin with a space."""
    return [i for i, piece in enumerate(pieces) if not i or piece[:1].isspace()]


def _written(pieces: Sequence[str], begins: Sequence[int]) -> str:
    return " ".join(visible("".join(pieces[first:end]))
                    for first, end in pairwise([*begins, len(pieces)]))


def went_on(text: str) -> str:
    """Return what stands at the end of a text that was cut off: "…" in the midst of a sentence."""
    return "" if text.rstrip()[-1:] in tuple(".!?…") else "…"


def _whole_text(record: CompletionRecord) -> str:
    text = record.prompt_text + record.text
    return text if record.ended else text.rstrip() + went_on(text)


def whole_word(pieces: Sequence[str], at: int) -> str:
    """Return the word that a token is in: from the last space before its end to the next."""
    first = at
    while first and pieces[first][:1].isalpha() and pieces[first - 1][-1:].isalpha():
        first -= 1
    last = at
    while last + 1 < len(pieces) and pieces[last][-1:].isalpha() and (
            pieces[last + 1][:1].isalpha()):
        last += 1
    return "".join(pieces[first:last + 1])
