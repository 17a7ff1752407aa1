"""What is typed to find completions: ``reward<0``, ``kl>20``, words, "quoted text". No Qt."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from workbench.store.records import CompletionRecord
from workbench.thousands_separators import about_thousands_separators

_NUMBERS: Mapping[str, Callable[[CompletionRecord], float]] = {
    "reward": lambda record: record.score,
    "kl": lambda record: record.kl,
    "length": lambda record: record.length,
}
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, "≤": operator.le, "=<": operator.le,
    ">": operator.gt, ">=": operator.ge, "≥": operator.ge, "=>": operator.ge,
    "=": operator.eq, "==": operator.eq,
}
_SIGN = "|".join(sorted(map(re.escape, _COMPARE), key=len, reverse=True))
_TERM = re.compile(
    rf"""["“„](?P<quoted>[^"“”]*)(?P<closed>["“”])?
    | (?P<name>[^\W\d]\w*)? \s* (?P<sign>{_SIGN}) \s* (?P<value>(?:(?!{_SIGN})[^\s"“„])*)
    | (?P<word>(?:(?!{_SIGN})[^\s"“„])+)""", re.VERBOSE)


class FilterError(ValueError):
    """What is typed means nothing; the text is a sentence for the person."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A number compared with another. Equal is what is written alike, with as many decimals."""

    name: str
    sign: str
    value: float
    decimals: int

    def holds(self, record: CompletionRecord) -> bool:
        """Return whether a completion meets it; one whose number is not finite never does."""
        number = _NUMBERS[self.name](record)
        if _COMPARE[self.sign] is operator.eq:
            number = round(number, self.decimals)
        return _COMPARE[self.sign](number, self.value)


@dataclass(frozen=True, slots=True)
class Filter:
    """Everything that must be so: ``texts``, in lower case, and ``conditions``."""

    texts: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def __bool__(self) -> bool:
        """Return whether it could leave something out."""
        return bool(self.texts or self.conditions)

    def fits(self, shown: Sequence[CompletionRecord]) -> bool:
        """Return whether the completions of a prompt fit: each text stands in the prompt or in one
        of them, and the conditions hold for the last."""
        if not all(condition.holds(shown[-1]) for condition in self.conditions):
            return False
        if not self.texts:
            return True
        written = [f"{record.prompt_text}{record.text}".casefold() for record in shown]
        return all(any(text in whole for whole in written) for text in self.texts)


def parse(typed: str) -> Filter:
    """Return what is typed as a filter.

    >>> parse('reward<0 length>=40 "the room"').texts
    ('the room',)

    Raises:
        FilterError: it means nothing, in a sentence that says why.
    """
    texts, conditions, at = [], [], 0
    while at < len(typed):
        if typed[at].isspace():
            at += 1
            continue
        found = _TERM.match(typed, at)
        assert found is not None  # every character begins a term
        at = found.end()
        if found["sign"]:
            conditions.append(_condition(found))
        elif found["quoted"] is None:
            texts.append(found["word"].casefold())
        elif not found["closed"]:
            raise FilterError("The quotation marks are not closed: write “\"” at the end, too.")
        elif found["quoted"]:
            texts.append(found["quoted"].casefold())
    return Filter(tuple(texts), tuple(conditions))


def _condition(found: re.Match[str]) -> Condition:
    written, name, value = found[0].strip(), found["name"], found["value"]
    if not name:
        raise FilterError(f"“{written}” does not say what is compared; write reward{written}, say.")
    if name.casefold() not in _NUMBERS:
        raise FilterError(f"“{name}” cannot be compared: use reward, kl or length, or put the text "
                          "in quotation marks.")
    if not value:
        raise FilterError(f"“{written}” lacks a number, as in {name}{found['sign']}0.")
    if problem := about_thousands_separators(value, whole=name.casefold() == "length"):
        raise FilterError(problem)
    plain = value.replace("−", "-").replace(",", ".")
    try:
        number = float(plain)
    except ValueError:
        raise FilterError(f"“{value}” is no number; write {name}{found['sign']}0, say.") from None
    return Condition(name.casefold(), found["sign"], number, len(plain.partition(".")[2]))
