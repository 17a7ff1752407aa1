"""Rows of pairs, marks and thumbs, from records and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sqlite_utils import Database

from workbench.store.judged import (
    JudgedPair,
    Mark,
    Origin,
    PairToJudge,
    Side,
    Thumb,
    prompt_digest,
)
from workbench.store.records import Message
from workbench.store.rows import Row, number

STANDS = "repeat = 0 and replaced_by is null"
"""Which marks are the last word of who made them."""


def pair_row(set_id: int, pair: PairToJudge) -> Row:
    """Return the row of a pair, without its number."""
    first, second = pair.first, pair.second
    return {
        "set_id": set_id, "digest": pair.digest, "prompt": pair.prompt,
        "prompt_digest": prompt_digest(pair.prompt, pair.messages),
        "messages": _messages(pair.messages), "turns": int(pair.turns),
        "first": first.text, "second": second.text,
        "first_ended": int(first.ended), "second_ended": int(second.ended),
        "first_score": _finite(first.score), "second_score": _finite(second.score),
        "first_origin": first.origin.to_json(), "second_origin": second.origin.to_json(),
        "scored_by": pair.scored_by}


def pair_record(row: Mapping[str, Any]) -> JudgedPair:
    """Return a pair from its row."""
    first, second = (
        Side(row[side], bool(row[f"{side}_ended"]), number(row[f"{side}_score"]),
             Origin.of_json(row[f"{side}_origin"])) for side in ("first", "second"))
    return JudgedPair(row["id"], PairToJudge(
        row["prompt"], first, second, _turns(row["messages"]), bool(row["turns"]),
        row["scored_by"] or ""))


def mark_row(mark: Mark) -> Row:
    """Return the row of a mark, without its number. What stands in whose place the store knows."""
    return {
        "pair_id": mark.pair, "by": mark.by, "judge": int(mark.judge), "choice": mark.choice,
        "strength": mark.strength, "at": mark.at, "seconds": _finite(mark.seconds),
        "left": mark.left, "guidelines": mark.guidelines, "margin": mark.margin,
        "repeat": int(mark.repeat), "source": mark.source or None}


def put_mark(db: Database, made: Mark, guidelines: str) -> int:
    """Insert a mark, in place of those that the same one has made of the pair, unless it is a
    repeat, with the text it was made by; return its number."""
    if guidelines:
        db.table("guidelines").insert(
            {"digest": made.guidelines, "text": guidelines, "at": made.at}, ignore=True)
    new = db.table("marks").insert(mark_row(made)).last_pk
    assert isinstance(new, int)
    if not made.repeat:
        db.execute("update marks set replaced_by = ? where pair_id = ? and by = ? and judge = ? "
                   f"and id != ? and {STANDS}",
                   [new, made.pair, made.by, int(made.judge), new])
    return new


def mark_record(row: Mapping[str, Any]) -> Mark:
    """Return a mark from its row."""
    return Mark(
        row["id"], row["pair_id"], row["by"], row["choice"], row["strength"], bool(row["judge"]),
        row["at"], number(row["seconds"]), row["left"], row["guidelines"], row["margin"],
        bool(row["repeat"]), not row["repeat"] and row["replaced_by"] is None,
        row.get("source") or "")


def thumb_row(set_id: int, thumb: Thumb) -> Row:
    """Return the row of a thumb, without its number."""
    side = thumb.completion
    return {
        "set_id": set_id, "digest": thumb.digest, "by": thumb.by, "up": int(thumb.up),
        "at": thumb.at, "prompt": thumb.prompt, "messages": _messages(thumb.messages),
        "turns": int(thumb.turns), "completion": side.text, "ended": int(side.ended),
        "score": _finite(side.score), "origin": side.origin.to_json()}


def thumb_record(row: Mapping[str, Any]) -> Thumb:
    """Return a thumb from its row."""
    side = Side(row["completion"], bool(row["ended"]), number(row["score"]),
                Origin.of_json(row["origin"]))
    return Thumb(row["prompt"], side, row["by"], bool(row["up"]), _turns(row["messages"]),
                 bool(row["turns"]), row["at"])


def guidelines_digest(text: str) -> str:
    """Return the hash of guidelines; "" where there are none."""
    return sha256(text.encode()).hexdigest()[:16] if text else ""


def _messages(turns: tuple[Message, ...]) -> str | None:
    return json.dumps(turns) if turns else None


def _turns(said: str | None) -> tuple[Message, ...]:
    return tuple(Message(*turn) for turn in json.loads(said)) if said else ()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
