"""Rows of the tables, from records and back."""

from __future__ import annotations

import json
import math
import struct
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.store.records import (
    CompletionRecord,
    HealthRecord,
    Kind,
    Message,
    Past,
    Prompt,
    RunRecord,
    SweepRecord,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    # numpy takes a while to import, and a window wants its store first
    from workbench.records import TokenTrace

Row = dict[str, Any]


def number(value: float | None) -> float:
    """Return a number of the database, where NULL is one that was not finite."""
    return math.nan if value is None else value


def new_identity() -> str:
    """Return what tells a run from every other, of any database."""
    return uuid.uuid4().hex


def prompt_row(prompt: Prompt) -> Row:
    """Return what both tables of prompts keep of one."""
    return {"text": prompt.text, "pinned": int(prompt.pinned),
            "messages": json.dumps(prompt.messages) if prompt.messages else None,
            "columns": json.dumps(dict(prompt.columns)) if prompt.columns else None}


def prompt_record(row: Mapping[str, Any]) -> Prompt:
    """Return a prompt from its row."""
    return Prompt(
        row["text"], bool(row.get("enabled", True)), bool(row["pinned"]),
        tuple(Message(*turn) for turn in json.loads(row["messages"])) if row["messages"] else (),
        json.loads(row["columns"]) if row["columns"] else {})


def pack_ids(ids: Sequence[int]) -> bytes:
    """Return token ids as the store keeps them: int32, little-endian."""
    return struct.pack(f"<{len(ids)}i", *ids)


def unpack_ids(packed: bytes) -> list[int]:
    """Return what :func:`pack_ids` packed."""
    return list(struct.unpack(f"<{len(packed) // 4}i", packed))


def run_record(row: Mapping[str, Any]) -> RunRecord:
    """Return a run from its row."""
    return RunRecord(
        id=row["id"], name=row["name"], created_at=row["created_at"], status=row["status"],
        policy=row["policy"] or "", reward=row["reward"] or "",
        models=json.loads(row["models"] or "{}"),
        hyperparameters=json.loads(row["hyperparameters"]),
        cycles=row["cycles"], note=row["note"] or "", parent=row["parent_id"],
        parent_cycle=row["parent_cycle"] or 0, owner=row["owner"] or "",
        algorithm=row["algorithm"], sweep=row["sweep"], place=row["place"],
        forked_with=dict(json.loads(row["forked_with"] or "[]")),
        past=tuple(Past(*each) for each in json.loads(row["past"] or "[]")),
        data=json.loads(row["data"] or "{}"))


def sweep_record(row: Mapping[str, Any]) -> SweepRecord:
    """Return a sweep from its row."""
    return SweepRecord(row["id"], row["name"], row["created_at"], json.loads(row["plan"]))


def completion_rows(
    run_id: int, cycle: int, kind: Kind, completions: Iterable[CompletionRecord]
) -> list[Row]:
    """Return the rows of a cycle's completions."""
    return [
        {"run_id": run_id, "cycle": cycle, "kind": kind, "position": c.position,
         "prompt": c.prompt, "text": c.text,
         "score": c.score if math.isfinite(c.score) else None,
         "kl": c.kl if math.isfinite(c.kl) else None,
         "length": c.length, "ended": int(c.ended),
         "parts": json.dumps({k: v if math.isfinite(v) else None for k, v in c.parts.items()})
         if c.parts else None,
         "cut": c.cut}
        for c in completions
    ]


def completion_record(row: Mapping[str, Any]) -> CompletionRecord:
    """Return a completion from its row, with its prompt's text."""
    return CompletionRecord(
        position=row["position"], prompt=row["prompt"], prompt_text=row["prompt_text"],
        text=row["text"], score=number(row["score"]), kl=number(row["kl"]),
        length=row["length"], ended=bool(row["ended"]),
        parts={k: number(v) for k, v in json.loads(row["parts"] or "{}").items()},
        cut=row["cut"] or 0)


def health_rows(run_id: int, health: Iterable[HealthRecord]) -> list[Row]:
    """Return the rows of what the health check found."""
    return [{"run_id": run_id, "cycle": h.cycle, "rule": h.rule, "severity": h.severity,
             "sentence": h.sentence} for h in health]


def with_history(before: Mapping[str, Any], models: Mapping[str, Any], cycle: int, *,
                 same_scores: bool = False) -> str:
    """Return the models that a run goes on with after ``cycle``, as the database keeps them, with
    those ``before``; ``same_scores``: their rewards differ in what is only watched."""
    earlier = {name: value for name, value in before.items() if name != "before"}
    history = [*before.get("before", ()), {
        "until_cycle": cycle, **earlier, **({"same_scores": True} if same_scores else {})}]
    return json.dumps({**models, "before": history})


def quantile_rows(
    run_id: int, cycle: int, traces: Iterable[TokenTrace], more: Mapping[str, ArrayLike]
) -> list[Row]:
    """Return the rows of how the numbers of a cycle's tokens are spread, and ``more`` by name."""
    from workbench.store.quantiles import pack

    return pack(run_id, cycle, traces, more)


def trace_rows(run_id: int, cycle: int, traces: Iterable[TokenTrace]) -> list[Row]:
    """Return the rows of a cycle's token traces."""
    from workbench.store.traces import pack

    return [pack(run_id, cycle, trace) for trace in traces]
