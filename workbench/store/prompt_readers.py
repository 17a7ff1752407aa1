"""Files of prompts, or of pairs, of each format, read record by record."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from functools import partial
from typing import Any

from workbench.store.csv_cells import text_of
from workbench.store.prompt_layouts import BadRecordError
from workbench.store.turns_in_cells import UnreadableTurnsError, value_of

Record = Mapping[str, Any] | str
"""Fields by name, or a text without one."""
Records = Iterator[tuple[str, Callable[[], Record]]]
"""Where each record of a file is ("Line 3"), and what reads it or raises BadRecordError."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for in a file. ``layout_of(names)`` gives which of the columns of these names
    hold it, in lower case, and none where it is no layout that is known; ``named`` says what would
    have to be there."""

    layout_of: Callable[[Sequence[str]], tuple[str, ...]]
    named: str


_MARK = "\ufeff"
"""A mark of byte order: at the start of a file, and of each of those it was put together from."""
_SEPARATOR = re.compile(r'"?sep=([^"\r\n])"?(?:\r\n|\r|\n)', re.IGNORECASE)


class PromptFileError(Exception):
    """A prompt file that cannot be read or written. The message is one plain sentence."""


def read_txt(name: str, text: str, wanted: Wanted) -> Records:
    """Read one text a line."""
    for number, line in enumerate(re.split("\r\n|\r|\n", text), 1):
        if line.removeprefix(_MARK).strip():
            yield _line(number), partial(str, line.removeprefix(_MARK))


def read_jsonl(name: str, text: str, wanted: Wanted) -> Records:
    """Read an object a line, or an array of them."""
    if text.lstrip(_MARK + " \t\r\n").startswith("["):
        try:
            whole = json.loads(text.lstrip(_MARK))
        except (ValueError, RecursionError):
            pass  # a line is at fault, or each is an array
        else:
            yield from _entries(whole)
            return
    if (values := _one_after_another(text)) is not None:
        yield from _entries(values)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.removeprefix(_MARK).strip():
            yield _line(number), partial(_from_line, line.removeprefix(_MARK))


def read_json(name: str, text: str, wanted: Wanted) -> Records:
    """Read an array of objects, one object, an object that holds an array of them, or what is
    JSON Lines in truth."""
    try:
        whole = json.loads(text.lstrip(_MARK))
    except RecursionError:
        raise PromptFileError(f"{name} is nested too deeply to be read.") from None
    except ValueError as error:
        first = text.lstrip(_MARK).lstrip().partition("\n")[0]
        if not _is_json(first) and _one_after_another(text) is None:
            line = getattr(error, "lineno", 1)
            raise PromptFileError(f"{name} is not JSON (line {line:,}); mend it there.") from None
        yield from read_jsonl(name, text, wanted)
        return
    if isinstance(whole, dict):
        inside = [value for value in whole.values()
                  if isinstance(value, list) and value and isinstance(value[0], dict)]
        whole = inside[0] if len(inside) == 1 and not wanted.layout_of(list(whole)) else [whole]
    yield from _entries(whole if isinstance(whole, list) else [whole])


def read_csv(name: str, text: str, wanted: Wanted, delimiter: str = ",") -> Records:
    """Read the columns that a header names, or the only column of a file without one."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a prompt may be long
    skipped = columns = 0
    if told := _SEPARATOR.match(text.lstrip(_MARK)):  # by Excel, for itself
        text, delimiter, skipped = text.lstrip(_MARK)[told.end() :], told[1], 1
    header: list[str] | None = None
    for other in dict.fromkeys([delimiter, ",", ";", "\t", "|"]):  # as spreadsheets write it
        first = next((row for _, row in _csv_rows(text, other) if row), [])
        names = [] if isinstance(first, csv.Error) else [n.strip(f"{_MARK} \t") for n in first]
        if wanted.layout_of(names):
            header, delimiter = names, other
            break
        if other == delimiter and len(names) > 1:
            columns = len(names)
    if header is None and columns:
        raise PromptFileError(
            f"{name} has {columns} columns and {wanted.named}; name them in the first line.")
    rows = _csv_rows(text, delimiter)
    layout = () if header is None else wanted.layout_of(header)
    if header is not None:
        next(row for _, row in rows if row)
    for number, row in rows:
        if row:
            yield _line(number + skipped), partial(_from_row, row, header, layout)


def read_parquet(name: str, data: bytes) -> Records:
    """Read the rows of a Parquet file.

    Raises:
        PromptFileError: pyarrow is not installed, or the file is damaged.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise PromptFileError(
            f"{name} is a Parquet file, which needs the Python package pyarrow; install it "
            "(pip install 'ppo-workbench[parquet]') and open the file again.") from None
    number = 0
    try:
        for batch in pq.ParquetFile(pa.BufferReader(data)).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"Row {number:,}", partial(_as_json, row)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise PromptFileError(f"{name} cannot be read as Parquet ({reason}).") from error


TEXT_READERS: Mapping[str, Callable[[str, str, Wanted], Records]] = {
    ".txt": read_txt, ".jsonl": read_jsonl, ".json": read_json, ".csv": read_csv,
    ".tsv": partial(read_csv, delimiter="\t"),
}


# -- JSON

def _entries(values: list[Any]) -> Records:
    for number, value in enumerate(values, 1):
        yield f"Entry {number:,}", partial(_from_value, value)


def _from_line(line: str) -> Record:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise BadRecordError("is not JSON") from None
    return _from_value(value)


def _from_value(value: Any) -> Record:
    if not isinstance(value, dict | str):
        raise BadRecordError("is neither an object nor a string")
    return value


def _one_after_another(text: str) -> list[Any] | None:
    """Return objects that stand one after another, over several lines each or several in one, as
    jq writes them; None: lines are what they are apart by, or something is no JSON."""
    rest = text.lstrip(_MARK + " \t\r\n")
    if not rest.startswith("{") or _is_json(rest.partition("\n")[0]):
        return None
    found, place, read = [], 0, json.JSONDecoder().raw_decode
    while place < len(rest):
        try:
            value, place = read(rest, place)
        except (ValueError, RecursionError):
            return None
        found.append(value)
        while place < len(rest) and rest[place].isspace():
            place += 1
    return found


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _as_json(value: Any) -> Any:
    """Return what a Parquet file holds as JSON values."""
    match value:
        case dict():
            return {str(name): _as_json(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_as_json(inner) for inner in value]
        case None | bool() | int() | float() | str():
            return value
        case date() | time():  # a datetime is a date
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return str(value)


# -- text and CSV

def _line(number: int) -> str:
    return f"Line {number:,}"


class _Lines:
    """The lines of a CSV file; a mark of byte order is left out where a row begins."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self.row_begins = True

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        begins, self.row_begins = self.row_begins, False
        return line.lstrip(_MARK) if begins else line


def _csv_rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Give each row with the number of its first line; a broken row as the error it raised."""
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        number, lines.row_begins = reader.line_num + 1, True
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, error


def _from_row(
    row: list[str] | csv.Error, header: list[str] | None, layout: tuple[str, ...]
) -> Record:
    if isinstance(row, csv.Error):
        unclosed = "end of data" in str(row)
        raise BadRecordError("opens a quotation mark that is never closed" if unclosed
                             else "is not valid CSV (look at its quotation marks)")
    if header is None:
        if len(row) > 1:
            raise BadRecordError("has more than one column (put its text in quotation marks)")
        only = _cell("prompt", row[0])
        return {"prompt": only} if isinstance(only, list) else only
    if len(row) > len(header):
        raise BadRecordError("has more columns than the header (put its text in quotation marks)")
    if [cell.strip() for cell in row] == header:
        raise BadRecordError("repeats the names of the columns")
    record: dict[str, object] = {}
    for name, cell in zip(header, row + [""] * (len(header) - len(row)), strict=True):
        if name and name not in record:
            record[name] = _cell(name, cell) if name.casefold() in layout else text_of(cell)
    return record


def _cell(name: str, cell: str) -> str | list[Any]:
    try:
        return value_of(cell)
    except UnreadableTurnsError:
        raise BadRecordError(
            f'has a "{name}" that looks like a list of messages and is neither JSON nor what '
            'Python prints of one (from pandas, write it by to_json with orient="records", '
            "lines=True)") from None
