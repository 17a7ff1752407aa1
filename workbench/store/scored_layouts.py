"""The layouts in which people keep completions with scores: one record as those that it holds. What
the prompt is, :mod:`workbench.store.prompt_layouts` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.records import ScoredText, TextPrompt
from workbench.store.pair_layouts import UnpairedError, number_of
from workbench.store.prompt_layouts import (
    Fields,
    check_characters,
    prompt_of,
    turns_of,
    unwrapped,
)
from workbench.store.records import Prompt

_TEXTS = ("completion", "response", "answer", "generation", "output")
_SCORES = ("score", "reward", "rating", "overall_score", "label", "mark", "thumb", "thumbs")
_WORDS = {**dict.fromkeys(
    ("good", "yes", "up", "thumbs up", "thumbs_up", "like", "liked", "positive", "desirable",
     "chosen", "accepted", "true", "👍"), 1.0), **dict.fromkeys(
    ("bad", "no", "down", "thumbs down", "thumbs_down", "dislike", "disliked", "negative",
     "undesirable", "rejected", "false", "👎"), 0.0)}
"""What a mark may be in place of a number."""
_SIDES = tuple((side, (f"score_{side}", f"{side}_score", f"{side}_rating"))
               for side in ("chosen", "rejected"))
_NO_SCORE, _NO_TEXT = "without a score", "without a completion"


def scored_of(record: Mapping[str, Any]) -> list[ScoredText]:
    """Return the scored completions of a record: one; both of a pair that have scores; or all that
    it lists.

    Raises:
        UnpairedError: it holds none, or one without a score.
        BadRecordError: its prompt cannot be used.
    """
    fields = Fields(unwrapped(record))
    prompt, used = prompt_of(record)
    given = {name.strip().casefold() for name in used}
    found = [_scored(prompt, each, given) for each in _parts(fields)]
    if not found:
        raise UnpairedError("has no completion", _NO_TEXT)
    return found


def layout_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return which of the columns of these names hold scored completions, in lower case; none: it
    is no layout that is known."""
    there = {name.strip().casefold() for name in names}
    if any(side in there and there.intersection(scores) for side, scores in _SIDES):
        return tuple(side for side, _ in _SIDES)
    text = next((name for name in (*_TEXTS, "messages") if name in there), None)
    score = next((name for name in _SCORES if name in there), None)
    return ("prompt", text, score) if text and score else ()


def _parts(fields: Fields) -> Iterator[Fields]:
    """Give what each completion of a record stands in: a list of them, as UltraFeedback has it, two
    of a pair, or one."""
    listed = fields.get("completions")
    if isinstance(listed, list):
        yield from (Fields(each) for each in listed if isinstance(each, dict))
    elif fields.has("chosen") and fields.has("rejected"):
        for side, names in _SIDES:
            score = next((fields.get(name) for name in names if fields.has(name)), None)
            yield Fields({"completion": fields.get(side), "score": score})
    else:
        yield fields


def _scored(prompt: Prompt, fields: Fields, given: set[str]) -> ScoredText:
    name = next((n for n in (*_TEXTS, "messages") if fields.has(n) and (
        n == "messages" or n not in given)), None)
    if name is None:
        raise UnpairedError("has no completion", _NO_TEXT)
    text = _text(name, fields.get(name))
    said = next((n for n in _SCORES if fields.get(n) not in (None, "")), None)
    if said is None:
        raise UnpairedError("has no score", _NO_SCORE)
    value = fields.get(said)
    score = float(value) if isinstance(value, bool) else number_of(value)
    if score is None:
        score = _WORDS.get(str(value).strip().casefold())
    if score is None:
        raise UnpairedError(f'has no number under "{said}", nor good or bad', _NO_SCORE)
    check_characters(text)
    if prompt.messages and not text[:1].isspace():
        text = f" {text}"  # after turns that are written out, it is a word like any other
    return ScoredText(
        TextPrompt(prompt.text, tuple((role, said) for role, said in prompt.messages)), text,
        score, fields.get("ended") not in (False, "false", "False", 0, "0"))


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        text = value
    elif value is None:
        text = ""
    else:
        turns = turns_of(value, name)
        if not turns or turns[-1].role != "assistant":
            raise UnpairedError(f'has a "{name}" whose last turn is not the assistant\'s', _NO_TEXT)
        text = turns[-1].content
    if not text:  # nearly always one that nobody filled in, not an end token alone
        raise UnpairedError(f'has an empty "{name}"', _NO_TEXT)
    return text
