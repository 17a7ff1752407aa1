"""Pretrained values on disk, so that a second run with the same models and settings begins at once.

Only ever a copy of what can be made again: what is damaged, foreign or does not fit on the disk is
as if it had never been there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # numpy takes a while to import, and a window wants its store first
    import numpy as np

_KEPT = 6
_BYTES = 2 * 2**30
"""No more than so many are kept, nor more than so many bytes; the last used is, whatever its
size."""


class ValueCache:
    """``pretrained-values/DIGEST.safetensors`` with ``DIGEST.json``, which says what they were made
    for; the digest is that of what they were made for.

    Each file is written aside and renamed, the weights first; the other carries their digest.
    """

    def __init__(self, home: Path) -> None:
        self._base = home / "pretrained-values"

    def read(
        self, made_for: Mapping[str, Any]
    ) -> tuple[dict[str, np.ndarray], dict[str, float]] | None:
        """Return the arrays and numbers that were kept for just this, or None."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        weights, about = self._files(made_for)
        try:
            known = json.loads(about.read_text(encoding="utf-8"))
            data = weights.read_bytes()
            if known["made_for"] != _plain(made_for) or (
                known["sha256"] != hashlib.sha256(data).hexdigest()
            ):
                return None
            arrays = load(data)
            numbers = {str(name): float(number) for name, number in known["numbers"].items()}
            os.utime(about)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError):
            return None
        return arrays, numbers

    def write(
        self, made_for: Mapping[str, Any], arrays: Mapping[str, np.ndarray],
        numbers: Mapping[str, float],
    ) -> bool:
        """Keep arrays and numbers, and no more than a handful of others; return whether the disk
        took them."""
        from safetensors.numpy import save

        weights, about = self._files(made_for)
        data = save(dict(arrays))
        text = json.dumps({"made_for": made_for, "sha256": hashlib.sha256(data).hexdigest(),
                           "numbers": numbers})
        try:
            self._base.mkdir(parents=True, exist_ok=True)
            _put(weights, data)
            _put(about, text.encode())
        except OSError:
            return False
        self._prune(about)
        return True

    def _files(self, made_for: Mapping[str, Any]) -> tuple[Path, Path]:
        name = hashlib.sha256(json.dumps(made_for, sort_keys=True).encode()).hexdigest()[:32]
        return self._base / f"{name}.safetensors", self._base / f"{name}.json"

    def _prune(self, last: Path) -> None:
        """Delete what was longest not used, and what another version or an end in between left."""
        with contextlib.suppress(OSError):
            there = sorted(self._base.glob("*.json"), reverse=True,
                           key=lambda file: (file == last, file.stat().st_mtime_ns))
            kept, size = set(), 0
            for about in there[:_KEPT]:
                weights = about.with_suffix(".safetensors")
                size += weights.stat().st_size if weights.exists() else 0
                if about == last or size <= _BYTES:
                    kept |= {about.name, weights.name}
            for file in self._base.iterdir():
                if file.name not in kept:
                    file.unlink(missing_ok=True)


def _plain(value: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(value))


def _put(file: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: the disk does not take it.
    """
    aside = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        with aside.open("wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        aside.replace(file)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
