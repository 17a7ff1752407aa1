"""Checkpoints on disk: whole or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # numpy takes a while to import, and a window wants its store first
    import numpy as np

_TENSORS, _STATE = "tensors.safetensors", "state.json"
_PARTIAL = ".partial"


class CheckpointError(Exception):
    """A checkpoint cannot be written or read. The message is one plain sentence."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint taken after ``cycle``."""

    run_id: int
    cycle: int
    path: Path
    bytes: int


class Checkpoints:
    """The checkpoints under one home folder: ``checkpoints/RUN/CYCLE/``.

    A checkpoint is written aside, flushed and renamed, so a folder that bears a cycle's number is
    complete; its weights carry a digest, which is compared when they are read.
    """

    def __init__(self, home: Path) -> None:
        self._base = home / "checkpoints"

    def all(self, run_id: int) -> list[Checkpoint]:
        """Return the checkpoints of a run, oldest first."""
        folder = self._base / str(run_id)
        if not folder.is_dir():
            return []
        found = sorted((int(p.name), p) for p in folder.iterdir() if p.name.isdigit())
        return [Checkpoint(run_id, cycle, path, _size(path)) for cycle, path in found]

    def write(
        self, run_id: int, cycle: int, tensors: Mapping[str, np.ndarray], state: Mapping[str, Any]
    ) -> Checkpoint:
        """Write a checkpoint, replacing one of the same cycle.

        Raises:
            CheckpointError: the disk is full or the folder cannot be written; what was there
                before is still there.
        """
        from safetensors.numpy import save_file

        final = self._base / str(run_id) / str(cycle)
        partial = final.with_name(f"{cycle}{_PARTIAL}")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            save_file(dict(tensors), partial / _TENSORS)
            whole = {"digest": _digest(partial / _TENSORS), **state}
            (partial / _STATE).write_text(json.dumps(whole), encoding="utf-8")
            for path in (partial / _TENSORS, partial / _STATE, partial):
                _flush(path)
            # A folder cannot be renamed onto another; the old one goes only now.
            shutil.rmtree(final, ignore_errors=True)
            partial.rename(final)
            _flush(final.parent)
        except Exception as error:
            shutil.rmtree(partial, ignore_errors=True)
            reason = getattr(error, "strerror", None) or error
            raise CheckpointError(
                f"The checkpoint of cycle {cycle} could not be written ({reason}); free some disk "
                f"space at {self._base}. Earlier checkpoints are kept.") from error
        return Checkpoint(run_id, cycle, final, _size(final))

    def read(self, run_id: int, cycle: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the tensors and the state of a checkpoint.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        from safetensors.numpy import load_file

        folder = self._base / str(run_id) / str(cycle)
        try:
            state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
            if _digest(folder / _TENSORS) != state.pop("digest"):
                raise ValueError("digest")
            return load_file(folder / _TENSORS), state
        except Exception as error:
            raise CheckpointError(
                f"The checkpoint of cycle {cycle} is missing or damaged; use an earlier one."
            ) from error

    def prune(self, run_id: int, keep: int) -> None:
        """Delete all but the last ``keep`` checkpoints of a run, and what an interruption left."""
        for checkpoint in self.all(run_id)[:-keep]:
            shutil.rmtree(checkpoint.path, ignore_errors=True)
        for partial in (self._base / str(run_id)).glob(f"*{_PARTIAL}"):
            shutil.rmtree(partial, ignore_errors=True)

    def share(self, source: int, target: int, cycles: Iterable[int]) -> None:
        """Give run ``target`` the checkpoints of run ``source`` after ``cycles``, as far as there
        are any, and no others. Nothing is copied where the file system has hard links.

        Raises:
            CheckpointError: the disk is full or the folder cannot be written.
        """
        self.delete(target)
        for cycle in cycles:
            folder = self._base / str(source) / str(cycle)
            final = self._base / str(target) / str(cycle)
            partial = final.with_name(f"{cycle}{_PARTIAL}")
            if not folder.is_dir():
                continue
            try:
                shutil.copytree(folder, partial, copy_function=_link)
                partial.rename(final)
                _flush(final.parent)
            except OSError as error:
                self.delete(target)
                raise CheckpointError(
                    f"The checkpoint of cycle {cycle} could not be taken over "
                    f"({error.strerror or error}); free some disk space at {self._base}."
                ) from error

    def drop_after(self, run_id: int, cycle: int) -> None:
        """Delete the checkpoints of a run that come after ``cycle``."""
        for checkpoint in self.all(run_id):
            if checkpoint.cycle > cycle:
                shutil.rmtree(checkpoint.path, ignore_errors=True)

    def delete(self, run_id: int) -> None:
        """Delete every checkpoint of a run."""
        shutil.rmtree(self._base / str(run_id), ignore_errors=True)


def _link(source: str, target: str) -> None:
    # A checkpoint is never written to, only replaced, so that both may share its files.
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.iterdir())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows flushes no folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
