"""Filtering completions: what may be typed, what it leaves, and what is said of what may not."""

import math
import re
from dataclasses import replace

import pytest
from helpers.window import Opened
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit

from workbench.gui.completions.filter_field import FilterField
from workbench.gui.completions.filters import Filter, FilterError, parse
from workbench.store.records import CompletionRecord

RECORD = CompletionRecord(0, 0, "The Hotel was", " quiet and CLEAN", -0.357, 20.5, 40, True)
HOLDS = {"<": lambda a, b: a < b, "<=": lambda a, b: a <= b, "≤": lambda a, b: a <= b,
         ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "≥": lambda a, b: a >= b}
numbers = st.floats(-99, 99).map(lambda x: round(x, 2))


def parse_or_explain(typed):
    try:
        return parse(typed)
    except FilterError as error:
        return str(error)


@pytest.mark.parametrize(("typed", "fits"), [
    ("", True), ("   ", True), ('""', True),
    ("reward<0", True), ("reward>0", False), ("REWARD < 0", True), ("reward<=-0.357", True),
    ("reward=-0.36", True), ("reward=−0.357", True), ("reward==-0.35", False),
    ("reward<-0,3", True), ("reward≥-1", True),
    ("kl>20", True), ("kl>20.5", False), ("kl≥20.5", True), ("length>=40", True),
    ("length=40", True), ("length<40", False),
    ("hotel", True), ("clean quiet", True), ("clean dirty", False), ("was quiet", True),
    ('"was quiet"', True), ('"quiet clean"', False), ("“hotel was”", True), ("„Hotel Was“", True),
    ("reward<0 kl>20 clean", True), ("reward<0 kl>30 clean", False), ("clean reward<0", True),
])
def test_what_fits(typed, fits):
    assert parse(typed).fits([RECORD]) is fits


def test_text_is_looked_for_in_every_completion_shown_and_numbers_in_the_last():
    later = replace(RECORD, text=" now loud", score=2.0)
    assert parse("clean loud hotel").fits([RECORD, later])
    assert parse("reward>1").fits([RECORD, later])
    assert not parse("reward>1").fits([later, RECORD])
    assert not parse("clean").fits([later])


@pytest.mark.parametrize("sign", [*HOLDS, "="])
def test_a_number_that_is_not_finite_fits_no_condition(sign):
    assert not parse(f"reward{sign}0").fits([replace(RECORD, score=math.nan)])


@pytest.mark.parametrize(("typed", "said"), [
    ("reward<", "lacks a number, as in reward<0"), ("kl > length>3", "“length” is no number"),
    ("kl >", "“kl >” lacks a number, as in kl>0."),
    ("rewrd<0", "“rewrd” cannot be compared: use reward, kl or length"),
    ("<0", "does not say what is compared; write reward<0"), ("reward<ten", "“ten” is no number"),
    ('"the room', "quotation marks are not closed"), ("length>1,000", "“1,000” may mean 1000 or 1"),
])
def test_what_is_mistyped_is_said_in_a_sentence(typed, said):
    with pytest.raises(FilterError, match=re.escape(said)) as error:
        parse(typed)
    assert str(error.value).endswith(".")


@given(st.text())
def test_whatever_is_typed_is_a_filter_or_explained(typed):
    found = parse_or_explain(typed)
    assert isinstance(found, Filter) or found.endswith(".")


@given(st.lists(st.tuples(st.sampled_from(["reward", "kl"]), st.sampled_from(sorted(HOLDS)),
                          numbers)), numbers, numbers)
def test_conditions_hold_as_python_says(conditions, reward, kl):
    record = replace(RECORD, score=reward, kl=kl)
    typed = " ".join(f"{name}{sign}{value}" for name, sign, value in conditions)
    values = {"reward": reward, "kl": kl}
    assert parse(typed).fits([record]) is all(
        HOLDS[sign](values[name], value) for name, sign, value in conditions)


@given(st.text(st.characters(exclude_characters='"“”„'), min_size=1), st.text(), st.text())
def test_quoted_text_is_found_wherever_it_stands_whatever_its_case(text, before, after):
    record = replace(RECORD, text=before + text + after)
    assert parse(f'"{text}"').fits([record])
    assert parse(f'"{text.upper()}"').fits([replace(RECORD, text=text.upper())])


def test_the_field_tells_of_another_filter_and_explains_a_mistake(qtbot, opened: Opened) -> None:
    field = FilterField("filter", opened.window)
    qtbot.addWidget(field)
    with qtbot.waitSignal(field.filtered):
        qtbot.keyClicks(field, "reward<0")
    assert field.filter == parse("reward<0")
    with qtbot.waitSignal(field.filtered):
        qtbot.keyClicks(field, " kl>")
    assert field.filter == Filter()  # shows everything
    assert "“kl>” lacks a number" in field.problem
    assert "“kl>” lacks a number" in field.toolTip().replace("&gt;", ">")
    assert field.accessibleDescription() == field.problem
    with qtbot.assertNotEmitted(field.filtered):
        qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert (field.text(), field.problem) == ("", "")
    assert isinstance(field, QLineEdit)
