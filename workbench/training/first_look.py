"""A look at what is to be loaded, before anything heavy is imported."""

from __future__ import annotations

from workbench.feedback.reward_file import read_reward_file
from workbench.models.sources import LoadError, check_on_disk
from workbench.store.folders import why_not_kept
from workbench.training.commands import LoadModels
from workbench.training.events import LoadingFailed


def why_not_there(command: LoadModels) -> LoadingFailed | None:
    """Return what loading would say of a folder or file that is not there or holds no model; None
    where there is nothing to be seen from outside."""
    which, part = "policy", 0
    try:
        if not why_not_kept(command.policy):  # else said with the rest
            check_on_disk(command.policy, policy=True)
        which = "reward"
        for part, named in enumerate(command.parts):  # noqa: B007 - which it was is told below
            if named.is_file:
                read_reward_file(named.source)
            elif not why_not_kept(named.source):
                check_on_disk(named.source, policy=False)
    except LoadError as error:
        return LoadingFailed(str(error), which, part=part, command=command)
    return None
