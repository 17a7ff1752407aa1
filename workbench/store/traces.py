"""Token traces in the database: compact, and read back with numpy alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from workbench.records import TokenTrace


def pack(run_id: int, cycle: int, trace: TokenTrace) -> dict[str, Any]:
    """Return the row of a trace: little-endian int32 ids, float32 columns one after another."""
    return {
        "run_id": run_id, "cycle": cycle, "position": trace.position, "prompt": trace.prompt,
        "tokens": np.asarray(trace.tokens, dtype="<i4").tobytes(),
        "pieces": json.dumps(trace.pieces, ensure_ascii=False),
        "columns": json.dumps(list(trace.numbers)),
        "numbers": np.stack(list(trace.numbers.values())).astype("<f4").tobytes(),
    }


def unpack(row: Mapping[str, Any]) -> TokenTrace:
    """Return the trace of a row."""
    tokens = np.frombuffer(row["tokens"], dtype="<i4")
    names = json.loads(row["columns"])
    numbers = np.frombuffer(row["numbers"], dtype="<f4").reshape(len(names), len(tokens))
    return TokenTrace(
        row["position"], row["prompt"], tokens, tuple(json.loads(row["pieces"])),
        dict(zip(names, numbers, strict=True)))
