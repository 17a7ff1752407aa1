"""Pairs made of what a run wrote, for a person to say which is better."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from workbench.store.judged import Origin, PairToJudge, Side
from workbench.store.records import CompletionRecord, Kind, Prompt

if TYPE_CHECKING:  # a window wants its first paint before the database
    from workbench.store.queries import Queries


def pairs_of_cycles(store: Queries, run_id: int, first: int, second: int) -> list[PairToJudge]:
    """Return what the compared prompts were completed with after two cycles (0: by the start
    policy), for each prompt both."""
    writes = _Writes(store, run_id)
    others = {each.position: each for each in store.completions(run_id, second)}
    return [writes.pair((first, one), (second, others[one.position]), "comparison")
            for one in store.completions(run_id, first) if one.position in others]


def pairs_of_siblings(store: Queries, run_id: int, cycle: int) -> list[PairToJudge]:
    """Return what a cycle wrote to the same prompt, two and two, each completion in one pair at
    most."""
    writes = _Writes(store, run_id)
    by_prompt: dict[int, list[CompletionRecord]] = defaultdict(list)
    for each in store.completions(run_id, cycle, "rollout"):
        by_prompt[each.prompt].append(each)
    return [writes.pair((cycle, one), (cycle, other), "rollout")
            for found in by_prompt.values() for one, other in _two_and_two(found)]


def side_of(identity: str, cycle: int, kind: Kind, completion: CompletionRecord) -> Side:
    """Return a run's completion as a side of a pair."""
    return Side(completion.text, completion.ended, completion.score,
                Origin(identity, cycle, kind, completion.position))


class _Writes:
    """What all pairs of a run have in common."""

    def __init__(self, store: Queries, run_id: int) -> None:
        run = store.run(run_id)
        self._identity = store.identity(run_id)
        self._prompts: Sequence[Prompt] = store.run_prompts(run_id)
        self._scored_by = run.reward if run else ""

    def pair(self, first: tuple[int, CompletionRecord], second: tuple[int, CompletionRecord],
             kind: Kind) -> PairToJudge:
        """Return a pair of completions, each with its cycle."""
        prompt = self._prompts[first[1].prompt]
        one, other = (side_of(self._identity, cycle, kind, each) for cycle, each in (first, second))
        return PairToJudge(
            prompt.text, one, other, prompt.messages, bool(prompt.messages), self._scored_by)


def _two_and_two(
    completions: Iterable[CompletionRecord],
) -> Iterator[tuple[CompletionRecord, CompletionRecord]]:
    """Give completions that differ, two and two."""
    distinct = {each.text.strip(): each for each in completions}
    found = iter(distinct.values())
    return zip(found, found, strict=False)
