"""Prompt files: plain text, JSON Lines and CSV, read with every bad line named by its number."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.store.csv_cells import as_text, text_of
from workbench.store.records import Prompt

TEXT_COLUMNS = ("prompt", "text")
_YES = {"1", "true", "yes", "on", "x"}
_NO = {"0", "false", "no", "off"}


class PromptFileError(Exception):
    """A prompt file that cannot be read or written. The message is one plain sentence."""


class _BadLineError(Exception):
    """Why one line was left out; completes the words "Line 3 ..."."""


@dataclass(frozen=True, slots=True)
class PromptFile:
    """What a file held. ``problems`` has one sentence for each line that was left out."""

    prompts: tuple[Prompt, ...]
    problems: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """Say in one sentence what was read and what was not."""
        read = f"{_count(len(self.prompts), 'prompt')} read"
        if not self.problems:
            return f"{read}."
        first, others = self.problems[0].rstrip("."), len(self.problems) - 1
        more = f"; {others:,} more {'line' if others == 1 else 'lines'} left out" if others else ""
        return f"{first}{more}; {read}."


def read_prompts(path: Path) -> PromptFile:
    """Read the prompts of a ``.txt``, ``.jsonl`` or ``.csv`` file (UTF-8).

    - txt: one prompt a line; blank lines are skipped, nothing is interpreted.
    - jsonl: on each line an object with ``prompt`` (or ``text``), or a bare string.
    - csv: the column ``prompt`` (or ``text``), or the only column of a file without a header.

    jsonl and csv may say ``enabled`` and ``pinned``.

    Raises:
        PromptFileError: the file is missing, unreadable, not text, or holds no prompt.
    """
    reader = _format(path, _READERS)
    text = _read_text(path)
    prompts: list[Prompt] = []
    problems: list[str] = []
    for number, parse in reader(path, text):
        try:
            prompts.append(parse())
        except _BadLineError as error:
            problems.append(f"Line {number:,} {error}.")
    result = PromptFile(tuple(prompts), tuple(problems))
    if not prompts:
        why = f": {result.summary}" if problems else "; write one prompt on each line."
        raise PromptFileError(f"{path.name} holds no prompts{why}")
    return result


def write_prompts(path: Path, prompts: Sequence[Prompt]) -> None:
    """Write ``prompts`` in the format of the file's ending; :func:`read_prompts` gives them back.

    Plain text keeps only the texts, not which prompts are enabled or pinned.

    Raises:
        PromptFileError: the format cannot hold a prompt, or the file cannot be written. What was
            in the file before is then still there.
    """
    writer = _format(path, _WRITERS)
    for number, prompt in enumerate(prompts, 1):
        if not prompt.text.strip():
            raise PromptFileError(f"Prompt {number:,} is empty; give it a text or delete it.")
    data = writer(prompts)
    try:
        # Beside the target, so that replacing it is one step and a full disk harms nothing.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o644)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise PromptFileError(
            f"{path} could not be written ({error.strerror}); choose another folder."
        ) from error


# -- plain text

def _read_txt(path: Path, text: str) -> Iterator[tuple[int, Callable[[], Prompt]]]:
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if line.strip():
            yield number, lambda line=line: Prompt(line)  # type: ignore[misc]


def _write_txt(prompts: Sequence[Prompt]) -> bytes:
    for number, prompt in enumerate(prompts, 1):
        if "\n" in prompt.text or "\r" in prompt.text:
            raise PromptFileError(
                f"Prompt {number:,} has more than one line, which plain text cannot keep; save as "
                ".jsonl or .csv instead."
            )
        _refuse_nul(number, prompt, "Plain text")
    text = "".join(f"{p.text}\n" for p in prompts)
    # A text that begins with U+FEFF would lose it to the byte-order mark's reading.
    return text.encode("utf-8-sig" if text.startswith("\ufeff") else "utf-8")


# -- JSON Lines

def _read_jsonl(path: Path, text: str) -> Iterator[tuple[int, Callable[[], Prompt]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, lambda line=line: _from_json(line)  # type: ignore[misc]


def _from_json(line: str) -> Prompt:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise _BadLineError("is not JSON") from None
    if isinstance(value, str):
        return _prompt(value)
    if not isinstance(value, dict):
        raise _BadLineError("is neither an object nor a string")
    text = next((value[key] for key in TEXT_COLUMNS if key in value), None)
    if not isinstance(text, str):
        raise _BadLineError('has no text under "prompt" or "text"')
    flags = {}
    for key in ("enabled", "pinned"):
        if key in value:
            if not isinstance(value[key], bool):
                raise _BadLineError(f'has "{key}" that is neither true nor false')
            flags[key] = value[key]
    return _prompt(text, **flags)


def _write_jsonl(prompts: Sequence[Prompt]) -> bytes:
    lines = []
    for prompt in prompts:
        value: dict[str, object] = {"prompt": prompt.text}
        if not prompt.enabled:
            value["enabled"] = False
        if prompt.pinned:
            value["pinned"] = True
        lines.append(json.dumps(value, ensure_ascii=False) + "\n")
    return "".join(lines).encode()


# -- CSV

def _read_csv(path: Path, text: str) -> Iterator[tuple[int, Callable[[], Prompt]]]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a prompt may be long
    rows = _csv_rows(text, ",")
    number, first = next(((n, row) for n, row in rows if row), (0, None))
    if first is None or isinstance(first, csv.Error):
        rows, header = _csv_rows(text, ","), None
    else:
        header = _header(first)
        for delimiter in ";\t":  # as spreadsheets of many countries write it
            if header is None and (other := _header(first[0].split(delimiter))):
                header, rows = other, _csv_rows(text, delimiter)
                next(row for _, row in rows if row)
        if header is None:
            if len(first) > 1:
                raise PromptFileError(
                    f'{path.name} has {len(first)} columns and none is named "prompt" or "text"; '
                    "name them in the first line."
                )
            rows = _csv_rows(text, ",")
    for number, row in rows:
        if row:
            yield number, lambda row=row: _from_row(row, header)  # type: ignore[misc]


def _csv_rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Give each row with the number of its first line; a broken row as the error it raised."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, error


def _header(row: list[str]) -> dict[str, int] | None:
    names = {name.strip().lower(): i for i, name in reversed(list(enumerate(row)))}
    return names if any(name in names for name in TEXT_COLUMNS) else None


def _from_row(row: list[str] | csv.Error, header: dict[str, int] | None) -> Prompt:
    if isinstance(row, csv.Error):
        unclosed = "end of data" in str(row)
        raise _BadLineError("opens a quotation mark that is never closed" if unclosed
                            else "is not valid CSV (look at its quotation marks)")
    if header is None:
        if len(row) > 1:
            raise _BadLineError("has more than one column (put its text in quotation marks)")
        return _prompt(text_of(row[0]))
    if len(row) > len(header):
        raise _BadLineError("has more columns than the header (put its text in quotation marks)")
    column = next(header[name] for name in TEXT_COLUMNS if name in header)
    flags = {}
    for key in ("enabled", "pinned"):
        cell = row[header[key]].strip().lower() if header.get(key, len(row)) < len(row) else ""
        if cell in _YES | _NO:
            flags[key] = cell in _YES
        elif cell:
            raise _BadLineError(f'has "{key}" that is neither true nor false')
    return _prompt(text_of(row[column]) if column < len(row) else "", **flags)


def _write_csv(prompts: Sequence[Prompt]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(("prompt", "enabled", "pinned"))
    for number, prompt in enumerate(prompts, 1):
        _refuse_nul(number, prompt, "CSV")
        writer.writerow((as_text(prompt.text), int(prompt.enabled), int(prompt.pinned)))
    return file.getvalue().encode()


# -- common

_READERS = {".txt": _read_txt, ".jsonl": _read_jsonl, ".csv": _read_csv}
_WRITERS = {".txt": _write_txt, ".jsonl": _write_jsonl, ".csv": _write_csv}
ENDINGS = tuple(_READERS)


def _format(path: Path, formats: dict[str, Callable]) -> Callable:
    try:
        return formats[path.suffix.lower()]
    except KeyError:
        if path.is_dir():
            raise PromptFileError(f"{path} is a folder; choose a file of prompts.") from None
        raise PromptFileError(
            f"{path.name} has an unknown ending; prompts are kept in .txt, .jsonl or .csv files."
        ) from None


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise PromptFileError(f"There is no file {path}; check its name.") from None
    except OSError as error:
        raise PromptFileError(f"{path} cannot be read ({error.strerror}).") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise PromptFileError(f"{path.name} is UTF-16; save it as UTF-8.")
    if b"\0" in data:
        raise PromptFileError(f"{path.name} is not a text file.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PromptFileError(
            f"{path.name} is not UTF-8 (line {line:,}); save it as UTF-8."
        ) from None


def _prompt(text: str, **flags: bool) -> Prompt:
    if not text.strip():
        raise _BadLineError("has an empty prompt")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _BadLineError("has half a surrogate pair, which is no character") from None
    return Prompt(text, **flags)


def _refuse_nul(number: int, prompt: Prompt, what: str) -> None:
    if "\0" in prompt.text:
        raise PromptFileError(
            f"Prompt {number:,} has a NUL character, which {what} cannot keep; save as .jsonl "
            "instead."
        )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"
