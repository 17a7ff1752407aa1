"""Cells of a CSV file that hold text from a model or a person.

A spreadsheet takes a cell that begins with one of a few characters for a formula, which can run a
program or send the sheet away; with an apostrophe before it, it is text.
"""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def as_text(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; :func:`text_of` gives ``cell`` back.
    Not for numbers, which may begin with a minus sign."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def text_of(cell: str) -> str:
    """Return what a cell said before :func:`as_text`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell
