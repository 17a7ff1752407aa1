"""Whether a person has to be asked before a reward's Python file is run. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from workbench.assets import EXAMPLE_REWARDS
from workbench.feedback.reward_file import RewardFile, read_reward_file
from workbench.training.events import UntrustedFile
from workbench.training.reward_parts import RewardPart

Trusted = Callable[[str], bool]
"""Whether the person has agreed to run a file of this content hash."""


def find_untrusted(parts: Sequence[RewardPart], trusted: Trusted) -> UntrustedFile | None:
    """Return the first Python file of a reward that must not be run before the person agrees.

    Raises:
        LoadError: a file cannot be read.
    """
    for part in parts:
        if part.is_file:
            question = needs_consent(part, read_reward_file(part.source), trusted)
            if question is not None:
                return question
    return None


def needs_consent(part: RewardPart, file: RewardFile, trusted: Trusted) -> UntrustedFile | None:
    """Return what to ask about the file of ``part``; None where it may be run."""
    if file.sha256 in _shipped() or trusted(file.sha256):
        return None
    changed = bool(part.sha256) and part.sha256 != file.sha256
    return UntrustedFile(file.path, file.sha256, file.text, changed)


@cache
def _shipped() -> frozenset[str]:
    """The content hashes of the examples that come with the workbench."""
    return frozenset(read_reward_file(str(path)).sha256 for path in EXAMPLE_REWARDS.values()
                     if path.is_file())
