"""How the numbers of a cycle's tokens are spread, kept when the tokens themselves no longer are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from workbench.records import TokenTrace

COUNT = 21
"""Quantiles of each number: the least, that of 5 %, of 10 % and so on, and the greatest."""


def quantiles(values: ArrayLike) -> NDArray[np.float64]:
    """Return the quantiles of ``values`` that are numbers, (COUNT,); NaN where none is."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return np.full(COUNT, np.nan)
    found: NDArray[np.float64] = np.quantile(known, np.linspace(0, 1, COUNT))
    return found


def pack(
    run_id: int, cycle: int, traces: Iterable[TokenTrace], more: Mapping[str, ArrayLike]
) -> list[dict[str, Any]]:
    """Return a row for each column of a cycle's traces, over all tokens, and for ``more`` numbers
    by name: the quantiles as little-endian float32."""
    columns: dict[str, list[Any]] = {name: [numbers] for name, numbers in more.items()}
    for trace in traces:
        for name, numbers in trace.numbers.items():
            columns.setdefault(name, []).append(numbers)
    return [{"run_id": run_id, "cycle": cycle, "name": name,
             "quantiles": quantiles(np.concatenate(parts)).astype("<f4").tobytes()}
            for name, parts in columns.items()]


def unpack(row: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return the quantiles of a row, (COUNT,)."""
    return np.frombuffer(row["quantiles"], dtype="<f4").astype(float)
