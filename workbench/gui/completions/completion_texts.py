"""How completions and their numbers are written, on screen and in files."""

from __future__ import annotations

import csv
import io
import math
from itertools import zip_longest

from workbench.formatting import difference, number
from workbench.gui.completions.rows import Row, Shown, cycle_name
from workbench.gui.widgets.theme import themes
from workbench.records import Completion
from workbench.store.csv_cells import as_text
from workbench.store.records import CompletionRecord

_ARROWS = {"+": "▲", "−": "▼"}


def change(before: str, after: str) -> str:
    """Write the change from one written reward to another with an arrow and a sign: colour is
    never the only cue. Nothing where one is unknown."""
    said = difference(before, after)
    return f"{_ARROWS.get(said[0], '=')} {said}" if said else ""


def change_of(row: Row) -> str:
    """Write by how much a prompt's reward changed, which is what the two rewards show."""
    return change(*row.ends)


def change_colour(said: str) -> str:
    """Return the colour of a written change: green, red, or that of what stayed."""
    theme = themes().theme
    return {"▲": theme.good, "▼": theme.bad}.get(said[:1], theme.muted)


def coloured_change(said: str) -> str:
    """Write a change as HTML, in its colour."""
    # In one piece: an arrow at a line's end says nothing.
    return f"<nobr><b style='color:{change_colour(said)}'>{said}</b></nobr>"


def facts(record: CompletionRecord | Completion) -> str:
    """Write a completion's numbers in one line."""
    made_of = ", ".join(f"{name} {number(score)}" for name, score in record.parts.items())
    reward = f"reward {number(record.score)}" + (f" ({made_of})" if made_of else "")
    parts = [reward, f"KL {number(record.kl)}", f"{record.length:,} tokens"]
    if record.cut:
        parts.append(f"reward model did not read the first {record.cut:,} of its tokens")
    return " · ".join(parts if record.ended else [*parts, "cut off"])


def as_markdown(shown: Shown) -> str:
    """Write rows as Markdown, a section each."""
    sections = []
    for row in shown.rows:
        lines = [f"**{_quote(row.prompt)}**"]
        if said := change_of(row):
            lines[0] += f" {said}"
        for cycle, record in zip(shown.cycles, row.records, strict=True):
            if record is not None:
                lines += ["", f"{cycle_name(cycle).capitalize()} ({facts(record)}):", "",
                          *(f"> {line}" for line in record.text.splitlines() or [""])]
        sections.append("\n".join(lines) + "\n")
    return "\n".join(sections)


def as_csv(shown: Shown) -> str:
    """Write rows as CSV: of two cycles as before and after, with what lies between them."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    between = max(0, len(shown.cycles) - 2)
    sides = ("before", *("between" if between == 1 else f"between_{i + 1}"
                         for i in range(between)), "after")
    writer.writerow(["prompt", "pinned", "change_in_reward", *(
        f"{name}_{side}" for side in sides
        for name in ("cycle", "text", "reward", "kl", "length", "ended", "reward_tokens_cut"))])
    for row in shown.rows:
        cells: list[object] = [as_text(row.prompt), int(row.pinned), _cell(row.change)]
        for _, cycle, record in zip_longest(sides, shown.cycles, row.records):
            cells += ["" for _ in range(7)] if record is None else [
                cycle, as_text(record.text), _cell(record.score), _cell(record.kl), record.length,
                int(record.ended), record.cut]
        writer.writerow(cells)
    return file.getvalue()


def _cell(value: float) -> str:
    return repr(value) if math.isfinite(value) else ""


def _quote(text: str) -> str:
    return " ".join(text.split()).replace("*", r"\*")
