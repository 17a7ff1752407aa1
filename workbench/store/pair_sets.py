"""What runs learn from, as the database keeps it: once, whichever runs it is of."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sqlite_utils import Database

from workbench.records import DataByKind, PairData, RunData, ScoredData
from workbench.store.pair_files import pair_lines, pairs_of_lines
from workbench.store.scored_files import scored_lines, scored_of_lines

Row = dict[str, Any]


def pack(data: RunData) -> tuple[Row, str]:
    """Return the row of pairs, or of scored completions, and what a run keeps of it."""
    lines = (pair_lines(data.pairs) if isinstance(data, PairData)
             else scored_lines(data.texts)).encode()
    digest = sha256(lines).hexdigest()
    about = {"what": data.what, "summary": data.summary, "digest": digest,
             data.kind: len(data.items)}
    # Without the time of day, and not as small as can be: it takes ten times as long.
    row = {"digest": digest, "count": len(data.items), "pairs": gzip.compress(lines, 6, mtime=0)}
    return row, json.dumps(about)


def unpack(row: Mapping[str, Any], about: Mapping[str, Any]) -> RunData:
    """Return what :func:`pack` packed."""
    lines = gzip.decompress(row["pairs"]).decode()
    if PairData.kind in about:
        return PairData(about["what"], pairs_of_lines(lines), about["summary"])
    return ScoredData(about["what"], scored_of_lines(lines), about["summary"])


def pack_choices(data: DataByKind) -> tuple[list[Row], str]:
    """Return the rows of what was chosen for a sweep, and what the sweep keeps of them."""
    rows: list[Row] = []
    about: dict[str, Any] = {}
    for kind, chosen in data.items():
        if isinstance(chosen, tuple):
            about[kind] = {"runs": chosen}
        else:
            row, told = pack(chosen)
            rows.append(row)
            about[kind] = json.loads(told)
    return rows, json.dumps(about)


def drop_unused(db: Database) -> None:
    """Delete the sets that no run learns from, and no sweep is to."""
    db.execute("delete from pair_sets where digest not in ("
               "select json_extract(data, '$.digest') from runs where data is not null "
               "union select json_extract(each.value, '$.digest') "
               "from sweeps, json_each(sweeps.data) as each "
               "where json_extract(each.value, '$.digest') is not null)")
