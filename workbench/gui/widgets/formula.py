"""Formulas as they are printed: variables slanted, indices below the line, real minus signs."""

from __future__ import annotations

import html
import re

_LETTER = "A-Za-zα-ω"
_ALONE = rf"(?<![{_LETTER}])(?<![{_LETTER}]['’])"
# A letter by itself is a variable, and so is each of several Greek ones, but not the article.
_VARIABLE = re.compile(rf"{_ALONE}(?!a(?=\s))([{_LETTER}])(?![{_LETTER}])|([α-ω])")
# An index is a group in braces, a word, or a number, after a letter, also a primed one, a sum or a
# bracket.
_INDEX = re.compile(rf"(?:(?<={_ALONE}[{_LETTER}])|(?<=[{_LETTER}]')|(?<=[Σ)]))"
                    r"([_^])(?:\{([^}]*)\}|([^\W_]+))")
_FRACTION = re.compile(r"\{([^{}]*)\}÷\{([^{}]*)\}")
_SUM = re.compile(r"\s[-+]\s|·")
_MINUS = re.compile(rf"(?<![{_LETTER}]{{2}})-|-(?![{_LETTER}\d])")  # no hyphen in a word
_TERM = re.compile(r"\b(?:L_[A-Z]+|[α-ω]_[A-Z])\b")
_TAG = re.compile(r"(<[^>]*>|&\w+;)")


def formula_html(text: str) -> str:
    """Return a formula that is written as text, "L_POLICY = -A·ρ_t" or "{R - V}÷{R}", as HTML for
    one line of a label."""
    return _line(_FRACTION.sub(
        lambda found: f"{_side(found[1])} ÷ {_side(found[2])}", text.replace("\n", "; ")))


def _side(text: str) -> str:
    """Return one side of a fraction in a line: a sum or a product in brackets."""
    return f"({text})" if _SUM.search(text) else text


def printed_formula(text: str, colour: str) -> str:
    """Return a formula of one or several lines as HTML for a label of its own, in which fractions
    have a bar of this colour."""
    return "".join(f"<div>{_printed(line, colour)}</div>" for line in text.split("\n"))


def _printed(text: str, colour: str) -> str:
    parts = _FRACTION.split(text)
    if len(parts) == 1:
        return _line(text)
    cells = [f"<td valign='middle'>{_line(part)}</td>" if place % 3 == 0 else
             f"<td><table cellspacing='0' cellpadding='1'><tr><td align='center' style='"
             f"border-bottom: 1px solid {colour}'>{_line(part)}</td></tr><tr><td align='center'>"
             f"{_line(parts[place + 1])}</td></tr></table></td>"
             for place, part in enumerate(parts) if place % 3 != 2]
    return f"<table cellspacing='0' cellpadding='0'><tr>{''.join(cells)}</tr></table>"


def _line(text: str) -> str:
    shown = _MINUS.sub("−", html.escape(text, quote=False))
    shown = _INDEX.sub(_index, shown)
    return "".join(part if _TAG.fullmatch(part) else _VARIABLE.sub(r"<i>\g<0></i>", part)
                   for part in _TAG.split(shown))


def terms_html(text: str) -> str:
    """Return a sentence as HTML, in which the names of terms, L_POLICY, and letters with an index,
    λ_D, stand as in formulas."""
    return _TERM.sub(lambda found: formula_html(found[0]), html.escape(text, quote=False))


def _index(found: re.Match[str]) -> str:
    tag = "sub" if found[1] == "_" else "sup"
    return f"<{tag}>{found[2] or found[3]}</{tag}>"
