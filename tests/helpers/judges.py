"""Judges of tests: what a server says, and pairs to be asked about."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from workbench.judging.questions import Answer, Question
from workbench.store.judged import PairToJudge, Side
from workbench.store.store import Store

RUBRIC = "Prefer what is good."


def pairs(number: int) -> list[PairToJudge]:
    """Pairs whose first completion is the good one."""
    return [PairToJudge(f"Prompt {i}", Side(f"good {i}"), Side(f"a bad one {i}"))
            for i in range(number)]


def put_in(store: Store, found: list[PairToJudge], name: str = "Mine") -> int:
    """Put pairs into a set of this name."""
    set_id = store.judgements.make_set(name, seed=5).result()
    store.judgements.add(set_id, found).result()
    return set_id


def chat(text: object, **more: object) -> dict[str, Any]:
    """A chat completion as servers send it."""
    return {"choices": [{"message": {"role": "assistant", "content": text},
                         "finish_reason": "stop", **more}]}


def prefers_good(posted: Any) -> dict[str, Any]:
    """Prefer the completion that says it is good."""
    return chat(f"One is better.\n[[{'A' if shown(posted)[0].startswith('good') else 'B'}]]")


def shown(posted: Any) -> list[str]:
    """Return the completions of a question, as A and as B."""
    return re.findall(r"answer [AB]\n(.*?)\n=====", posted["messages"][0]["content"], re.DOTALL)


class Told:
    """A judge that says what it is told to, and remembers what it was asked."""

    def __init__(self, says: Callable[[Question], Answer], name: str = "told") -> None:
        self.says, self.name = says, name
        self.asked: list[tuple[str, bool]] = []

    def ask(self, question: Question, step: Callable[[], object]) -> Answer:
        """Say it."""
        step()
        self.asked.append((question.pair.prompt, question.swapped))
        return self.says(question)
