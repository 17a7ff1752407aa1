"""What the best of n completions are worth, in the database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from workbench.records import BestOf


def pack(found: BestOf) -> dict[str, Any]:
    """Return the row of what was found."""
    record = asdict(found)
    keys = {key: record.pop(key) for key in ("run_id", "cycle")}
    return keys | {"found": json.dumps(record, ensure_ascii=False)}


def unpack(row: Mapping[str, Any]) -> BestOf:
    """Return what was found, of a row."""
    record = json.loads(row["found"])
    return BestOf(**{**record, "run_id": row["run_id"], "cycle": row["cycle"],
                     "rewards": tuple(record["rewards"]), "kl": tuple(record["kl"])})
