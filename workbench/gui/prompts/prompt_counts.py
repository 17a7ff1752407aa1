"""Prompts in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from workbench.gui.widgets.plain_text import shortened
from workbench.store.records import Prompt


def repeated(prompts: Iterable[Prompt], among: Collection[str] | None = None) -> str:
    """Name the prompts, of those ``among``, that stand in a list more than once; "" for none."""
    counts = Counter(prompt.text for prompt in prompts)
    found = [text for text, number in counts.items()
             if number > 1 and (among is None or text in among)]
    if not found:
        return ""
    first = shortened(" ".join(found[0][:200].split()), 60)
    more = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
    return f"More than once in the list: “{first}”{more}."
