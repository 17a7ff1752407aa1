"""A spreadsheet takes no cell of foreign text for a formula."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.store.csv_cells import as_text, text_of
from workbench.store.prompt_files import read_prompts, write_prompts
from workbench.store.records import Prompt


@pytest.mark.parametrize("formula", [
    "=cmd|' /C calc'!A0", '=HYPERLINK("http://a")', "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1"])
def test_a_formula_becomes_text(formula):
    assert as_text(formula) == f"'{formula}"
    assert text_of(as_text(formula)) == formula


@pytest.mark.parametrize("plain", ["", "The hotel was", "'quoted'", "1 - 2", " =not at once"])
def test_other_text_stays(plain):
    assert as_text(plain) == plain


@given(st.text(st.sampled_from("'=+-@\t\r\nab "), max_size=5))
def test_any_text_comes_back(text):
    assert text_of(as_text(text)) == text
    assert not as_text(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_a_file_of_prompts_holds_no_formula_and_gives_it_back(tmp_path):
    prompts = [Prompt("=1+1"), Prompt("'=1"), Prompt("'tis")]
    write_prompts(tmp_path / "p.csv", prompts)
    assert [line.split(",")[0] for line in (tmp_path / "p.csv").read_text().splitlines()[1:]] == [
        "\"'=1+1\"", "\"''=1\"", "\"'tis\""]
    assert list(read_prompts(tmp_path / "p.csv").prompts) == prompts
