"""Token traces in the database: compact, and read back with numpy alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from workbench.records import Likeliest, TokenTrace


def pack(run_id: int, cycle: int, trace: TokenTrace) -> dict[str, Any]:
    """Return the row of a trace: little-endian int32 ids, float32 columns one after another."""
    found = trace.likeliest
    return {
        "run_id": run_id, "cycle": cycle, "position": trace.position, "prompt": trace.prompt,
        "tokens": np.asarray(trace.tokens, dtype="<i4").tobytes(),
        "pieces": json.dumps(trace.pieces, ensure_ascii=False),
        "columns": json.dumps(list(trace.numbers)),
        "numbers": np.stack(list(trace.numbers.values())).astype("<f4").tobytes(),
        "prompt_text": trace.prompt_text or None,
        "worth": trace.worth if math.isfinite(trace.worth) else None,
        "likeliest": None if found is None else json.dumps(
            {"by": list(found.logprobs), "pieces": found.pieces}, ensure_ascii=False),
        "chances": None if found is None else b"".join([
            np.asarray(found.tokens, dtype="<i4").tobytes(),
            *(np.asarray(logprobs, dtype="<f4").tobytes() for logprobs in found.logprobs.values())
        ]),
    }


def unpack(row: Mapping[str, Any]) -> TokenTrace:
    """Return the trace of a row."""
    tokens = np.frombuffer(row["tokens"], dtype="<i4")
    names = json.loads(row["columns"])
    numbers = np.frombuffer(row["numbers"], dtype="<f4").reshape(len(names), len(tokens))
    return TokenTrace(
        row["position"], row["prompt"], tokens, tuple(json.loads(row["pieces"])),
        dict(zip(names, numbers, strict=True)),
        None if row["likeliest"] is None else _unpack_likeliest(
            json.loads(row["likeliest"]), row["chances"], len(tokens)),
        row["prompt_text"] or "", math.nan if row["worth"] is None else row["worth"])


def _unpack_likeliest(known: Mapping[str, Any], packed: bytes, count: int) -> Likeliest:
    by = known["by"]
    ids, *logprobs = np.frombuffer(packed, dtype="<i4").reshape(1 + len(by), count, -1)
    return Likeliest(ids, {int(token): text for token, text in known["pieces"].items()},
                     {name: part.view("<f4") for name, part in zip(by, logprobs, strict=True)})
