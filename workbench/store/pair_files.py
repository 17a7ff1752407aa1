"""Files of preferences: read with every line that is no pair named, and written as TRL reads
them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from workbench.formatting import counted
from workbench.records import Pair
from workbench.store.pair_layouts import TIE, UnpairedError, layout_of, pairs_of
from workbench.store.prompt_files import records_of
from workbench.store.prompt_layouts import BadRecordError
from workbench.store.prompt_readers import PromptFileError, Wanted

T = TypeVar("T")

_PAIRS = Wanted(layout_of, 'there is no "chosen" and "rejected" among them')
_OTHERS = "that cannot be read"


@dataclass(frozen=True, slots=True)
class PairFile:
    """What a file held. ``problems`` has one sentence for each record that is no pair, ties among
    them; ``counts`` are they by kind."""

    pairs: tuple[Pair, ...]
    problems: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()

    @property
    def ties(self) -> int:
        """How many records found both completions as good."""
        return dict(self.counts).get(TIE, 0)

    @property
    def disagreements(self) -> int:
        """How many pairs are also there the other way round: people disagree, and all count."""
        seen = Counter((_key(p.prompt), *p.answers) for p in self.pairs)
        return sum(min(number, seen[prompt, rejected, chosen])
                   for (prompt, chosen, rejected), number in seen.items() if chosen < rejected)

    @property
    def summary(self) -> str:
        """Say in one sentence what was read and what was not."""
        said = [counted(len(self.pairs), "pair")]
        if self.ties:
            said.append(counted(self.ties, "tie"))
        text = ", ".join(said)
        left = [(kind, number) for kind, number in self.counts if kind != TIE]
        if left:
            text += f", {sum(number for _, number in left):,} left out: " + ", ".join(
                f"{number:,} {kind}" for kind, number in left)
        if opposed := self.disagreements:
            text += f"; {opposed:,} judged both ways"
        return f"{text}."


def read_pairs(path: Path) -> PairFile:
    """Read the pairs of a file, by its ending, as :func:`workbench.store.prompt_files.read_prompts`
    does; the layouts are those of :mod:`workbench.store.pair_layouts`. There may be none.

    Raises:
        PromptFileError: the file is missing, unreadable, not text, or empty.
    """
    return PairFile(*read_file(
        path, _PAIRS, pairs_of, "is a text, and no pair of completions",
        'pairs; write {"prompt": …, "chosen": …, "rejected": …} on each line'))


def read_file(
    path: Path, wanted: Wanted, read: Callable[[Mapping[str, Any]], list[T]], is_text: str,
    what: str,
) -> tuple[tuple[T, ...], tuple[str, ...], tuple[tuple[str, int], ...]]:
    """Return what ``read`` makes of the records of a file, a sentence for each that was left out,
    and how many of these there are of each kind.

    Args:
        is_text: said of a record that is a text alone.
        what: there is none of in an empty file.

    Raises:
        PromptFileError: the file is missing, unreadable, not text, or empty.
    """
    found: list[T] = []
    problems: list[str] = []
    counts: Counter[str] = Counter()
    for where, parse in records_of(path, wanted):
        try:
            record = parse()
            if isinstance(record, str):
                raise BadRecordError(is_text)
            found += read(record)
        except BadRecordError as error:
            problems.append(f"{where} {error}.")
            counts[error.kind if isinstance(error, UnpairedError) else _OTHERS] += 1
    if not found and not problems:
        raise PromptFileError(f"{path.name} holds no {what}.")
    return tuple(found), tuple(problems), tuple(counts.items())


def pair_lines(pairs: Iterable[Pair]) -> str:
    """Return pairs as JSON Lines in TRL's explicit layout, which :func:`read_pairs` reads back."""
    return "".join(f"{json.dumps(pair_record(pair), ensure_ascii=False)}\n" for pair in pairs)


def pairs_of_lines(lines: str) -> tuple[Pair, ...]:
    """Return what :func:`pair_lines` wrote."""
    return tuple(_pair(json.loads(line)) for line in lines.split("\n") if line)


def _pair(record: Mapping[str, Any]) -> Pair:
    prompt, chosen, rejected = (
        value if isinstance(value, str) else [(turn["role"], turn["content"]) for turn in value]
        for value in (record["prompt"], record["chosen"], record["rejected"]))
    return Pair(
        prompt, chosen, rejected,
        tuple((role, said) for role, said in record.get("prompt_messages", ())),
        record.get("chosen_ended", True), record.get("rejected_ended", True),
        record.get("margin"), record.get("by", ""))


def pair_record(pair: Pair) -> dict[str, Any]:
    """Return a pair in TRL's explicit layout."""
    record: dict[str, Any] = {
        name: value if isinstance(value, str) else [
            {"role": role, "content": content} for role, content in value]
        for name, value in (("prompt", pair.prompt), ("chosen", pair.chosen),
                            ("rejected", pair.rejected))}
    for name, ended in (("chosen_ended", pair.chosen_ended),
                        ("rejected_ended", pair.rejected_ended)):
        if not ended:
            record[name] = False
    if pair.messages:
        record["prompt_messages"] = pair.messages
    if pair.margin is not None:
        record["margin"] = pair.margin
    if pair.by:
        record["by"] = pair.by
    return record


def _key(prompt: object) -> str:
    return prompt if isinstance(prompt, str) else json.dumps(prompt)
