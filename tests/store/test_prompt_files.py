"""Prompt files: what is written reads back the same; what is bad is named by its line."""

import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.store.prompt_files import PromptFileError, read_prompts, write_prompts
from workbench.store.records import Prompt


def written(tmp_path: Path, name: str, text: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


texts = st.text(min_size=1).filter(str.strip)
no_nul = texts.filter(lambda t: "\0" not in t)
one_line = no_nul.filter(lambda t: not set("\r\n") & set(t))


def prompts_of(text: st.SearchStrategy[str]) -> st.SearchStrategy[list[Prompt]]:
    return st.lists(st.builds(Prompt, text, st.booleans(), st.booleans()), min_size=1)


def reread(ending: str, prompts: list[Prompt]) -> tuple[Prompt, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"prompts{ending}"
        write_prompts(path, prompts)
        found = read_prompts(path)
        assert not found.problems
        return found.prompts


@given(prompts_of(texts))
def test_jsonl_keeps_any_prompt(prompts):
    assert reread(".jsonl", prompts) == tuple(prompts)


@given(prompts_of(no_nul))
def test_csv_keeps_any_prompt_without_nul(prompts):
    assert reread(".csv", prompts) == tuple(prompts)


@given(st.lists(one_line, min_size=1))
def test_txt_keeps_any_text_of_one_line(lines):
    assert [p.text for p in reread(".txt", [Prompt(t) for t in lines])] == lines


@pytest.mark.parametrize(("ending", "text", "words"), [
    (".txt", "two\nlines", "more than one line"),
    (".txt", "old mac\rline", "more than one line"),
    (".txt", "nul \0", "NUL"),
    (".csv", "nul \0", "NUL"),
    (".csv", " \n", "empty"),
])
def test_what_a_format_cannot_keep_is_refused_and_the_file_left_alone(
    tmp_path, ending, text, words
):
    path = written(tmp_path, f"a{ending}", "before")
    with pytest.raises(PromptFileError, match=f"^Prompt 2 .*{words}"):
        write_prompts(path, [Prompt("fine"), Prompt(text)])
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_txt_skips_blank_lines_and_interprets_nothing(tmp_path):
    path = written(tmp_path, "a.txt", b"\xef\xbb\xbfone \r\n\n  \n\\n two\n")
    assert read_prompts(path).prompts == (Prompt("one "), Prompt("\\n two"))


def test_jsonl_names_each_bad_line(tmp_path):
    path = written(tmp_path, "a.jsonl", "\n".join([
        '{"prompt": "one", "pinned": true}', '"two"', "", '{"text": "three", "enabled": false}',
        "nonsense", "[1]", '{"other": 1}', '{"prompt": " "}', '{"prompt": "x", "pinned": 2}',
        r'"\ud800"']))
    found = read_prompts(path)
    assert found.prompts == (Prompt("one", pinned=True), Prompt("two"),
                             Prompt("three", enabled=False))
    assert found.problems == (
        "Line 5 is not JSON.",
        "Line 6 is neither an object nor a string.",
        'Line 7 has no text under "prompt" or "text".',
        "Line 8 has an empty prompt.",
        'Line 9 has "pinned" that is neither true nor false.',
        "Line 10 has half a surrogate pair, which is no character.",
    )
    assert found.summary == "Line 5 is not JSON; 5 more lines left out; 3 prompts read."


@pytest.mark.parametrize("text", [
    "prompt,enabled\na,yes\nb,no\n",
    "enabled, Prompt\n1,a\noff,b\n",
    "\nprompt;enabled\na;1\nb;0\n",
    "text\tenabled\na\ttrue\nb\tfalse\n",
    'id,text,enabled,note\n1,a,,"x\ny"\n2,b,0\n',
])
def test_csv_finds_its_columns(tmp_path, text):
    assert read_prompts(written(tmp_path, "a.csv", text)).prompts == (
        Prompt("a"), Prompt("b", enabled=False))


def test_csv_without_header_is_one_column(tmp_path):
    found = read_prompts(written(tmp_path, "a.csv", 'a;b\n"b, c"\n\nd, e\n'))
    assert [p.text for p in found.prompts] == ["a;b", "b, c"]
    assert found.problems == (
        "Line 4 has more than one column (put its text in quotation marks).",)


def test_csv_names_each_bad_line_and_goes_on(tmp_path):
    found = read_prompts(written(
        tmp_path, "a.csv",
        'prompt,pinned\n"two\nlines",\n"a" b,\nc,maybe\n,1\nd,1,2\ne,x\n"never closed\nf,\n'))
    assert [p.text for p in found.prompts] == ["two\nlines", "e"]
    assert [p.split(" ", 2)[1] for p in found.problems] == ["4", "5", "6", "7", "9"]
    assert found.problems[-1] == "Line 9 opens a quotation mark that is never closed."


def test_csv_reads_a_very_long_prompt(tmp_path):
    prompt = Prompt("word " * 60_000)
    write_prompts(tmp_path / "a.csv", [prompt])
    assert read_prompts(tmp_path / "a.csv").prompts == (prompt,)


@pytest.mark.parametrize(("name", "content", "words"), [
    ("a.txt", "", "holds no prompts"),
    ("a.txt", "\n  \n", "holds no prompts"),
    ("a.csv", "prompt\n", "holds no prompts"),
    ("a.jsonl", "x\ny\n", "holds no prompts: Line 1 is not JSON; 1 more line left out"),
    ("a.csv", "a,b\nc,d\n", 'none is named "prompt"'),
    ("a.pdf", "text", "unknown ending"),
    ("a.txt", b"PNG\0\1", "not a text file"),
    ("a.txt", b"ok\ncaf\xe9\n", r"not UTF-8 \(line 2\)"),
    ("a.txt", "UTF-16".encode("utf-16"), "UTF-16"),
])
def test_a_file_without_prompts_is_refused_in_one_sentence(tmp_path, name, content, words):
    with pytest.raises(PromptFileError, match=words):
        read_prompts(written(tmp_path, name, content))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(PromptFileError, match="There is no file"):
        read_prompts(tmp_path / "a.txt")
    (tmp_path / "b.txt").mkdir()
    with pytest.raises(PromptFileError, match="cannot be read"):
        read_prompts(tmp_path / "b.txt")


@pytest.mark.skipif(sys.platform == "win32" or not os.getuid(), reason="needs folder permissions")
def test_a_read_only_folder_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PromptFileError, match="could not be written"):
        write_prompts(tmp_path / "a.txt", [Prompt("a")])


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(PromptFileError, match="could not be written"):
        write_prompts(tmp_path / "none" / "a.txt", [Prompt("a")])
