"""Prompt files: plain text, JSON, CSV and Parquet, read with every bad line named by its number."""

from __future__ import annotations

import codecs
import gzip
import os
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.formatting import counted
from workbench.store.prompt_layouts import BadRecordError, layout_of, prompt_of, text_prompt
from workbench.store.prompt_readers import (
    TEXT_READERS,
    PromptFileError,
    Record,
    Records,
    Wanted,
    read_parquet,
)
from workbench.store.prompt_writers import WRITERS
from workbench.store.records import Prompt

_PARQUET, _PACKED = ".parquet", ".gz"
_FORMATS = (*TEXT_READERS, _PARQUET)
ENDINGS = (*_FORMATS, *(f"{ending}{_PACKED}" for ending in TEXT_READERS))
"""Endings of files that can be read."""
WRITTEN = tuple(WRITERS)
"""Endings of files that can be written."""
_PLAIN = {"prompt", "text"}
_PROMPTS = Wanted(layout_of, 'none is named "prompt" or "text"')
_MOST = 2**30  # bytes: what a small packed file unpacks to may have no end
_MARKS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class PromptFile:
    """What a file held. ``problems`` has one sentence for each record that was left out;
    ``fields`` are those that the prompts were made of, where they have names."""

    prompts: tuple[Prompt, ...]
    problems: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    @property
    def from_layout(self) -> bool:
        """Whether the prompts were made of other fields than they have here."""
        return not _PLAIN.issuperset(self.fields)

    @property
    def summary(self) -> str:
        """Say in one sentence what was read and what was not."""
        read = f"{counted(len(self.prompts), 'prompt')} read"
        if self.from_layout:
            read += f" from {_listed(self.fields)}"
        if columns := dict.fromkeys(name for p in self.prompts for name in p.columns):
            read += f", with {_listed(tuple(columns))} beside"
        if not self.problems:
            return f"{read}."
        first, others = self.problems[0].rstrip("."), len(self.problems) - 1
        more = f"; {others:,} more {'line' if others == 1 else 'lines'} left out" if others else ""
        return f"{first}{more}; {read}."


def is_prompt_file(path: Path) -> bool:
    """Whether a file's ending is that of a file that can be read."""
    return path.name.lower().endswith(ENDINGS)


def read_prompts(path: Path) -> PromptFile:
    """Read the prompts of a file, by its ending; each may be packed (``.gz``).

    - txt: one prompt a line; blank lines are skipped, nothing is interpreted.
    - jsonl: on each line an object, or a bare string; or an array of them.
    - json: an array of them, or one.
    - csv, tsv: the columns of a header, or the only column of a file without one.
    - parquet: its columns; needs pyarrow.

    An object's prompt is under ``prompt`` or ``text``, or in one of the layouts that
    :mod:`workbench.store.prompt_layouts` knows; it may say ``enabled`` and ``pinned``. Text is
    UTF-8, or what a mark of byte order says.

    Raises:
        PromptFileError: the file is missing, unreadable, not text, or holds no prompt.
    """
    prompts: list[Prompt] = []
    problems: list[str] = []
    fields: dict[str, None] = {}
    for where, parse in records_of(path, _PROMPTS):
        try:
            prompt, names = _prompt(parse())
        except BadRecordError as error:
            problems.append(f"{where} {error}.")
        else:
            prompts.append(prompt)
            fields |= dict.fromkeys(names)
    result = PromptFile(tuple(prompts), tuple(problems), tuple(fields))
    if not prompts:
        why = f": {result.summary}" if problems else "; write one prompt on each line."
        raise PromptFileError(f"{path.name} holds no prompts{why}")
    return result


def write_prompts(path: Path, prompts: Sequence[Prompt]) -> None:
    """Write ``prompts`` in the format of the file's ending; :func:`read_prompts` gives them back.

    Plain text keeps only the texts, not which prompts are enabled or pinned, nor their columns.

    Raises:
        PromptFileError: the format cannot hold a prompt, or the file cannot be written. What was
            in the file before is then still there.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise _unknown(path, WRITTEN)
    for number, prompt in enumerate(prompts, 1):
        if not prompt.text.strip():
            raise PromptFileError(f"Prompt {number:,} is empty; give it a text or delete it.")
    write_whole(path, writer(prompts))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, or leave it as it was.

    Raises:
        PromptFileError: it cannot be written.
    """
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


def _prompt(record: Record) -> tuple[Prompt, tuple[str, ...]]:
    """Return the prompt of a record, and the names of the fields that it was made of."""
    return (text_prompt(record), ()) if isinstance(record, str) else prompt_of(record)


def records_of(path: Path, wanted: Wanted) -> Records:
    """Give the records of a file by its ending, each with where it is and what reads it.

    Raises:
        PromptFileError: the file is missing, unreadable or not text.
    """
    packed = path.suffix.lower() == _PACKED
    ending = (Path(path.stem) if packed else path).suffix.lower()
    if ending not in _FORMATS or (packed and ending == _PARQUET):
        raise _unknown(path, ENDINGS)
    data = _read(path, packed)
    if ending == _PARQUET:
        return read_parquet(path.name, data)
    return TEXT_READERS[ending](path.name, _decode(path, data), wanted)


def _unknown(path: Path, endings: Sequence[str]) -> PromptFileError:
    if path.is_dir():
        return PromptFileError(f"{path} is a folder; choose a file of prompts.")
    plain = [ending for ending in endings if not ending.endswith(_PACKED)]
    packed = ", packed or not (.gz)" if len(plain) < len(endings) else ""
    return PromptFileError(
        f"{path.name} has an unknown ending; what can be read are "
        f"{', '.join(plain[:-1])} or {plain[-1]} files{packed}.")


def _read(path: Path, packed: bool) -> bytes:
    try:
        if not packed:
            return path.read_bytes()
        with gzip.open(path) as file:
            data = file.read(_MOST + 1)
    except FileNotFoundError:
        raise PromptFileError(f"There is no file {path}; check its name.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise PromptFileError(
            f"{path.name} cannot be unpacked ({error}); it may be damaged or incomplete."
        ) from error
    except OSError as error:
        raise PromptFileError(f"{path} cannot be read ({error.strerror}).") from error
    if len(data) > _MOST:
        raise PromptFileError(f"{path.name} unpacks to more than 1 GB; unpack and divide it.")
    return data


def _decode(path: Path, data: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = encoding.upper() if encoding == "utf-8" else f"the {encoding.upper()} it says it is"
        raise PromptFileError(f"{path.name} is not {what} (line {line:,}); save it as UTF-8."
                              ) from None
    if (nul := text.find("\0")) >= 0:
        raise PromptFileError(f"{path.name} is not a text file: there is a NUL character in line "
                              f"{text.count(chr(10), 0, nul) + 1:,}.")
    return text


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 5 else ""
    return ", ".join(f"“{name}”" for name in (names[:4] if more else names)) + more
