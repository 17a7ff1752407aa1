"""Files of completions with scores: read with every line that is none named, and written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from workbench.formatting import counted
from workbench.records import ScoredText, TextPrompt
from workbench.store.pair_files import read_file
from workbench.store.prompt_readers import Wanted
from workbench.store.scored_layouts import layout_of, scored_of

_SCORED = Wanted(layout_of, 'there is no "completion" and "score" among them')


@dataclass(frozen=True, slots=True)
class ScoredFile:
    """What a file, or a run, held. ``problems`` has one sentence for each record that was left out;
    ``counts`` are they by kind."""

    texts: tuple[ScoredText, ...]
    problems: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()

    @property
    def summary(self) -> str:
        """Say in one sentence what was read and what was not."""
        text = counted(len(self.texts), "scored completion")
        if self.counts:
            text += f", {sum(number for _, number in self.counts):,} left out: " + ", ".join(
                f"{number:,} {kind}" for kind, number in self.counts)
        return f"{text}{say_scores(self.texts)}."


def say_scores(texts: Iterable[ScoredText]) -> str:
    """Say how many texts to one prompt have several scores, which all count, or that all have one
    score, which teaches nothing; nothing otherwise."""
    scores: dict[tuple[object, ...], float] = {}
    unlike = set()
    for text in texts:
        key = (text.prompt.text, text.prompt.messages, text.completion, text.ended)
        if scores.setdefault(key, text.score) != text.score:
            unlike.add(key)
    if unlike:
        return f"; {counted(len(unlike), 'text')} scored in several ways"
    return "; all have the same score" if len(scores) > 1 and len({*scores.values()}) == 1 else ""


def read_scored(path: Path) -> ScoredFile:
    """Read the scored completions of a file, by its ending, as
    :func:`workbench.store.prompt_files.read_prompts` does; the layouts are those of
    :mod:`workbench.store.scored_layouts`. There may be none.

    Raises:
        PromptFileError: the file is missing, unreadable, not text, or empty.
    """
    return ScoredFile(*read_file(
        path, _SCORED, scored_of, "is a text without a score",
        'scored completions; write {"prompt": …, "completion": …, "score": …} on each line'))


def scored_lines(texts: Iterable[ScoredText]) -> str:
    """Return scored completions as JSON Lines, which :func:`scored_of_lines` reads back."""
    found = []
    for text in texts:
        record: dict[str, object] = {
            "prompt": text.prompt.text, "completion": text.completion, "score": text.score}
        if text.prompt.messages:
            record["messages"] = [list(turn) for turn in text.prompt.messages]
        if not text.ended:
            record["ended"] = False
        found.append(f"{json.dumps(record, ensure_ascii=False)}\n")
    return "".join(found)


def scored_of_lines(lines: str) -> tuple[ScoredText, ...]:
    """Return what :func:`scored_lines` wrote."""
    return tuple(
        ScoredText(TextPrompt(record["prompt"], tuple(
            (role, said) for role, said in record.get("messages", ()))),
            record["completion"], record["score"], record.get("ended", True))
        for record in map(json.loads, filter(None, lines.split("\n"))))
