"""What runs wrote and what it was scored, to be learned from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from workbench.records import ScoredText, TextPrompt
from workbench.store.scored_files import ScoredFile

if TYPE_CHECKING:  # a window wants its first paint before the database
    from workbench.store.queries import Queries

MOST = 50_000
"""Completions that are learned from: more take long to read and much room beside each run."""


def scored_of_runs(store: Queries, run_ids: Iterable[int]) -> ScoredFile:
    """Return all that runs wrote to learn from, in whichever cycle, with its scores; equal texts to
    one prompt are one completion. There may be none. What they wrote to be compared is never
    learned from, by no other run either: held-out prompts are among its prompts.

    Args:
        run_ids: the first matter most: of :data:`MOST` completions at most.
    """
    counts: Counter[str] = Counter()
    found: dict[tuple[object, ...], ScoredText] = {}
    for run_id in run_ids:
        prompts = [TextPrompt(p.text, tuple((role, said) for role, said in p.messages))
                   for p in store.run_prompts(run_id)]
        for written in store.every_rollout(run_id):
            if not math.isfinite(written.score):
                counts["without a score"] += 1
                continue
            prompt = prompts[written.prompt]
            key = (prompt.text, prompt.messages, written.text, written.ended)
            if key in found:
                counts["written more than once"] += 1
            elif len(found) == MOST:
                counts[f"beyond {MOST:,}"] += 1
            else:
                found[key] = ScoredText(prompt, written.text, written.score, written.ended)
    return ScoredFile(tuple(found.values()), (), tuple(counts.items()))
