"""A Python file that is to score completions, read but not run. No torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from workbench.models.sources import LoadError


@dataclass(frozen=True, slots=True)
class RewardFile:
    """A Python file as it was read; this is what runs, whatever becomes of the file on disk."""

    path: str
    data: bytes
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return Path(self.path).name

    @property
    def text(self) -> str:
        """The source, to be read by a person."""
        return self.data.decode("utf-8", errors="replace")


def read_reward_file(source: str) -> RewardFile:
    """Read a Python file without running it.

    Raises:
        LoadError: it cannot be read.
    """
    path = Path(source).expanduser()
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise LoadError(f"There is no file {path}; check its name.") from None
    except OSError as error:
        raise LoadError(f"{path} cannot be read ({error.strerror}).") from error
    return RewardFile(str(path), data, hashlib.sha256(data).hexdigest())
