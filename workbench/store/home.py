"""The home folder: where runs, prompt sets and the window's layout are kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import platformdirs

ENVIRONMENT_VARIABLE = "PPO_WORKBENCH_HOME"


class StoreError(Exception):
    """The store cannot be used. The message is one plain sentence for the person."""


def find_home(chosen: str | os.PathLike[str] | None = None) -> Path:
    """Return the home folder: ``chosen``, else ``$PPO_WORKBENCH_HOME``, else the platform's."""
    text = chosen or os.environ.get(ENVIRONMENT_VARIABLE)
    if text:
        return Path(text).expanduser().resolve()
    return Path(platformdirs.user_data_dir("ppo-workbench", appauthor=False))


def prepare_home(home: Path) -> None:
    """Create ``home`` and prove that it can be written.

    Raises:
        StoreError: naming the folder and what to do.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise StoreError(
            f"The home folder {home} cannot be written ({error.strerror}); choose another with "
            f"--home or {ENVIRONMENT_VARIABLE}."
        ) from error
