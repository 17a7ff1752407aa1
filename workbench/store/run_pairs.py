"""Pairs made of what a run wrote: of two completions of one prompt, the one that scored higher."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from workbench.records import Pair
from workbench.store.pair_files import PairFile
from workbench.store.records import CompletionRecord, Prompt

if TYPE_CHECKING:  # a window wants its first paint before the database
    from workbench.store.queries import Queries
    from workbench.store.records import RunRecord

_READ = 200
"""So many completions of a run are read to tell whether they make pairs."""
_CLOSE, _UNSCORED = "whose scores are too close", "without a score"


def pairs_of_run(store: Queries, run_id: int, *, least: float | None = None) -> PairFile:
    """Return the pairs of all that a run wrote to learn from, in whichever cycle:
    :func:`pairs_of_scored`. There may be none. What it wrote to be compared is never learned from,
    by no other run either."""
    return pairs_of_scored(
        store.run_prompts(run_id), store.every_rollout(run_id), least=least)


def may_make_pairs(store: Queries, run: RunRecord) -> bool:
    """Return whether a run makes pairs. A long one, which would take long to read, does by so many
    completions, unless its reward gives all the same score."""
    return store.scored_rollout(run) and (
        store.wrote_more_than(run, _READ) or bool(pairs_of_run(store, run.id).pairs))


def pairs_of_scored(
    prompts: Sequence[Prompt], completions: Iterable[CompletionRecord], *,
    least: float | None = None,
) -> PairFile:
    """Return pairs of a better and a worse completion of one prompt.

    Of each prompt the completion that scored highest stands against the one that scored lowest, the
    second highest against the second lowest, and so on: each is in one pair at most, and equal
    texts are one completion. What cannot be told apart by its score is no pair. A completion
    without words is one if it ended: an end token alone is what a policy may write.

    Args:
        prompts: those that the completions are of, by their positions.
        least: the least difference in score; None: half the deviation of all scores.
    """
    counts: Counter[str] = Counter()
    by_prompt: dict[int, dict[str, CompletionRecord]] = defaultdict(dict)
    for completion in completions:
        if not math.isfinite(completion.score):
            counts[_UNSCORED] += 1
        elif completion.text.strip() or completion.ended:
            by_prompt[completion.prompt].setdefault(completion.text, completion)
    if least is None:
        scores = [c.score for found in by_prompt.values() for c in found.values()]
        least = statistics.pstdev(scores) / 2 if scores else 0.0
    pairs = []
    for position, found in sorted(by_prompt.items()):
        ranked = sorted(found.values(), key=lambda c: (-c.score, c.text))
        for place in range(len(ranked) // 2):
            better, worse = ranked[place], ranked[-1 - place]
            if better.score - worse.score < least or better.score == worse.score:
                counts[_CLOSE] += len(ranked) // 2 - place
                break
            pairs.append(_pair(prompts[position], better, worse))
    return PairFile(tuple(pairs), (), tuple(counts.items()))


def _pair(prompt: Prompt, better: CompletionRecord, worse: CompletionRecord) -> Pair:
    margin = better.score - worse.score
    if not prompt.messages:
        return Pair(prompt.text, better.text, worse.text, (), better.ended, worse.ended, margin)
    return Pair(
        list(prompt.messages), [("assistant", better.text)], [("assistant", worse.text)], (),
        better.ended, worse.ended, margin)
