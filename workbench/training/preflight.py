"""A look at what is to be loaded, before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from workbench.feedback.reward_file import read_reward_file
from workbench.models.sources import LoadError, check_on_disk
from workbench.store.folders import why_not_kept
from workbench.training.commands import LoadModels
from workbench.training.events import LoadingFailed


def missing_sources(command: LoadModels) -> list[LoadingFailed]:
    """Return what loading would say of each folder or file that is not there or holds no model, as
    far as that is to be seen from outside."""
    found = []

    def look(which: str, part: int, check: Callable[[], object]) -> None:
        try:
            check()
        except LoadError as error:
            found.append(LoadingFailed(str(error), which, part=part, command=command))
    if not why_not_kept(command.policy):  # else said with the rest
        look("policy", 0, lambda: check_on_disk(command.policy, policy=True))
    for number, part in enumerate(command.parts):
        if part.is_file:
            look("reward", number, partial(read_reward_file, part.source))
        elif not part.is_url and not why_not_kept(part.source):
            look("reward", number, partial(check_on_disk, part.source, policy=False))
    return found
