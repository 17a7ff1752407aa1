"""The numbers of the bars: what is kept of a place, or a whole distribution reshaped. No Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.algorithm import EntropyTerm
from workbench.records import Distribution, TokenTrace

Array = NDArray[np.float64]
_NEVER = -1e4  # the logarithm of what is no chance at all
ROWS = 10
"""So many of the likeliest tokens of a whole distribution have a bar."""
_BY = {"start": "Start policy", "before": "Before the update", "steered": "With values",
       "after": "After it"}
_BESIDE_STEERED = {"before": "Policy alone"}


@dataclass(frozen=True, slots=True)
class Row:
    """A token, or all others together (``piece`` is None). ``chances`` has one number a mark, NaN
    where it is not known, and so is ``push`` where there is none."""

    piece: str | None
    chances: tuple[float, ...]
    push: float = math.nan
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn of a place.

    ``marks`` name who finds tokens how likely, ``main`` is the place in it of the policy that the
    rows are ordered and pushed by. ``entropy`` is its entropy in nats at the sampling temperature,
    ``reshaped`` that at the temperature shown; NaN where they are not known.
    """

    marks: tuple[str, ...] = ()
    main: int = 0
    rows: tuple[Row, ...] = ()
    entropy: float = math.nan
    reshaped: float = math.nan

    @property
    def pushes(self) -> bool:
        """Whether it is known what the entropy term pushes."""
        return any(math.isfinite(row.push) for row in self.rows)


def tempered(logprobs: Array, temperature: float) -> Array:
    """Return the log-probabilities of ``softmax(z / T)`` for the logits z of ``logprobs``."""
    scaled = np.asarray(logprobs, float) / temperature
    scaled = scaled - scaled.max()
    return np.asarray(scaled - np.log(np.exp(scaled).sum()))


def entropy_of(logprobs: Array) -> float:
    """Return the entropy of a whole distribution, in nats."""
    chances = np.exp(logprobs)
    return -float(chances @ np.maximum(logprobs, _NEVER))


def read_kept(
    trace: TokenTrace, at: int, term: EntropyTerm | None, settings: Mapping[str, Any], cycle: int
) -> Picture:
    """Return what a run has kept of a place; nothing is drawn where it kept no likeliest tokens."""
    found = trace.likeliest
    if found is None:
        return Picture()
    by = [name for name in _BY if name in found.logprobs]
    ids = found.tokens[at].tolist()
    # The one that was drawn comes last, and may be among the others.
    columns = [i for i, token in enumerate(ids) if token not in ids[:i]]
    logprobs = np.array([found.logprobs[name][at][columns] for name in by], float)
    entropy = math.nan if term is None or term.column not in trace.numbers else float(
        trace.numbers[term.column][at])
    steered = "steered" in by
    main = by.index("steered" if steered else "before")
    marks = {**_BY, **_BESIDE_STEERED} if steered else _BY
    pushes = np.full(len(columns), math.nan)
    if term is not None and math.isfinite(entropy) and not term.off(settings, cycle):
        pushes = term.push(logprobs[main], entropy, settings)
    return Picture(
        tuple(marks[name] for name in by), main,
        _rows([found.pieces[ids[i]] for i in columns], np.exp(logprobs), pushes,
              [ids[i] == ids[-1] for i in columns]),
        entropy, entropy)


class Whole:
    """A whole distribution, at any temperature. What the term pushes is at that of sampling,
    whatever is shown."""

    def __init__(
        self, found: Distribution, term: EntropyTerm | None, settings: Mapping[str, Any],
        cycle: int,
    ) -> None:
        """Take what was read at a place of ``cycle``, which had these settings."""
        self._logprobs = [np.maximum(np.asarray(by, float), _NEVER)
                          for by in (found.start, found.logprobs)]
        sampled = tempered(self._logprobs[1], settings.get("temperature", 1.0))
        self._marks = (_BY["start"], found.reader)
        # The order is the same at every temperature.
        ids = [int(i) for i in np.argsort(-found.logprobs, kind="stable")[:ROWS]]
        self._ids = ids + ([found.taken] if found.taken not in ids else [])
        self._pieces = [found.pieces[i] for i in self._ids]
        self._drawn = [i == found.taken for i in self._ids]
        self._entropy = entropy_of(sampled)
        self._pushes = np.full(len(self._ids), math.nan)
        if term is not None and not term.off(settings, cycle):
            self._pushes = term.push(sampled[self._ids], self._entropy, settings)

    def at(self, temperature: float) -> Picture:
        """Return what is drawn of it at ``temperature``."""
        chances = []
        for logprobs in self._logprobs:
            # Of a large vocabulary each pass over all takes a while: no more than are needed.
            scaled = logprobs / temperature
            scaled -= scaled.max()
            weights = np.exp(scaled)
            total = float(weights.sum())
            chances.append(weights[self._ids] / total)
        entropy = math.log(total) - float(weights @ scaled) / total  # of the last
        return Picture(
            self._marks, 1, _rows(self._pieces, np.array(chances), self._pushes, self._drawn),
            self._entropy, entropy)


def _rows(
    pieces: list[str], chances: Array, pushes: Array, drawn: list[bool]
) -> tuple[Row, ...]:
    """Return a row a token, (marks, n) ``chances`` and (n,) ``pushes``, and one of all others: a
    whole distribution adds up to 1, and what its logits are pushed to 0."""
    rows = [Row(piece, tuple(chances[:, i].tolist()), float(pushes[i]), drawn[i])
            for i, piece in enumerate(pieces)]
    others = (1 - chances.sum(axis=1)).clip(min=0.0)
    return (*rows, Row(None, tuple(others.tolist()), -float(pushes.sum())))
