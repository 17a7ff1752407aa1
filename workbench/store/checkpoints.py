"""Checkpoints on disk: whole or not there at all.

Kept are the last few of a run, the best of those written, and the ones a person has pinned.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.store.disk_errors import NotWrittenError, is_full, why_not

if TYPE_CHECKING:  # numpy takes a while to import, and a window wants its store first
    import numpy as np

_STATE, _PINNED, _PARTIAL, _DIGEST, _RUN = "state.json", "pinned", ".partial", "digest", "run"
_FOREIGN = ".of-another-run"
_FILE_BYTES = 256 * 2**20
"""Weights are written in files of about this size, so that writing can be given up in between."""


class CheckpointError(Exception):
    """A checkpoint cannot be written or read. The message is one plain sentence."""


class ForeignError(CheckpointError):
    """A checkpoint is that of another run, of another database. The message is one plain
    sentence."""


class _GivenUpError(Exception):
    """The person would not wait for a checkpoint."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint taken after ``cycle``. ``score`` is what the policy was worth then."""

    run_id: int
    cycle: int
    path: Path
    bytes: int
    score: float | None = None
    pinned: bool = False


class Checkpoints:
    """The checkpoints under one home folder: ``checkpoints/RUN/CYCLE/``.

    A checkpoint is written aside, flushed and renamed, so a folder that bears a cycle's number is
    complete; each file of weights and the state carry a digest, which is compared when it is read.
    The state names the run by its identity, for numbers are given again in another database: what
    belongs to another run is neither read nor deleted.
    """

    def __init__(self, home: Path, identity: Callable[[int], str] | None = None) -> None:
        """Be those under ``home``; ``identity`` gives that of a run ("": there is no such run).
        Without it every checkpoint is taken for the run's."""
        self._base = home / "checkpoints"
        self._identity = identity

    def all(self, run_id: int) -> list[Checkpoint]:
        """Return the checkpoints of a run, oldest first. One may go while they are listed, for
        the run may go on: it is left out."""
        found = []
        for cycle, path in self._folders(run_id):
            try:
                size = _size(path)
            except FileNotFoundError:
                continue
            except OSError:
                size = 0  # it is there, and reading it will say what is wrong
            found.append(Checkpoint(run_id, cycle, path, size, _score(path),
                                    os.path.exists(path / _PINNED)))
        return found

    def why_unreadable(self, run_id: int) -> str:
        """Say why nobody knows what checkpoints a run has; "" where they can be listed."""
        try:
            self._names(run_id)
        except OSError as error:
            return (f"The checkpoints in {self._base / str(run_id)} cannot be read "
                    f"({error.strerror}); see to it that this folder can be, then try again.")
        return ""

    def write(
        self, run_id: int, cycle: int, tensors: Iterable[tuple[str, np.ndarray]],
        state: Mapping[str, Any], *, score: float | None = None,
        proceed: Callable[[], bool] = lambda: True,
    ) -> Checkpoint:
        """Write a checkpoint, replacing one of the same cycle.

        Args:
            tensors: by name; some are asked for once those before them are on disk.
            score: the mean score of what the policy writes after ``cycle``.
            proceed: asked between files; False gives the checkpoint up.

        Raises:
            NotWrittenError: the disk is full.
            CheckpointError: the folder cannot be written, or it was given up.

        Whatever it raises, what was there before is still there.
        """
        from safetensors.numpy import save_file

        final = self._base / str(run_id) / str(cycle)
        partial = final.with_name(f"{cycle}{_PARTIAL}")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            digests = {}
            for number, part in enumerate(_parts(tensors), 1):
                if not proceed():
                    raise _GivenUpError
                file = partial / f"tensors-{number}.safetensors"
                save_file(part, file)
                part.clear()  # before the next comes
                digests[file.name] = _digest(file)
                _flush(file)
            _write_state(partial, {
                "files": digests, "score": score, **state,
                _RUN: self._identity(run_id) if self._identity else ""})
            if (final / _PINNED).exists():
                (partial / _PINNED).touch()
            _flush(partial)
            # A folder cannot be renamed onto another; the old one goes only now.
            self.remove(run_id, cycle)
            partial.rename(final)
            _flush(final.parent)
        except _GivenUpError:
            shutil.rmtree(partial, ignore_errors=True)
            raise CheckpointError(
                f"The checkpoint of cycle {cycle} was given up. {self._earlier(run_id)}") from None
        except Exception as error:
            shutil.rmtree(partial, ignore_errors=True)
            if is_full(error):
                raise NotWrittenError(
                    why_not(error), f"the checkpoint of cycle {cycle} could not be written; free "
                    f"some space at {self._base}. {self._earlier(run_id)}",
                    f"Free some space at {self._base.parent}") from error
            reason = getattr(error, "strerror", None) or error
            raise CheckpointError(
                f"The checkpoint of cycle {cycle} could not be written to {self._base} ({reason}). "
                f"{self._earlier(run_id)}") from error
        return Checkpoint(run_id, cycle, final, _size(final), score)

    def _earlier(self, run_id: int) -> str:
        """Say what is left where a checkpoint could not be written."""
        return "Earlier checkpoints are kept." if (
            self.all(run_id) or self.why_unreadable(run_id)) else (
            "The run has no other, and would begin from the start.")

    def read(
        self, run_id: int, cycle: int, prefix: str | tuple[str, ...] = ""
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the tensors whose name begins with ``prefix``, or one of several, and the state of
        a checkpoint.

        Raises:
            ForeignError: it is that of another run.
            CheckpointError: it is missing or damaged.
        """
        from safetensors import safe_open

        folder = self._base / str(run_id) / str(cycle)
        if self._is_foreign(run_id, folder):
            raise ForeignError(
                f"The checkpoint of cycle {cycle} was written by another run {run_id}, of another "
                f"database; move {folder.parent} away to keep it, and use the beginning (cycle 0).")
        try:
            state = _verified(folder)
            state.pop(_RUN, None)
            tensors: dict[str, np.ndarray] = {}
            for name in state.pop("files"):
                with safe_open(folder / name, framework="np") as file:
                    tensors |= {key: file.get_tensor(key) for key in file.keys()  # noqa: SIM118
                                if key.startswith(prefix)}
            return tensors, state
        except Exception as error:
            raise CheckpointError(
                f"The checkpoint of cycle {cycle} is missing or damaged; use an earlier one."
            ) from error

    def is_whole(self, run_id: int, cycle: int) -> bool:
        """Whether every byte of a checkpoint is as it was written. Reads all of it."""
        try:
            _verified(self._base / str(run_id) / str(cycle))
        except (OSError, ValueError, KeyError):
            return False
        return True

    def pin(self, run_id: int, cycle: int, pinned: bool) -> None:
        """Keep a checkpoint for good, or no longer.

        Raises:
            CheckpointError: the folder cannot be written, or there is no such checkpoint.
        """
        marker = self._base / str(run_id) / str(cycle) / _PINNED
        try:
            if pinned:
                marker.touch()
            else:
                marker.unlink(missing_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"The checkpoint of cycle {cycle} could not be changed ({error.strerror})."
            ) from error

    def prune(self, run_id: int, keep: int, begun: int | None = None) -> None:
        """Delete all checkpoints of a run but the last ``keep``, the best, the pinned ones and that
        after the cycle at which it was ``begun``, and what an interruption left."""
        there = self.all(run_id)
        kept = {c.cycle for c in there[-keep:]} | {c.cycle for c in there if c.pinned} | {begun}
        kept |= {best.cycle} if (best := best_of(there)) else set()
        for checkpoint in there:
            if checkpoint.cycle not in kept:
                with contextlib.suppress(OSError):  # one too many ends no run
                    self.remove(run_id, checkpoint.cycle)
        for partial in (self._base / str(run_id)).glob(f"*{_PARTIAL}"):
            shutil.rmtree(partial, ignore_errors=True)

    def share(self, source: int, target: int, cycles: Iterable[int], identity: str) -> None:
        """Give the new run ``target``, known by ``identity``, the checkpoints of run ``source``
        after ``cycles``, as far as there are any. No weights are copied where the file system has
        hard links.

        Raises:
            CheckpointError: the disk is full or the folder cannot be written.
        """
        for cycle in cycles:
            folder = self._base / str(source) / str(cycle)
            final = self._base / str(target) / str(cycle)
            partial = final.with_name(f"{cycle}{_PARTIAL}")
            if not folder.is_dir():
                continue
            try:
                shutil.copytree(folder, partial, copy_function=_link)
                _rename_run(partial, identity)
                partial.rename(final)
                _flush(final.parent)
            except OSError as error:
                raise CheckpointError(
                    f"The checkpoint of cycle {cycle} could not be taken over "
                    f"({error.strerror or error}); free some disk space at {self._base}."
                ) from error

    def remove(self, run_id: int, cycle: int) -> None:
        """Delete one checkpoint; put it aside when it is that of another run."""
        folder = self._base / str(run_id) / str(cycle)
        if self._is_foreign(run_id, folder):
            aside = (folder.with_name(f"{cycle}{_FOREIGN}-{n}") for n in itertools.count(1))
            folder.rename(next(path for path in aside if not path.exists()))
            return
        doomed = folder.with_name(f"{cycle}.old{_PARTIAL}")
        shutil.rmtree(doomed, ignore_errors=True)
        if folder.exists():
            folder.rename(doomed)  # at once, so that half of it is never taken for a whole one
            shutil.rmtree(doomed, ignore_errors=True)

    def drop_after(self, run_id: int, cycle: int) -> None:
        """Delete the checkpoints of a run that come after ``cycle``: what follows is another
        history."""
        for later, _ in self._folders(run_id):
            if later > cycle:
                self.remove(run_id, later)

    def delete(self, run_id: int, identity: str) -> None:
        """Delete every checkpoint of a run that was known by ``identity``, and its folder, unless
        it holds those of another."""
        folder = self._base / str(run_id)
        others = [p for p in folder.glob("*") if _FOREIGN in p.name]
        others += [path for _, path in self._folders(run_id)
                   if _run_of(path) not in ("", identity)]
        if not others:
            shutil.rmtree(folder, ignore_errors=True)
            return
        for path in folder.glob("*"):
            if path not in others:
                shutil.rmtree(path, ignore_errors=True)

    def cycles(self, run_id: int) -> list[int]:
        """Return the cycles after which there are checkpoints, ascending."""
        return [cycle for cycle, _ in self._folders(run_id)]

    def highest(self) -> int:
        """Return the highest number of a run that has a folder here, also of one that the database
        does not know."""
        return max((int(p.name) for p in self._base.glob("*") if p.name.isdecimal()), default=0)

    def _is_foreign(self, run_id: int, folder: Path) -> bool:
        if self._identity is None:
            return False
        return _run_of(folder) not in ("", self._identity(run_id))

    def _folders(self, run_id: int) -> list[tuple[int, Path]]:
        """Return cycle and folder of every whole checkpoint of a run that can be listed, by
        cycle."""
        try:
            names = self._names(run_id)
        except OSError:
            return []
        return sorted((int(name), self._base / str(run_id) / name)
                      for name in names if name.isdecimal())

    def _names(self, run_id: int) -> list[str]:
        try:
            return os.listdir(self._base / str(run_id))
        except (FileNotFoundError, NotADirectoryError):
            return []


def _link(source: str, target: str) -> None:
    # A checkpoint is never written to, only replaced, so that both may share its files.
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def best_of(checkpoints: list[Checkpoint]) -> Checkpoint | None:
    """Return the checkpoint with the highest score, the later of equals."""
    scored = [(c.score, c.cycle, c) for c in checkpoints if c.score is not None]
    return max(scored)[2] if scored else None


def _parts(tensors: Iterable[tuple[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
    part: dict[str, np.ndarray] = {}
    size = 0
    for name, array in tensors:
        if part and size + array.nbytes > _FILE_BYTES:
            yield part
            part, size = {}, 0
        part[name] = array
        size += array.nbytes
    if part:
        yield part


def _verified(folder: Path) -> dict[str, Any]:
    """Return the state of a checkpoint; it and the files all have the digests written down.

    Raises:
        OSError, ValueError, KeyError: it is not whole.
    """
    state = _state(folder)
    for name, digest in state["files"].items():
        if _digest(folder / name) != digest:
            raise ValueError(f"{name} is not as it was written")
    return state


def _write_state(folder: Path, state: Mapping[str, Any]) -> None:
    (folder / _STATE).write_text(
        json.dumps({_DIGEST: _digest_of(state), **state}), encoding="utf-8")
    _flush(folder / _STATE)


def _rename_run(folder: Path, identity: str) -> None:
    """Let a checkpoint be that of the run known by ``identity``. A damaged one stays as it is."""
    try:
        state = _state(folder)
    except (OSError, ValueError, KeyError):
        return
    (folder / _STATE).unlink()  # another run's, too
    _write_state(folder, {**state, _RUN: identity})


def _state(folder: Path) -> dict[str, Any]:
    """Return the state of a checkpoint, which has the digest written down.

    Raises:
        OSError, ValueError, KeyError: it is not whole.
    """
    state: dict[str, Any] = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    if state.pop(_DIGEST) != _digest_of(state):
        raise ValueError(f"{_STATE} is not as it was written")
    return state


def _peek(folder: Path, name: str) -> Any:
    """Return an entry of a checkpoint's state as it stands; None when there is none."""
    try:
        return json.loads((folder / _STATE).read_text(encoding="utf-8"))[name]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _run_of(folder: Path) -> str:
    """Return the identity of the run that wrote a checkpoint; "" when it does not say."""
    return str(_peek(folder, _RUN) or "")


def _score(folder: Path) -> float | None:
    score = _peek(folder, "score")
    return float(score) if isinstance(score, int | float) else None


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.iterdir())


def _digest_of(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


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
