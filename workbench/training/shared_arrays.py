"""Arrays that the first process reads for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from workbench.models import ranks


class SharedArrays(Mapping[str, np.ndarray]):
    """The arrays of a checkpoint, of which the other processes are given one at a time, as all ask
    for it: never does any of them hold all. Sent to another process only the names go along."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Share out what the first process has."""
        self._names = dict.fromkeys(arrays)
        self._arrays: Mapping[str, np.ndarray] = arrays

    def __getstate__(self) -> list[str]:
        return list(self._names)

    def __setstate__(self, names: list[str]) -> None:
        self._names, self._arrays = dict.fromkeys(names), {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        found = ranks.broadcast(self._arrays.get(name))
        assert found is not None
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._names  # nobody else is asked

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
