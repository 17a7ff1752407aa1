"""Token traces in the database: compact, and read back with numpy alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """One completion token by token. ``position`` is its row in the cycle's rollout.

    ``numbers`` has the columns logprob, ref_logprob, value, reward, advantage, return, ratio and
    entropy, each (T,) float32, for the T tokens of ``tokens`` and ``pieces``.
    """

    position: int
    prompt: int
    tokens: np.ndarray
    pieces: tuple[str, ...]
    numbers: Mapping[str, np.ndarray]


def pack(run_id: int, cycle: int, trace: TraceRecord) -> dict[str, Any]:
    """Return the row of a trace: little-endian int32 ids, float32 columns one after another."""
    return {
        "run_id": run_id, "cycle": cycle, "position": trace.position, "prompt": trace.prompt,
        "tokens": np.asarray(trace.tokens, dtype="<i4").tobytes(),
        "pieces": json.dumps(trace.pieces, ensure_ascii=False),
        "columns": json.dumps(list(trace.numbers)),
        "numbers": np.stack(list(trace.numbers.values())).astype("<f4").tobytes(),
    }


def unpack(row: Mapping[str, Any]) -> TraceRecord:
    """Return the trace of a row."""
    tokens = np.frombuffer(row["tokens"], dtype="<i4")
    names = json.loads(row["columns"])
    numbers = np.frombuffer(row["numbers"], dtype="<f4").reshape(len(names), len(tokens))
    return TraceRecord(
        row["position"], row["prompt"], tokens, tuple(json.loads(row["pieces"])),
        dict(zip(names, numbers, strict=True)))
