"""Prompt files: what is written reads back the same; what is bad is named by its line."""

import gzip
import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.store.prompt_files import read_prompts, write_prompts
from workbench.store.prompt_readers import PromptFileError
from workbench.store.records import Message, Prompt


def written(tmp_path: Path, name: str, text: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


texts = st.text(min_size=1).filter(str.strip)
no_nul = texts.filter(lambda t: "\0" not in t)
one_line = no_nul.filter(lambda t: not set("\r\n") & set(t))


def prompts_of(
    text: st.SearchStrategy[str], columns: st.SearchStrategy[dict]
) -> st.SearchStrategy[list[Prompt]]:
    return st.lists(st.builds(Prompt, text, st.booleans(), st.booleans(), columns=columns),
                    min_size=1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=5)
names = st.sampled_from(["answer", "Level 2", "ü", "chosen"])


def reread(ending: str, prompts: list[Prompt]) -> tuple[Prompt, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"prompts{ending}"
        write_prompts(path, prompts)
        found = read_prompts(path)
        assert not found.problems
        return found.prompts


@settings(max_examples=50)  # each may be long
@given(prompts_of(texts, st.dictionaries(names, json_values, max_size=3)))
def test_jsonl_keeps_any_prompt(prompts):
    assert reread(".jsonl", prompts) == tuple(prompts)


@given(prompts_of(no_nul, st.fixed_dictionaries(
    {"answer": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))})))
def test_csv_keeps_any_prompt_without_nul(prompts):
    assert reread(".csv", prompts) == tuple(prompts)


turns = st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), texts),
                 min_size=1).map(lambda before: (*before, Message("user", "go on")))


@given(turns, st.sampled_from(["Assistant:", "read otherwise"]))
def test_jsonl_keeps_any_conversation(turns, end):
    read = "".join(f"{role.capitalize()}: {content}\n\n" for role, content in turns)
    prompt = Prompt(read + end, messages=turns)
    assert reread(".jsonl", [prompt]) == (prompt,)


@pytest.mark.parametrize(("ending", "prompt", "words"), [
    (".csv", Prompt("a", messages=(Message("system", "b"), Message("user", "c"))),
     "is a conversation, which CSV cannot keep"),
    (".txt", Prompt("a", messages=(Message("user", "c"),)), "which plain text cannot keep"),
    (".csv", Prompt("a", columns={"scores": [1, 2]}), "“scores”, which is no text"),
    (".csv", Prompt("a", columns={"note": "\ud800"}), "half a surrogate pair"),
    (".csv", Prompt("a", columns={"note": "\0"}), "NUL"),
])
def test_what_csv_cannot_keep_beside_a_prompt_is_refused(tmp_path, ending, prompt, words):
    with pytest.raises(PromptFileError, match=f"^Prompt 2 .*{words}.* save as .jsonl instead"):
        write_prompts(tmp_path / f"a{ending}", [Prompt("fine"), prompt])


def test_jsonl_keeps_half_a_character_beside_a_prompt(tmp_path):
    prompt = Prompt("a", columns={"note": "\ud800"})
    write_prompts(tmp_path / "a.jsonl", [prompt])
    assert read_prompts(tmp_path / "a.jsonl").prompts == (prompt,)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize(("name", "text"), [
    ("a.txt", "tea\nKäse\n"), ("a.csv", "prompt\r\ntea\r\nKäse\r\n"),
    ("a.tsv", "prompt\tn\r\ntea\t\r\nKäse\t\r\n"),
    ("a.jsonl", '"tea"\n{"prompt": "Käse"}\n'), ("a.json", '["tea", "Käse"]')])
def test_a_mark_of_byte_order_tells_the_encoding(tmp_path, encoding, name, text):
    found = read_prompts(written(tmp_path, name, text.encode(encoding)))
    assert [p.text for p in found.prompts] == ["tea", "Käse"]
    assert not found.problems


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_files_put_together_have_marks_in_the_middle(tmp_path, name):
    texts = ['{"prompt": "tea"}\n', '{"prompt": "rain"}\n'] if name == "a.jsonl" else [
        "tea\n", "rain\n"]
    data = b"".join(text.encode("utf-8-sig") for text in texts)
    found = read_prompts(written(tmp_path, name, data))
    assert [p.text for p in found.prompts] == ["tea", "rain"]


def test_a_csv_put_together_repeats_its_header(tmp_path):
    text = "\ufeffprompt,n\ntea,1\n\ufeffprompt,n\nrain,2\n"
    found = read_prompts(written(tmp_path, "a.csv", text))
    assert [p.text for p in found.prompts] == ["tea", "rain"]
    assert found.problems == ("Line 3 repeats the names of the columns.",)


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
        'Line 7 has no text under "prompt" or "text" (its fields: “other”).',
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
    "prompt|enabled\na|1\nb|0\n",
    "sep=;\r\nprompt;enabled\r\na;1\r\nb;0\r\n",
    '"prompt";"enabled"\n"a";1\n"b";0\n',
    "\ufeffprompt,enabled\na,1\n\ufeffb,0\n",
    '\ufeff\ufeff"prompt",enabled\na,1\n\ufeff"b",0\n',
    "prompt,enabled\ra,1\rb,0\r",
])
def test_csv_finds_its_columns(tmp_path, text):
    assert read_prompts(written(tmp_path, "a.csv", text)).prompts == (
        Prompt("a"), Prompt("b", enabled=False))


def test_other_columns_of_a_csv_are_kept_by_their_names(tmp_path):
    path = written(tmp_path, "a.csv", 'ID,text,enabled,The note,\n1,a,,"x\ny",z\n2,b,0\n')
    assert read_prompts(path).prompts == (
        Prompt("a", columns={"ID": "1", "The note": "x\ny"}),
        Prompt("b", enabled=False, columns={"ID": "2", "The note": ""}))


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
    ("a.txt", b"\xff\xfea", "not the UTF-16 it says it is"),
    ("a.txt", "one\ntwo\0", r"not a text file: there is a NUL character in line 2"),
    ("a.json", "[1, 2", r"is not JSON \(line 1\)"),
    ("a.json", "[" * 100_000, "nested too deeply"),
    ("a.jsonl.gz", b"\x1f\x8bnot gzip", "cannot be unpacked"),
    ("a.jsonl.gz", gzip.compress(b"{}" * 1000, mtime=0)[:-8], "cannot be unpacked"),
    ("a.parquet", b"PAR1", "Parquet"),
    ("a.parquet.gz", b"PAR1", r"unknown ending; what can be read are \.txt, .* packed or not"),
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


@pytest.mark.parametrize("text", [
    '{\n  "prompt": "a"\n}\n{\n  "prompt": "b",\n  "answer": 1\n}\n',
    '\ufeff{"prompt": "a"}{"prompt": "b", "answer": 1}',
], ids=["over lines", "in one line"])
@pytest.mark.parametrize("ending", [".jsonl", ".json"])
def test_objects_one_after_another_are_read(tmp_path, text, ending):
    """As jq writes them."""
    path = tmp_path / f"p{ending}"
    path.write_text(text)
    found = read_prompts(path)
    assert [p.text for p in found.prompts] == ["a", "b"]
    assert found.prompts[1].columns == {"answer": 1}
    assert not found.problems
    path.write_text(text.replace('"b"', '"b'))
    with pytest.raises(PromptFileError):
        read_prompts(path)
