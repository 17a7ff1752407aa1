"""What was written on from a place of a completion, in the database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from workbench.records import Branch, Continuation, Crossroads

_KEYS = ("run_id", "cycle", "position", "at", "writer")


def pack(found: Crossroads) -> dict[str, Any]:
    """Return the row of a crossroads."""
    record = asdict(found)
    keys = {key: record.pop(key) for key in _KEYS}
    return keys | {"found": json.dumps(record, ensure_ascii=False)}


def unpack(row: Mapping[str, Any]) -> Crossroads:
    """Return the crossroads of a row."""
    record = json.loads(row["found"])
    branches = tuple(
        Branch(**{**branch, "continuations": tuple(
            Continuation(tuple(c["tokens"]), tuple(c["pieces"]), c["score"], c["ended"])
            for c in branch["continuations"])})
        for branch in record.pop("branches"))
    return Crossroads(**{key: row[key] for key in _KEYS}, **record, branches=branches)
