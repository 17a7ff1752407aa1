"""What a reward is made of: sequence classifiers and Python files, each with a weight. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from workbench.assets import BUNDLED_REWARD, EXAMPLE_REWARDS
from workbench.learning.metrics import GOLD

Reads = Literal["auto", "text", "segments", "chat"]
READS: dict[Reads, str] = {
    "auto": "as its tokenizer suggests",
    "text": "prompt and completion as one text",
    "segments": "prompt and completion as two segments",
    "chat": "prompt and completion as the turns of a chat",
}
"""The ways in which a classifier can read, in words."""
SHIPPED = {"bundled": BUNDLED_REWARD, **EXAMPLE_REWARDS}
"""The rewards that come with the workbench, by the names that the command line knows."""


class PartError(ValueError):
    """A part of a reward cannot be what was asked for. The message is one plain sentence."""


@dataclass(frozen=True, slots=True)
class RewardPart:
    """One part of a reward: a sequence classifier (a folder or hub name), a Python file, or the
    address of a server that is asked over HTTP.

    A reward is the sum of its parts' scores, each times its ``weight``.
    """

    source: str
    weight: float = 1.0
    label: int | None = None
    """Which output is the score, for a classifier that has several."""
    reads: Reads = "auto"
    """What a classifier reads: text, segments or chat (:mod:`workbench.feedback.reward_text`)."""
    end_token: bool = False
    """Whether a classifier's texts are ended with its end-of-sequence token."""
    sha256: str = field(default="", compare=False)
    """What a Python file held when its run began; it may have changed since."""

    @property
    def is_file(self) -> bool:
        """Whether this is a Python file."""
        return self.source.lower().endswith(".py") and not self.is_url

    @property
    def is_url(self) -> bool:
        """Whether this is the address of a server."""
        return is_url(self.source)


def parse_part(text: str) -> RewardPart:
    """Read ``SOURCE`` or ``SOURCE=WEIGHT``.

    What exists under its whole name is taken as it stands, so that a path may hold "=".

    Raises:
        PartError: the weight is no finite number.
    """
    source, equals, weight = text.strip().rpartition("=")
    if not equals or Path(text.strip()).expanduser().exists():
        return RewardPart(find_source(text))
    try:
        number = float(weight)
    except ValueError:
        return RewardPart(find_source(text))
    if not math.isfinite(number):
        raise PartError(f"The weight of {source} must be a finite number, not {weight}.")
    return RewardPart(find_source(source), number)


def is_url(source: str) -> bool:
    """Whether ``source`` is the address of a server."""
    return source.lower().startswith(("http://", "https://"))


def find_source(name: str) -> str:
    """Return what ``name`` means: a shipped reward by its short name, a Python file's full path,
    or what it says (a folder, hub name or address)."""
    name = name.strip()
    if is_url(name):
        return name
    path = Path(name).expanduser()
    if not path.exists() and name in SHIPPED:
        return str(SHIPPED[name])
    return str(path.resolve()) if name.lower().endswith(".py") else name


def base_name(source: str) -> str:
    """Return the short name of a folder, hub name, file or address."""
    if is_url(source):
        return source.partition("://")[2].rstrip("/")
    last = source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    return (last.removesuffix(".py") if last != ".py" else last) or source


def learned_from(parts: Sequence[RewardPart]) -> tuple[RewardPart, ...]:
    """Return the parts whose sum is the reward: all but those that are only watched."""
    return tuple(part for part in parts if part.weight) or tuple(parts)


def part_names(weights: Sequence[float], names: Sequence[str]) -> list[str]:
    """Return what the parts of a reward are called, each otherwise, a gold one as such."""
    return unique_names([name if weight or not any(weights) else f"{GOLD}{name}"
                         for weight, name in zip(weights, names, strict=True)])


def unique_names(names: Sequence[str]) -> list[str]:
    """Number names that occur again: reward, reward 2."""
    found: list[str] = []
    for name in names:
        number, wanted = 2, name
        while wanted in found:
            wanted = f"{name} {number}"
            number += 1
        found.append(wanted)
    return found


def describe(weights: Sequence[float], names: Sequence[str]) -> str:
    """Write a weighted sum as people do: reward + 0.5 × vader − 2 × length, beside gold judge."""
    text = ""
    gold = [name for weight, name in zip(weights, names, strict=True) if not weight]
    if len(gold) == len(names):
        gold = []
    for weight, name in zip(weights, names, strict=True):
        if name in gold:
            continue
        size = name if abs(weight) == 1 else f"{abs(weight):g} × {name}"
        sign = ("−" if weight < 0 else "") if not text else (" − " if weight < 0 else " + ")
        text += sign + size
    return f"{text}, beside {' and '.join(gold)}" if gold else text
