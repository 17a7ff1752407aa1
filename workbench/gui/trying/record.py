"""What one try asked for and what came of it. No Qt."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from workbench.formatting import format_value
from workbench.gui.completions import completion_texts
from workbench.models.decoding import DECODING
from workbench.records import Completion
from workbench.training.commands import Try

SEPARATOR = "---"
_BETWEEN = re.compile(rf"\n?^{SEPARATOR}[ \t]*$\n?", re.MULTILINE)


def split_prompts(text: str) -> tuple[str, ...]:
    """Return the prompts typed: a line of dashes begins another, empty ones are left out.

    >>> split_prompts("one\\n---\\ntwo\\nlines")
    ('one', 'two\\nlines')
    """
    return tuple(part for part in _BETWEEN.split(text) if part.strip())


def join_prompts(prompts: list[str]) -> str:
    """Return what :func:`split_prompts` takes apart."""
    return f"\n{SEPARATOR}\n".join(prompts)


@dataclass(slots=True)
class Column:
    """What one policy wrote: ``texts`` while it writes, ``completions`` when it is done."""

    label: str
    texts: tuple[str, ...]
    tokens: tuple[int, ...]
    completions: tuple[Completion, ...] = ()
    problem: str = ""

    @property
    def mean(self) -> float | None:
        """The mean reward, None before there is one."""
        scores = [c.score for c in self.completions]
        return sum(scores) / len(scores) if scores else None


@dataclass(slots=True)
class Attempt:
    """One try of the session."""

    number: int
    command: Try
    began: datetime
    columns: list[Column] = field(default_factory=list)
    over: bool = False

    def begin(self, labels: tuple[str, ...]) -> None:
        """Make room for what the policies called ``labels`` will write."""
        count = len(self.command.prompts)
        self.columns = [Column(label, ("",) * count, (0,) * count) for label in labels]

    @property
    def title(self) -> str:
        """A short line that tells tries apart."""
        prompts = self.command.prompts
        first = " ".join(prompts[0][:200].split())
        more = f" +{len(prompts) - 1}" if len(prompts) > 1 else ""
        return f"{self.number} · {first[:15]}{'…' * (len(first) > 15)}{more}"

    @property
    def heading(self) -> str:
        """When it began and what it completes."""
        return "\n".join((f"Try {self.number}, {self.began:%H:%M}",
                          *(p[:300] + "…" * (len(p) > 300) for p in self.command.prompts)))

    @property
    def settings(self) -> str:
        """How it was sampled, in one line."""
        parts = [f"{spec.label.lower()} {format_value(spec, getattr(self.command, name))}"
                 for name, spec in DECODING.items()]
        return " · ".join(parts)

    def as_markdown(self) -> str:
        """Write prompts, completions and numbers as Markdown."""
        lines = [f"_{self.settings}_", ""]
        for row, prompt in enumerate(self.command.prompts):
            lines += [f"**{' '.join(prompt.split())}**", ""]
            for column in self.columns:
                done = column.completions[row] if column.completions else None
                text = done.text if done else column.texts[row]
                facts = f" ({completion_texts.facts(done)})" if done else ""
                lines += [f"{column.label}{facts}:", "",
                          *(f"> {line}" for line in (column.problem or text).split("\n")), ""]
        return "\n".join(lines)
