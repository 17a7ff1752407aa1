"""Whether a person has to be asked before a reward's Python file is run, or before a server is sent
what the policy writes. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from workbench.assets import EXAMPLE_REWARDS
from workbench.feedback.reward_file import RewardFile, read_reward_file
from workbench.training.events import Untrusted, UntrustedFile, UntrustedServer
from workbench.training.reward_parts import RewardPart

Trusted = Callable[[str], bool]
"""Whether the person has agreed to run a file of this content hash, or to ask the server with this
hash of its address."""


def find_untrusted(parts: Sequence[RewardPart], trusted: Trusted) -> Untrusted | None:
    """Return the first of what a reward does only when the person agrees to it.

    Raises:
        LoadError: a file cannot be read.
    """
    for part in parts:
        question: Untrusted | None = None
        if part.is_file:
            question = needs_consent(part, read_reward_file(part.source), trusted)
        elif part.is_url:
            question = needs_consent_to_send(part, trusted)
        if question is not None:
            return question
    return None


def needs_consent(part: RewardPart, file: RewardFile, trusted: Trusted) -> UntrustedFile | None:
    """Return what to ask about the file of ``part``; None where it may be run."""
    if file.sha256 in _shipped() or trusted(file.sha256):
        return None
    changed = bool(part.sha256) and part.sha256 != file.sha256
    return UntrustedFile(file.path, file.sha256, file.text, changed)


def needs_consent_to_send(part: RewardPart, trusted: Trusted) -> UntrustedServer | None:
    """Return what to ask about the server of ``part``; None where it may be asked."""
    server = UntrustedServer(part.source)
    return None if trusted(server.sha256) else server


@cache
def _shipped() -> frozenset[str]:
    """The content hashes of the examples that come with the workbench."""
    return frozenset(read_reward_file(str(path)).sha256 for path in EXAMPLE_REWARDS.values()
                     if path.is_file())
