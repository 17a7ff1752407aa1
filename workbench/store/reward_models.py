"""The reward models that runs have trained: plain folders in a home, each with its run's number and
cycle in its name. They stay when their run is deleted: other runs may have learned from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_FOLDER = "reward-models"
_NAME = re.compile(r"run-(\d+)-cycle-(\d+)")


@dataclass(frozen=True, slots=True)
class MadeReward:
    """A reward model that a run has trained, as it stood after ``cycle``."""

    run_id: int
    cycle: int
    folder: Path


def folder_of(home: Path, run_id: int, cycle: int) -> Path:
    """Return where the reward model of a run is kept."""
    return home / _FOLDER / f"run-{run_id}-cycle-{cycle}"


def made_by(source: str) -> int | None:
    """Return the number of the run whose reward model a folder is, by its name alone."""
    folder = Path(source)
    match = _NAME.fullmatch(folder.name) if folder.parent.name == _FOLDER else None
    return int(match[1]) if match else None


def made_rewards(home: Path) -> list[MadeReward]:
    """Return those that there are, the latest run first."""
    try:
        there = list((home / _FOLDER).iterdir())
    except OSError:
        return []
    found = [MadeReward(int(match[1]), int(match[2]), folder) for folder in there
             if (match := _NAME.fullmatch(folder.name)) and (folder / "config.json").is_file()]
    return sorted(found, key=lambda made: (-made.run_id, -made.cycle))


def called(run_id: int) -> str:
    """Return what to call the reward model that a run has made."""
    return f"reward model of run {run_id}"


def titles(made: list[MadeReward], names: Mapping[int, str]) -> dict[str, str]:
    """Return the folders of reward models by what they are called.

    Args:
        names: of runs, by number; one that is missing has been deleted.
    """
    found: dict[str, str] = {}
    for each in made:
        name = names.get(each.run_id, "deleted")
        title = called(each.run_id) + ("" if name == f"Run {each.run_id}" else f" ({name})")
        found[f"{title} after cycle {each.cycle}" if title in found else title] = str(each.folder)
    return found
