"""The layouts in which people keep preferences: one record, known by the names of its fields, as
pairs of a better and a worse completion. What the prompt is, :mod:`workbench.store.prompt_layouts`
says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from workbench.records import Pair, Turns
from workbench.store.prompt_layouts import (
    HH_TURN,
    BadRecordError,
    Fields,
    check_characters,
    prompt_of,
    turns_of,
    unwrapped,
)
from workbench.store.records import Message, Prompt

_FIRST = {"a", "left", "first", "1", "model_a", "assistant_a", "response_a", "answer_a"}
_SECOND = {"b", "right", "second", "2", "model_b", "assistant_b", "response_b", "answer_b"}
_TIE = {"tie", "both", "equal", "same", "none", "draw"}
_BOTH_BAD = {"tie (bothbad)", "both bad", "both_bad", "bothbad", "neither"}
_SCORES = (("score_chosen", "score_rejected"), ("chosen_score", "rejected_score"),
           ("chosen_rating", "rejected_rating"))
_BY = ("by", "worker", "annotator", "labeler", "labeller", "judge")
_ONE_OF_TWO = re.compile(r"(?P<name>.*?)[ _-]?(?P<which>1|2|a|b|left|right)")
_OTHER = {"1": "2", "a": "b", "left": "right"}


class UnpairedError(BadRecordError):
    """Why a record is no pair; ``kind`` counts it together with others."""

    def __init__(self, sentence: str, kind: str) -> None:
        super().__init__(sentence)
        self.kind = kind


TIE = "ties"
_EQUAL, _NO_ANSWER = "equal texts", "without an answer"
_NO_VERDICT, _LAST_TURN = "without a verdict", "not differing in the last answer alone"
_SAYS_OTHERWISE = "whose scores say otherwise"


class Verdict(NamedTuple):
    """What somebody said of two answers: by how much the first is ``better``, below 0 where the
    second is and 0 in a tie, of which ``bad`` says that neither is good; ``strength`` is 0 where
    that was not said, 1 for slightly, 2 for clearly better."""

    better: float
    by: str = ""
    bad: bool = False
    strength: int = 0


class Told(NamedTuple):
    """What a record says: two ``answers`` to a prompt, whether they are ``turns`` of the assistant,
    and the verdicts on them. ``names`` are those of the answers' fields."""

    fields: Fields
    prompt: Prompt
    answers: tuple[str, str]
    names: tuple[str, str]
    turns: bool
    verdicts: Sequence[Verdict]

    @property
    def messages(self) -> tuple[tuple[str, str], ...]:
        """The turns that the prompt's text writes out."""
        told = () if self.turns else self.fields.get("prompt_messages") or ()
        if isinstance(told, str):  # in a cell
            told = json.loads(told)
        return self.prompt.messages or tuple((str(role), str(said)) for role, said in told)

    def ended(self, name: str) -> bool:
        """Whether an answer was not cut."""
        return self.fields.get(f"{name}_ended") not in (False, "false", "False", 0, "0")

    def margin(self, verdict: Verdict) -> float | None:
        """Return by how much the better one is better; None: nobody says."""
        better = abs(verdict.better)
        return better if better not in (0.0, 1.0) else number_of(self.fields.get("margin"))


def pairs_of(record: Mapping[str, Any]) -> list[Pair]:
    """Return the pairs of a record: one, or one for each person who has judged it.

    Raises:
        UnpairedError: it is a tie, or has completions that make no pair.
        BadRecordError: it is in no layout that is known, or its prompt cannot be used.
    """
    told = told_of(record)
    found = [_pair(told, verdict) for verdict in told.verdicts if verdict.better]
    if not found:
        raise UnpairedError("is a tie", TIE)
    return found


def told_of(record: Mapping[str, Any], *, unjudged: bool = False) -> Told:
    """Return what a record says.

    Args:
        unjudged: two answers without a verdict will do.

    Raises:
        UnpairedError: it has completions that make no pair, or no verdict.
        BadRecordError: it is in no layout that is known, or its prompt cannot be used.
    """
    fields = Fields(unwrapped(record))
    for names, read in _LAYOUTS:
        if all(fields.has(name) for name in names):
            first, second, verdicts = read(fields)
            break
    else:
        both = _two_answers(fields) if unjudged else None
        if both is None:
            known = ", ".join(f"“{name}”" for name in list(fields.record)[:8])
            raise BadRecordError('has no “chosen” and “rejected”, nor two answers and a verdict'
                                 + (f" (its fields: {known})" if known else ""))
        first, second, verdicts = _sides(fields, *both, [])
    if not verdicts and not unjudged:
        raise UnpairedError("has no verdict", _NO_VERDICT)
    for name, value in (first, second):
        if value is None or (isinstance(value, str | list) and not value):
            raise UnpairedError(f'has no answer under "{name}"', _NO_ANSWER)
    prompt, used = prompt_of(record)
    implicit = "chosen" in {name.strip().casefold() for name in used}
    answers = [_answer(name, value, prompt, implicit) for name, value in (first, second)]
    one, other = (answer if isinstance(answer, str) else answer[-1][1] for answer in answers)
    for (name, _), text in zip((first, second), (one, other), strict=True):
        if not text.strip():  # nearly always one that nobody filled in
            raise UnpairedError(f'has no answer under "{name}"', _NO_ANSWER)
        check_characters(text)
    if one == other:
        raise UnpairedError("has two equal answers", _EQUAL)
    # A layout of turns is one of turns throughout.
    turns = any(isinstance(answer, list) for answer in answers) or isinstance(
        next((fields.get(n) for n in ("prompt", "context") if fields.has(n)), None), list)
    return Told(fields, prompt, (one, other), (first[0], second[0]), turns, verdicts)


def layout_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return which of the columns of these names hold pairs, in lower case; none: it is no layout
    that is known."""
    fields = Fields(dict.fromkeys(names))
    found = next((layout for layout, _ in _LAYOUTS if all(map(fields.has, layout))), ())
    return (*found, *(_two_answers(fields) or ()), *_prompts_in(fields)) if found else ()


def judged_layout_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return the same, also of two answers that nobody has judged."""
    fields = Fields(dict.fromkeys(names))
    both, prompts = _two_answers(fields), _prompts_in(fields)
    return layout_of(names) or ((*both, *prompts) if both and prompts else ())


def _prompts_in(fields: Fields) -> list[str]:
    prompts = ("prompt", "messages", "conversations", "context", "history", "question")
    return [name for name in prompts if fields.has(name)]


_Side = tuple[str, Any]
_Read = tuple[_Side, _Side, list[Verdict]]


def _pair(told: Told, verdict: Verdict) -> Pair:
    order = (0, 1) if verdict.better > 0 else (1, 0)
    first, second = (told.answers[place] for place in order)
    ended = told.ended("chosen"), told.ended("rejected")
    margin, prompt = told.margin(verdict), told.prompt
    if not told.turns:
        return Pair(prompt.text, first, second, told.messages, *ended, margin, verdict.by)
    asked: Turns = list(prompt.messages) or [Message("user", prompt.text)]
    return Pair(asked, [Message("assistant", first)], [Message("assistant", second)], (), *ended,
                margin, verdict.by)


def _answer(name: str, value: Any, prompt: Prompt, implicit: bool) -> str | Turns:
    """Return what one side answers to the prompt, with which an ``implicit`` one begins."""
    if isinstance(value, str):
        if not implicit:
            return value
        rest = value.removeprefix(prompt.text)
        if prompt.messages and HH_TURN.search(rest):
            raise UnpairedError(
                "has two conversations that part before the last answer", _LAST_TURN)
        return rest
    turns = turns_of(value, name)
    if not turns or turns[-1].role != "assistant":
        raise UnpairedError(f'has a "{name}" whose last turn is not the assistant\'s', _LAST_TURN)
    asked = list(prompt.messages) or [Message("user", prompt.text)]
    if turns[:-1] and turns[:-1] != asked and turns[:-1] != [
            turn for turn in asked if turn.role not in ("system", "developer")]:
        raise UnpairedError("has two conversations that part before the last answer", _LAST_TURN)
    return [turns[-1]]


# -- layouts

def _chosen(fields: Fields) -> _Read:
    """TRL's explicit and implicit one, HH-RLHF's and UltraFeedback's."""
    better = 1.0
    for names in _SCORES:
        scores = [number_of(fields.get(name)) for name in names]
        if None not in scores:
            better = scores[0] - scores[1]  # type: ignore[operator]
            if better < 0:
                raise UnpairedError(
                    f'has a "{names[0]}" below its "{names[1]}"', _SAYS_OTHERWISE)
            break
    return _sides(fields, "chosen", "rejected", [Verdict(better, _by(fields))])


def _summaries(fields: Fields) -> _Read:
    both = fields.get("summaries")
    if not isinstance(both, list) or len(both) != 2:
        raise UnpairedError('has no two "summaries"', _NO_ANSWER)
    first, second = (each.get("text") if isinstance(each, dict) else each for each in both)
    choice = number_of(fields.get("choice"))
    if choice not in (0, 1):
        raise UnpairedError('has a "choice" that is neither 0 nor 1', _NO_VERDICT)
    verdict = Verdict(1.0 - 2 * choice, _by(fields), strength=_confidence(fields, choice))
    return ("summaries", first), ("summaries", second), [verdict]


def _numbered(first: str, second: str, verdict: str, better: Callable[[float], float]
              ) -> Callable[[Fields], _Read]:
    """Return the reader of two answers with a number that says which is better."""
    def read(fields: Fields) -> _Read:
        said = number_of(fields.get(verdict))
        if said is None:
            raise UnpairedError(f'has no number under "{verdict}"', _NO_VERDICT)
        # Of more than one step, the first is "slightly".
        steps = 0 if better(1) == better(2) or not said else 1 + (abs(said) > 1)
        return _sides(fields, first, second, [Verdict(better(said), _by(fields), strength=steps)])
    return read


def _worded(fields: Fields) -> _Read:
    """Two answers whose names differ in 1 and 2, a and b, or left and right, with a word."""
    both = _two_answers(fields)
    if both is None:
        raise UnpairedError("has a verdict and no two answers", _NO_ANSWER)
    name = next(n for n in ("winner", "preference") if fields.has(n))
    if fields.get(name) in (None, ""):
        return _sides(fields, *both, [])
    return _sides(fields, *both, [_word(fields.get(name), both, name, _by(fields))])


def _annotated(fields: Fields) -> _Read:
    """Label Studio's export: several people may have judged one task."""
    both = _needed(fields)
    verdicts = []
    for annotation in _list(fields.get("annotations")):
        if annotation.get("was_cancelled"):
            continue
        by = annotation.get("completed_by")
        person = by.get("email") or by.get("id") if isinstance(by, dict) else by
        for result in _list(annotation.get("result")):
            value = result.get("value") or {}
            said = value.get("selected", value.get("choices"))
            said = said[0] if isinstance(said, list) and said else said
            verdicts.append(_word(said, both, "annotations", "" if person is None
                                  else str(person)))
            break
    return _judged(fields, both, verdicts)


def _answered(fields: Fields) -> _Read:
    """Argilla's export, of either generation."""
    both = _needed(fields)
    responses = fields.get("responses")
    if isinstance(responses, dict):
        flat = [answer for answers in responses.values() for answer in _list(answers)]
    else:
        flat = [{**response, **answer} for response in _list(responses)
                for answer in (response.get("values") or {}).values() if isinstance(answer, dict)]
    return _judged(fields, both, [
        _ranked(answer.get("value"), both, str(answer.get("user_id") or ""))
        for answer in flat if answer.get("status", "submitted") == "submitted"])


_LAYOUTS: tuple[tuple[tuple[str, ...], Callable[[Fields], _Read]], ...] = (
    (("annotations",), _annotated),
    (("responses",), _answered),
    (("chosen", "rejected"), _chosen),
    (("summaries", "choice"), _summaries),
    (("human_ref_a", "human_ref_b", "labels"), _numbered(
        "human_ref_a", "human_ref_b", "labels", lambda label: 1.0 if label == 1 else -1.0)),
    (("response1", "response2", "overall_preference"), _numbered(
        "response1", "response2", "overall_preference", lambda said: -said)),
    (("response_1", "response_2", "preference_strength"), _numbered(
        "response_1", "response_2", "preference_strength", lambda said: -said)),
    (("winner",), _worded),
    (("preference",), _worded),
)
"""The fields that tell a layout, and what reads it; the first that fits is taken."""


def _sides(fields: Fields, first: str, second: str, verdicts: list[Verdict]) -> _Read:
    return (first, fields.get(first)), (second, fields.get(second)), verdicts


def _needed(fields: Fields) -> tuple[str, str]:
    both = ("chosen", "rejected") if fields.has("chosen") else _two_answers(fields)
    if both is None:
        raise UnpairedError("has no two answers whose names differ in 1 and 2, or a and b",
                            _NO_ANSWER)
    return both


def _judged(fields: Fields, both: tuple[str, str], verdicts: list[Verdict]) -> _Read:
    if not verdicts:
        raise UnpairedError("has no verdict that was not cancelled or discarded", _NO_VERDICT)
    return _sides(fields, *both, verdicts)


def _two_answers(fields: Fields) -> tuple[str, str] | None:
    """Return the names, in lower case, of two fields that differ in which of two they are."""
    names = [name.strip().casefold() for name in fields.record]
    for name in names:
        found = _ONE_OF_TWO.fullmatch(name)
        if found and found["which"] in _OTHER:
            other = name[: found.start("which")] + _OTHER[found["which"]]
            if other in names and not name.startswith(("model", "score", "from")):
                return name, other
    return None


def _word(said: Any, both: tuple[str, str], name: str, by: str) -> Verdict:
    """Return the verdict that a word gives."""
    word = str(said).strip().casefold() if isinstance(said, str | int) else ""
    if word in {*_FIRST, both[0]}:
        return Verdict(1.0, by)
    if word in {*_SECOND, both[1]}:
        return Verdict(-1.0, by)
    if word in _TIE | _BOTH_BAD:
        return Verdict(0.0, by, word in _BOTH_BAD)
    raise UnpairedError(f'has a verdict under "{name}" that names neither of its answers',
                        _NO_VERDICT)


def _ranked(value: Any, both: tuple[str, str], by: str) -> Verdict:
    if not isinstance(value, list):
        word = re.sub(r"response[-_ ]?(?=[12ab]$)", "", str(value).strip().casefold())
        return _word(word, both, "responses", by)
    ranks = [number_of(each.get("rank")) for each in _list(value)]
    if len(ranks) != 2 or None in ranks:
        raise UnpairedError("has a ranking that is not of its two answers", _NO_VERDICT)
    first, second = (each["rank"] for each in sorted(value, key=lambda each: str(each["value"])))
    return Verdict(float((second > first) - (second < first)), by)


def _confidence(fields: Fields, choice: float) -> int:
    """Return the strength of a TL;DR verdict: from 1, the first for certain, to 9, the second."""
    extra = fields.get("extra")
    said = number_of(extra.get("confidence")) if isinstance(extra, dict) else None
    if said is None or not 1 <= said <= 9 or (said < 5) != (choice == 0) or said == 5:
        return 0
    return 1 + (abs(said - 5) > 2)


def _by(fields: Fields) -> str:
    return next((str(fields.get(name)) for name in _BY
                 if isinstance(fields.get(name), str | int)), "")


def _list(value: Any) -> Iterator[Mapping[str, Any]]:
    return (each for each in (value if isinstance(value, list) else []) if isinstance(each, dict))


def number_of(value: Any) -> float | None:
    """Return a number, also one that is written out; None: there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
