"""Prompt files of each format, written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence

from workbench.store.csv_cells import as_text
from workbench.store.prompt_layouts import chat_prompt
from workbench.store.prompt_readers import PromptFileError
from workbench.store.records import Prompt
from workbench.store.turns_in_cells import cell_of


def write_txt(prompts: Sequence[Prompt]) -> bytes:
    """Return the texts, one a line.

    Raises:
        PromptFileError: one of them has several lines, a NUL character or several turns.
    """
    for number, prompt in enumerate(prompts, 1):
        _refuse_turns(number, prompt, "plain text")
        if "\n" in prompt.text or "\r" in prompt.text:
            raise PromptFileError(
                f"Prompt {number:,} has more than one line, which plain text cannot keep; save as "
                ".jsonl or .csv instead.")
        _refuse_nul(number, [prompt.text], "Plain text")
    # A text that begins with U+FEFF would lose it to the reading of a mark of byte order.
    return "".join(f"{mark}{p.text}\n" for p in prompts
                   for mark in ("\ufeff" * p.text.startswith("\ufeff"),)).encode()


def write_jsonl(prompts: Sequence[Prompt]) -> bytes:
    """Return an object a line."""
    return b"".join(map(_json_line, prompts))


def write_csv(prompts: Sequence[Prompt]) -> bytes:
    """Return a table with a header.

    Raises:
        PromptFileError: a prompt has a NUL character, several turns, or a column that is no text.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    columns = list(dict.fromkeys(name for p in prompts for name in p.columns))
    writer.writerow(("prompt", "enabled", "pinned", *columns))
    for number, prompt in enumerate(prompts, 1):
        _refuse_turns(number, prompt, "CSV")
        cells = [prompt.columns.get(name, "") for name in columns]
        for name, cell in zip(columns, cells, strict=True):
            if not isinstance(cell, str):
                raise PromptFileError(f"Prompt {number:,} has “{name}”, which is no text and which "
                                      "CSV cannot keep as it is; save as .jsonl instead.")
        texts = [prompt.text, *map(str, cells)]
        _refuse_nul(number, texts, "CSV")
        _refuse_half_pairs(number, texts)
        writer.writerow((cell_of(prompt.text), int(prompt.enabled), int(prompt.pinned),
                         *map(as_text, texts[1:])))
    return file.getvalue().encode()


WRITERS: Mapping[str, Callable[[Sequence[Prompt]], bytes]] = {
    ".txt": write_txt, ".jsonl": write_jsonl, ".csv": write_csv}


def _json_line(prompt: Prompt) -> bytes:
    asked: dict[str, object] = {"prompt": prompt.text}
    if prompt.messages:
        asked["prompt"] = [message._asdict() for message in prompt.messages]
        if prompt.text != chat_prompt(prompt.messages).text:
            asked["prompt_text"] = prompt.text
    flags = {"enabled": False} if not prompt.enabled else {}
    if prompt.pinned:
        flags["pinned"] = True
    value = asked | {k: v for k, v in prompt.columns.items() if k not in asked} | flags
    try:
        return f"{json.dumps(value, ensure_ascii=False)}\n".encode()
    except UnicodeEncodeError:  # what a file says beside a prompt may have half a surrogate pair
        return f"{json.dumps(value)}\n".encode()


def _refuse_nul(number: int, texts: Sequence[str], what: str) -> None:
    if any("\0" in text for text in texts):
        raise PromptFileError(
            f"Prompt {number:,} has a NUL character, which {what} cannot keep; save as .jsonl "
            "instead.")


def _refuse_half_pairs(number: int, texts: Sequence[str]) -> None:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise PromptFileError(
            f"Prompt {number:,} has half a surrogate pair in a column, which CSV cannot keep; save "
            "as .jsonl instead.") from None


def _refuse_turns(number: int, prompt: Prompt, what: str) -> None:
    if prompt.messages:
        raise PromptFileError(f"Prompt {number:,} is a conversation, which {what} cannot keep; "
                              "save as .jsonl instead.")
