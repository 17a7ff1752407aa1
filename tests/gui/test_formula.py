"""Formulas that are written as text are shown as they are printed."""

import pytest

from workbench.gui.widgets.formula import formula_html, terms_html


@pytest.mark.parametrize(("text", "shown"), [
    ("L_POLICY + c₁·L_VF", "<i>L</i><sub>POLICY</sub> + <i>c</i>₁·<i>L</i><sub>VF</sub>"),
    ("max(-A·ρ, 1-ε)", "max(−<i>A</i>·<i>ρ</i>, 1−<i>ε</i>)"),
    ("(γλ)^k·δ_{t+k}",
     "(<i>γ</i><i>λ</i>)<sup><i>k</i></sup>·<i>δ</i><sub><i>t</i>+<i>k</i></sub>"),
    ("Σ_v π(v)", "Σ<sub><i>v</i></sub> <i>π</i>(<i>v</i>)"),
    ("the missing-EOS penalty of a completion", "the missing-EOS penalty of a completion"),
    ("distinct-2: {a_t}÷{b}\nx", "distinct-2: <i>a</i><sub><i>t</i></sub> ÷ <i>b</i>; <i>x</i>"),
    ("learning_rate × schedule", "learning_rate × schedule"),
    ("the cycle's last step, < 0.1 %", "the cycle's last step, &lt; 0.1 %"),
])
def test_formula(text: str, shown: str) -> None:
    assert formula_html(text) == shown


def test_only_the_names_of_terms_change_in_a_sentence() -> None:
    assert terms_html("L_ENT < a b & c") == "<i>L</i><sub>ENT</sub> &lt; a b &amp; c"
