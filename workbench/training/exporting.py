"""Writing a policy as a plain folder of transformers: whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

from workbench.ppo.cycle import PPO
from workbench.store.folders import why_not_kept, why_not_writable


class ExportError(Exception):
    """A policy cannot be exported. The message is one plain sentence."""


def check_folder(folder: str) -> None:
    """Raise :class:`ExportError` for a folder that a policy cannot be written to."""
    problem = why_not_kept(folder) or why_not_writable(Path(folder))
    if problem:
        raise ExportError(problem)


def export(ppo: PPO, folder: str) -> None:
    """Write the policy as it stands; it appears under its name when it is complete.

    Raises:
        ExportError: the folder cannot be written; nothing is left behind.
    """
    final = Path(folder)
    partial = final.with_name(f"{final.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        ppo.export(str(partial))
        if final.is_dir():
            final.rmdir()
        partial.rename(final)
    except Exception as error:  # whatever it is, the run and the window go on
        shutil.rmtree(partial, ignore_errors=True)
        reason = getattr(error, "strerror", None) or error
        raise ExportError(
            f"The policy could not be written to {folder} ({reason}); choose another folder."
        ) from error
