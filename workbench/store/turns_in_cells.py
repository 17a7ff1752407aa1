"""Conversations in a cell of a CSV file, as a table of them is exported: as JSON, or as Python and
numpy print a list of dictionaries."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from workbench.store.csv_cells import as_text, text_of

_BEGINS = re.compile(r"\s*\[\s*\{")
_KEPT = re.compile(r"'+\s*\[\s*\{")
_LIKE_TURNS = re.compile(
    r"""\s*\[\s*\{\s*['"](role|from|content|value)['"]\s*:.*\]\s*""", re.DOTALL)
_APART = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|\}\s+\{""", re.DOTALL)


class UnreadableTurnsError(ValueError):
    """A cell looks like a list of messages and cannot be read as one."""


def cell_of(text: str) -> str:
    """Return a cell that :func:`value_of` takes for ``text`` and a spreadsheet for no formula."""
    return f"'{text}" if _BEGINS.match(text) or _KEPT.match(text) else as_text(text)


def value_of(cell: str) -> str | list[Any]:
    """Return what a cell says: a list of messages, or else its text.

    Raises:
        UnreadableTurnsError: it looks like the first and is not.
    """
    if _KEPT.match(cell):
        return cell[1:]
    if not _BEGINS.match(cell):
        return text_of(cell)
    for read in (json.loads, ast.literal_eval, _read_printed):
        try:
            value = read(cell.strip())
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if isinstance(value, list) and all(
            isinstance(turn, dict) and isinstance(turn.get("role", turn.get("from")), str)
            for turn in value
        ):
            return value
    if _LIKE_TURNS.fullmatch(cell):
        raise UnreadableTurnsError
    return text_of(cell)


def _read_printed(cell: str) -> object:
    """Read a list as numpy prints it, without commas."""
    return ast.literal_eval(_APART.sub(lambda found: found[1] or "}, {", cell))
