"""Formulas that are written as text are shown as they are printed."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

import pytest

from workbench.algorithms import ALGORITHMS
from workbench.gui.widgets.formula import formula_html, printed_formula, terms_html
from workbench.settings import Settings


@pytest.mark.parametrize(("text", "shown"), [
    ("L_POLICY + c₁·L_VF", "<i>L</i><sub>POLICY</sub> + <i>c</i>₁·<i>L</i><sub>VF</sub>"),
    ("max(-A·ρ, 1-ε)", "max(−<i>A</i>·<i>ρ</i>, 1−<i>ε</i>)"),
    ("(γλ)^k·δ_{t+k}",
     "(<i>γ</i><i>λ</i>)<sup><i>k</i></sup>·<i>δ</i><sub><i>t</i>+<i>k</i></sub>"),
    ("Σ_v π(v)", "Σ<sub><i>v</i></sub> <i>π</i>(<i>v</i>)"),
    ("the missing-EOS penalty of a completion", "the missing-EOS penalty of a completion"),
    ("distinct-2: {a_t}÷{b}\nx", "distinct-2: <i>a</i><sub><i>t</i></sub> ÷ <i>b</i>; <i>x</i>"),
    ("min(Q'_1, Q'_2)", "min(<i>Q</i>'<sub>1</sub>, <i>Q</i>'<sub>2</sub>)"),
    ("learning_rate × schedule", "learning_rate × schedule"),
    ("the cycle's last step, < 0.1 %", "the cycle's last step, &lt; 0.1 %"),
])
def test_formula(text: str, shown: str) -> None:
    assert formula_html(text) == shown


def test_every_formula_is_printed_without_what_it_is_written_with() -> None:
    found = {text for algorithm in ALGORITHMS for text in formulas(algorithm)}
    assert len(found) > 100
    for text in found:
        for shown in (formula_html(text), printed_formula(text, "black")):
            assert not set("{}_^") & set(shown), text


def formulas(part: object) -> Iterator[str]:
    """Yield the formulas of a declaration and of all that is declared in it."""
    if isinstance(part, (list, tuple)):
        for each in part:
            yield from formulas(each)
    elif isinstance(part, Mapping):
        yield from formulas(tuple(part.values()))
    elif is_dataclass(part):
        if text := getattr(part, "formula", ""):
            yield text
        yield from formulas(tuple(getattr(part, field.name) for field in fields(part)))
    elif isinstance(part, type) and issubclass(part, Settings):
        yield from formulas(tuple(part.specs().values()))


def test_only_the_names_of_terms_change_in_a_sentence() -> None:
    assert terms_html("L_ENT < a b & c") == "<i>L</i><sub>ENT</sub> &lt; a b &amp; c"
    assert terms_html("Weight (λ_D)") == "Weight (<i>λ</i><sub><i>D</i></sub>)"
