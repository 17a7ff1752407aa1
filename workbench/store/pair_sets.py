"""The pairs that runs learn from, as the database keeps them: once, whichever runs they are of."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sqlite_utils import Database

from workbench.records import PairData
from workbench.store.pair_files import pair_lines, pairs_of_lines

Row = dict[str, Any]


def pack(data: PairData) -> tuple[Row, str]:
    """Return the row of a set of pairs, and what a run keeps of it."""
    lines = pair_lines(data.pairs).encode()
    digest = sha256(lines).hexdigest()
    about = {"what": data.what, "summary": data.summary, "digest": digest,
             "pairs": len(data.pairs)}
    # Without the time of day, and not as small as can be: it takes ten times as long.
    row = {"digest": digest, "count": len(data.pairs), "pairs": gzip.compress(lines, 6, mtime=0)}
    return row, json.dumps(about)


def unpack(row: Mapping[str, Any], about: Mapping[str, Any]) -> PairData:
    """Return what :func:`pack` packed."""
    return PairData(about["what"], pairs_of_lines(gzip.decompress(row["pairs"]).decode()),
                    about["summary"])


def drop_unused(db: Database) -> None:
    """Delete the sets that no run learns from."""
    db.execute("delete from pair_sets where digest not in (select json_extract(data, '$.digest') "
               "from runs where data is not null)")
