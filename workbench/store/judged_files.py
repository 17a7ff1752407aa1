"""Files of judged pairs and of thumbs: read with every line that is neither named, and written for
others to learn from (TRL's explicit layout as JSON Lines) or whole, a mark a row (CSV)."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from workbench.formatting import counted
from workbench.store.csv_cells import as_text
from workbench.store.judged import (
    CLEARLY,
    Choice,
    JudgedPair,
    Mark,
    Origin,
    PairToJudge,
    Side,
    Thumb,
)
from workbench.store.pair_files import pair_record
from workbench.store.pair_layouts import (
    Told,
    UnpairedError,
    Verdict,
    judged_layout_of,
    number_of,
    told_of,
)
from workbench.store.prompt_files import records_of, write_whole
from workbench.store.prompt_layouts import BadRecordError, Fields
from workbench.store.prompt_readers import PromptFileError, Wanted
from workbench.store.records import Message
from workbench.store.scored_layouts import layout_of as scored_layout_of
from workbench.store.scored_layouts import scored_of
from workbench.store.turns_in_cells import cell_of

WRITTEN = (".jsonl", ".csv")
_OTHERS = "that cannot be read"
_SIDES = (("answer_a", "a", "first"), ("answer_b", "b", "second"))
_WINNERS: Mapping[Choice, str] = {
    "first": "a", "second": "b", "tie": "tie", "both_bad": "both bad"}


def _layout_of(names: Sequence[str]) -> tuple[str, ...]:
    return judged_layout_of(names) or scored_layout_of(names)


_JUDGED = Wanted(_layout_of, 'there are no two answers, nor "completion" and "label", among them')


@dataclass(frozen=True, slots=True)
class JudgedFile:
    """What a file held. ``problems`` has one sentence for each record that was left out; ``counts``
    are they by kind."""

    found: tuple[tuple[PairToJudge, tuple[Mark, ...]], ...]
    thumbs: tuple[Thumb, ...] = ()
    problems: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()

    @property
    def summary(self) -> str:
        """Say in one sentence what was read and what was not."""
        choices = Counter(mark.choice for _, marks in self.found for mark in marks)
        said = [counted(len({pair.digest for pair, _ in self.found}), "pair")] * bool(self.found)
        for number, noun in ((choices["first"] + choices["second"], "preference"),
                             (choices["tie"], "tie"), (len(self.thumbs), "thumb")):
            said += [counted(number, noun)] * bool(number)
        said += [f"{choices['both_bad']:,} both bad"] * bool(choices["both_bad"])
        text = ", ".join(said) or "Nothing"
        if self.counts:
            text += f", {sum(number for _, number in self.counts):,} left out: " + ", ".join(
                f"{number:,} {kind}" for kind, number in self.counts)
        return f"{text}."


def read_judged(path: Path) -> JudgedFile:
    """Read pairs with what people said of them, pairs that nobody has judged, and completions with
    a label that is true or false, by the file's ending as
    :func:`workbench.store.prompt_files.read_prompts` does. There may be none.

    Raises:
        PromptFileError: the file is missing, unreadable, not text, or empty.
    """
    found: list[tuple[PairToJudge, tuple[Mark, ...]]] = []
    thumbs: list[Thumb] = []
    problems: list[str] = []
    counts: Counter[str] = Counter()
    records = records_of(path, _JUDGED)
    source = ""
    for where, parse in records:
        source = source or sha256(path.read_bytes()).hexdigest()[:16]
        line = int(re.sub(r"\D", "", where))
        origin = Origin(file=path.name, line=line)
        try:
            record = parse()
            if isinstance(record, str):
                raise BadRecordError("is a text, and no pair of completions")
            if _is_labelled(record):
                thumbs += _thumbs_of(record, origin)
            else:
                found.append(_judged_of(record, origin, f"{source}:{line}"))
        except BadRecordError as error:
            problems.append(f"{where} {error}.")
            counts[error.kind if isinstance(error, UnpairedError) else _OTHERS] += 1
    if not found and not thumbs and not problems:
        raise PromptFileError(
            f'{path.name} holds no pairs; write {{"prompt": …, "chosen": …, "rejected": …}} on '
            "each line.")
    return JudgedFile(tuple(found), tuple(thumbs), tuple(problems), tuple(counts.items()))


def write_judged(path: Path, pairs: Iterable[JudgedPair], marks: Iterable[Mark]) -> str:
    """Write a set's pairs, as :func:`read_judged` reads them, and say in a sentence what that was.

    JSON Lines have the pairs that preferences make, a line each, in TRL's explicit layout; CSV has
    a row for each mark that stands or is a repeat, and for each pair without.

    Raises:
        PromptFileError: the format cannot hold a text, or the file cannot be written.
    """
    by_pair: dict[int, list[Mark]] = {}
    for mark in marks:
        if mark.choice != "skip" and (mark.stands or mark.repeat):
            by_pair.setdefault(mark.pair, []).append(mark)
    judged = [(each.pair, by_pair.get(each.id, [])) for each in pairs]
    ending = path.suffix.lower()
    writer = {".jsonl": _write_jsonl, ".csv": _write_csv}.get(ending)
    if writer is None:
        raise PromptFileError(
            f"{path.name} has an unknown ending; judged pairs are written to .jsonl or .csv files.")
    data, said = writer(judged)
    write_whole(path, data)
    return said


def write_thumbs(path: Path, thumbs: Iterable[Thumb]) -> str:
    """Write what was said of single completions as JSON Lines, in the layout that TRL's KTOTrainer
    and :func:`read_judged` read, and say in a sentence what that was.

    Raises:
        PromptFileError: the ending is another, or the file cannot be written.
    """
    if path.suffix.lower() != ".jsonl":
        raise PromptFileError(
            f"{path.name} has an unknown ending; thumbs are written to .jsonl files.")
    lines = [f"{json.dumps(_thumb_record(thumb), ensure_ascii=False)}\n" for thumb in thumbs]
    write_whole(path, "".join(lines).encode())
    return f"{counted(len(lines), 'thumb')} written."


# -- reading

def _judged_of(
    record: Mapping[str, Any], origin: Origin, source: str
) -> tuple[PairToJudge, tuple[Mark, ...]]:
    told = told_of(record, unjudged=True)
    fields = told.fields
    first, second = (
        Side(text, told.ended(name), _finite(fields.get(f"score_{letter}")),
             _origin(fields.get(f"from_{letter}")) or origin)
        for text, name, letter in zip(told.answers, told.names, "ab", strict=True))
    pair = PairToJudge(
        told.prompt.text, first, second, tuple(Message(*turn) for turn in told.messages),
        told.turns, _text(fields, "scored_by"))
    if not pair.differs:
        raise UnpairedError("has two answers that differ in spaces alone", "equal texts")
    return pair, tuple(
        _mark(told, verdict, f"{source}:{place}") for place, verdict in enumerate(told.verdicts))


def _mark(told: Told, verdict: Verdict, source: str) -> Mark:
    fields = told.fields
    choice: Choice = ("first" if verdict.better > 0 else "second" if verdict.better < 0 else
                      "both_bad" if verdict.bad else "tie")
    strength = number_of(fields.get("strength"))
    left = {"a": "first", "b": "second"}.get(_text(fields, "left"), "")
    return Mark(
        0, 0, verdict.by, choice,
        max(0, min(CLEARLY, int(strength))) if strength is not None else verdict.strength,
        _is_true(fields.get("judge_model")), _text(fields, "at"), _finite(fields.get("seconds")),
        left, _text(fields, "guidelines"), told.margin(verdict) if verdict.better else None,
        _is_true(fields.get("repeat")), source=source)


def _is_labelled(record: Mapping[str, Any]) -> bool:
    fields = Fields(record)
    return fields.has("completion") and fields.has("label") and not judged_layout_of(list(record))


def _thumbs_of(record: Mapping[str, Any], origin: Origin) -> Iterator[Thumb]:
    fields = Fields(record)
    for scored in scored_of(record):
        if scored.score not in (0, 1):
            raise UnpairedError('has a "label" that is neither true nor false', "without a verdict")
        yield Thumb(
            scored.prompt.text, Side(scored.completion, scored.ended, origin=origin),
            _text(fields, "by"), bool(scored.score),
            tuple(Message(*turn) for turn in scored.prompt.messages), bool(scored.prompt.messages),
            _text(fields, "at"))


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _finite(value: Any) -> float:
    found = number_of(value)
    return math.nan if found is None else found


def _is_true(value: Any) -> bool:
    return value in (True, 1, "1", "true", "True")


def _origin(said: Any) -> Origin | None:
    if not isinstance(said, str) or not said:
        return None
    try:
        return Origin.of_json(said)
    except (ValueError, TypeError):
        return None


# -- writing

_Judged = list[tuple[PairToJudge, list[Mark]]]


def _write_jsonl(judged: _Judged) -> tuple[bytes, str]:
    lines, repeats, neither, unmarked = [], 0, 0, 0
    for pair, marks in judged:
        unmarked += not marks
        for mark in marks:
            if mark.repeat:
                repeats += 1
            elif (decided := pair.decided(mark)) is None:
                neither += 1
            else:
                record = pair_record(decided) | _beside(mark)
                lines.append(f"{json.dumps(record, ensure_ascii=False)}\n")
    left = [counted(number, noun) for number, noun in (
        (repeats, "repeat"), (unmarked, "unmarked pair")) if number]
    if neither:
        left.append(f"{neither:,} ties or both bad")
    said = f"{counted(len(lines), 'preference')} written"
    if left:
        said += f"; left out, which CSV would keep: {', '.join(left)}"
    return "".join(lines).encode(), f"{said}."


def _thumb_record(thumb: Thumb) -> dict[str, Any]:
    turns = thumb.messages or ((Message("user", thumb.prompt),) if thumb.turns else ())
    text = thumb.completion.text
    said: dict[str, Any] = {
        "prompt": [turn._asdict() for turn in turns] if turns else thumb.prompt,
        "completion": [{"role": "assistant", "content": text}] if turns else text,
        "label": thumb.up}
    return said | {name: value for name, value in (("by", thumb.by), ("at", thumb.at)) if value} | (
        {} if thumb.completion.ended else {"ended": False})


def _beside(mark: Mark) -> dict[str, Any]:
    said: dict[str, Any] = {
        "strength": mark.strength, "judge_model": mark.judge, "at": mark.at,
        "seconds": None if math.isnan(mark.seconds) else mark.seconds,
        "guidelines": mark.guidelines}
    return {name: value for name, value in said.items() if value}


def _write_csv(judged: _Judged) -> tuple[bytes, str]:
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(_COLUMNS)
    number = 0
    for place, (pair, marks) in enumerate(judged, 1):
        rows: list[Mark | None] = [*marks] or [None]
        for mark in rows:
            row = [column(pair, mark) for column in _COLUMNS.values()]
            if any("\0" in cell for cell in row if isinstance(cell, str)):
                raise PromptFileError(
                    f"Pair {place:,} has a NUL character, which CSV cannot keep; save as .jsonl "
                    "instead.")
            writer.writerow(row)
            number += mark is not None
    return file.getvalue().encode(), (
        f"{counted(number, 'mark')} of {counted(len(judged), 'pair')} written.")


_Cell = str | int | float
_Column = Callable[[PairToJudge, Mark | None], _Cell]


def _prompt_cell(pair: PairToJudge, _: Mark | None) -> str:
    if not pair.turns:
        return cell_of(pair.prompt)
    turns = pair.messages or (Message("user", pair.prompt),)
    return json.dumps([turn._asdict() for turn in turns], ensure_ascii=False)


def _of_mark(read: Callable[[Mark], _Cell | None]) -> _Column:
    def column(_: PairToJudge, mark: Mark | None) -> _Cell:
        value = None if mark is None else read(mark)
        return "" if value is None or value != value else as_text(value) if (
            isinstance(value, str)) else value
    return column


def _of_side(name: str, read: Callable[[Side], _Cell | None]) -> _Column:
    def column(pair: PairToJudge, _: Mark | None) -> _Cell:
        value = read(getattr(pair, name))
        return "" if value is None or value != value else value
    return column


_LETTERS = {"first": "a", "second": "b", "": ""}
_COLUMNS: Mapping[str, _Column] = {
    "prompt": _prompt_cell,
    **{answer: _of_side(name, lambda side: cell_of(side.text)) for answer, _, name in _SIDES},
    "winner": _of_mark(lambda mark: _WINNERS[mark.choice]),
    "strength": _of_mark(lambda mark: mark.strength),
    "by": _of_mark(lambda mark: mark.by),
    "judge_model": _of_mark(lambda mark: int(mark.judge)),
    "at": _of_mark(lambda mark: mark.at),
    "seconds": _of_mark(lambda mark: mark.seconds),
    "left": _of_mark(lambda mark: _LETTERS[mark.left]),
    "guidelines": _of_mark(lambda mark: mark.guidelines),
    "margin": _of_mark(lambda mark: mark.margin),
    "repeat": _of_mark(lambda mark: int(mark.repeat)),
    **{f"{answer}_ended": _of_side(name, lambda side: int(side.ended))
       for answer, _, name in _SIDES},
    **{f"score_{letter}": _of_side(name, lambda side: side.score) for _, letter, name in _SIDES},
    **{f"from_{letter}": _of_side(name, lambda side: side.origin.to_json())
       for _, letter, name in _SIDES},
    "scored_by": lambda pair, _: as_text(pair.scored_by),
    "prompt_text": lambda pair, _: as_text(pair.prompt) if pair.turns and pair.messages else "",
    "prompt_messages": lambda pair, _: json.dumps(pair.messages) if (
        pair.messages and not pair.turns) else "",
}
