"""Layouts that people have prompts in: each is read as a prompt, or refused by name."""

import csv
import gzip
import json
import math
import sqlite3
import sys
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from workbench.store.prompt_files import read_prompts, write_prompts
from workbench.store.prompt_readers import PromptFileError
from workbench.store.records import Message, Prompt, PromptSet
from workbench.store.schema import FILE_NAME
from workbench.store.store import Store

FRUIT = {"role": "user", "content": "Name a fruit."}
PEAR = {"role": "assistant", "content": "A pear."}
CHAIR = {"role": "assistant", "content": "A chair."}
KIND = {"role": "system", "content": "Be kind."}
KIND_FRUIT = Prompt("System: Be kind.\n\nUser: Name a fruit.\n\nAssistant:", messages=(
    Message("system", "Be kind."), Message("user", "Name a fruit.")))
CONVERSATION = Prompt(
    "User: Hi.\n\nAssistant: Yes?\n\nUser: Name a fruit.\n\nAssistant:", messages=(
        Message("user", "Hi."), Message("assistant", "Yes?"), Message("user", "Name a fruit.")))
HI = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Yes?"}]
HH = "\n\nHuman: Is rain wet?\n\nAssistant:"


def read(tmp_path: Path, *records: object, name: str = "a.jsonl") -> list[Prompt]:
    path = tmp_path / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    found = read_prompts(path)
    assert not found.problems
    return list(found.prompts)


@pytest.mark.parametrize(("record", "prompt", "columns"), [
    # TRL
    ({"prompt": "The tea was", "chosen": " hot.", "rejected": " a tea."}, "The tea was",
     ["chosen", "rejected"]),
    ({"chosen": "The tea was hot.", "rejected": "The tea was a tea."}, "The tea was",
     ["chosen", "rejected"]),
    ({"chosen": "The tea was hot.", "rejected": "The tea was high."}, "The tea was",
     ["chosen", "rejected"]),
    ({"prompt": [FRUIT], "chosen": [PEAR], "rejected": [CHAIR]}, "Name a fruit.",
     ["chosen", "rejected"]),
    ({"prompt": [KIND, FRUIT]}, KIND_FRUIT, []),
    ({"chosen": [*HI, FRUIT, PEAR], "rejected": [*HI, FRUIT, CHAIR]}, CONVERSATION,
     ["chosen", "rejected"]),
    ({"prompt": "Name a fruit.", "completion": "A pear.", "label": True}, "Name a fruit.",
     ["completion", "label"]),
    # UltraFeedback binarized
    ({"prompt": "Name a fruit.", "chosen": [FRUIT, PEAR], "rejected": [FRUIT, CHAIR],
      "messages": [], "score_chosen": 8.5}, "Name a fruit.",
     ["chosen", "rejected", "messages", "score_chosen"]),
    # HH-RLHF
    ({"chosen": f"{HH} Yes.", "rejected": f"{HH} No idea."},
     Prompt(HH, messages=(Message("user", "Is rain wet?"),)), ["chosen", "rejected"]),
    ({"chosen": f"{HH} Yes.\n\nHuman: And tea?\n\nAssistant: So so.",
      "rejected": f"{HH} Yes.\n\nHuman: And tea?\n\nAssistant: No."},
     Prompt(f"{HH} Yes.\n\nHuman: And tea?\n\nAssistant:", messages=(
         Message("user", "Is rain wet?"), Message("assistant", "Yes."),
         Message("user", "And tea?"))), ["chosen", "rejected"]),
    # TL;DR, SHP, HelpSteer3, arena
    ({"info": {"post": "It broke.", "title": "My bike", "subreddit": "bikes"},
      "summaries": [{"text": "x"}, {"text": "y"}], "choice": 0},
     "SUBREDDIT: bikes\n\nTITLE: My bike\n\nPOST: It broke.\n\nTL;DR:",
     ["info", "summaries", "choice"]),
    ({"history": "How do I boil an egg?", "human_ref_A": "So.", "human_ref_B": "No.", "labels": 1},
     "How do I boil an egg?", ["human_ref_A", "human_ref_B", "labels"]),
    ({"context": [*HI, FRUIT], "response1": "A pear.", "response2": "A chair."}, CONVERSATION,
     ["response1", "response2"]),
    ({"conversation_a": [FRUIT, PEAR], "conversation_b": [FRUIT, CHAIR], "winner": "tie"},
     "Name a fruit.", ["conversation_a", "conversation_b", "winner"]),
    # Alpaca, and what LLaMA-Factory adds
    ({"instruction": "Translate", "input": "Birne", "output": "pear"}, "Translate\nBirne",
     ["output"]),
    ({"instruction": "Translate", "input": "", "output": "", "text": "all of it"}, "Translate",
     ["output", "text"]),
    ({"instruction": "Name a fruit.", "system": "Be kind.", "output": "A pear."}, KIND_FRUIT,
     ["output"]),
    ({"instruction": "Name a fruit.", "history": [["Hi.", "Yes?"]]}, CONVERSATION, []),
    # Dolly
    ({"instruction": "Translate", "context": "Birne", "response": "pear", "category": "x"},
     "Translate\nBirne", ["response", "category"]),
    ({"instruction": "Name a fruit.", "context": "", "response": ""}, "Name a fruit.",
     ["response"]),
    # ShareGPT, OpenAI
    ({"conversations": [{"from": "human", "value": "Name a fruit."},
                        {"from": "gpt", "value": "A pear."}]}, "Name a fruit.",
     ["conversations"]),
    ({"conversations": [{"from": "human", "value": "Name a fruit."}], "system": "Be kind.",
      "tools": ""}, KIND_FRUIT, ["conversations", "tools"]),
    ({"messages": [KIND, FRUIT, PEAR], "system": "Be rude."}, KIND_FRUIT, ["messages", "system"]),
    ({"messages": [KIND, FRUIT, PEAR]}, KIND_FRUIT, ["messages"]),
    ({"messages": [{"role": "user", "content": [
        {"type": "text", "text": "Name "}, {"type": "text", "text": "a fruit."}]}]},
     "Name a fruit.", ["messages"]),
    ({"messages": json.dumps([FRUIT])}, "Name a fruit.", ["messages"]),
    # Questions and answers, rewards that have inputs
    ({"question": "2+2?", "answer": "4"}, "2+2?", ["answer"]),
    ({"system_prompt": "Be kind.", "question": "Name a fruit.", "response": ""}, KIND_FRUIT,
     ["response"]),
    ({"input": "Name a fruit.", "chosen": "a", "rejected": "b"}, "Name a fruit.",
     ["chosen", "rejected"]),
    ({"Prompt": "tea", "Level": 3}, "tea", ["Level"]),
    # Label Studio, Argilla
    ({"id": 1, "annotations": [], "data": {"prompt": "tea", "answer1": "a"}}, "tea",
     ["id", "annotations", "answer1"]),
    ({"fields": {"prompt": "tea"}, "responses": {}}, "tea", ["responses"]),
])
def test_a_layout_is_known_by_its_fields(tmp_path, record, prompt, columns):
    [found] = read(tmp_path, record)
    right = Prompt(prompt) if isinstance(prompt, str) else prompt
    assert (found.text, found.messages) == (right.text, right.messages)
    assert list(found.columns) == columns
    assert all(record.get(name, found.columns[name]) == found.columns[name] for name in columns)


def test_a_reference_answer_of_verl_has_a_column_of_its_own(tmp_path):
    [found] = read(tmp_path, {"prompt": [{"role": "user", "content": "2+2?"}],
                              "reward_model": {"style": "rule", "ground_truth": "4"}})
    assert found == Prompt("2+2?", columns={
        "reward_model": {"style": "rule", "ground_truth": "4"}, "ground_truth": "4"})


@pytest.mark.parametrize(("record", "sentence"), [
    ({"chosen": "Tea.", "rejected": "Rain."}, "without a beginning in common"),
    ({"chosen": "Tea.", "rejected": "Tea."}, "of which one begins with the other"),
    ({"chosen": "Tea.", "rejected": "Tea. More"}, "of which one begins with the other"),
    ({"chosen": "", "rejected": ""}, "of which one begins with the other"),
    ({"chosen": [FRUIT, PEAR], "rejected": [HI[0], PEAR]}, "without a turn in common"),
    ({"chosen": [KIND, FRUIT], "rejected": "text"}, 'has a "rejected" that is no list of messages'),
    ({"messages": []}, "has no turn of the user"),
    ({"messages": [KIND, PEAR]}, "has no turn of the user"),
    ({"messages": [{"role": "user", "content": None}]}, "has a message without text"),
    ({"messages": [{"role": "user", "content": " "}]}, "has an empty prompt"),
    ({"messages": [KIND, {"role": "user", "content": ""}]}, "has an empty prompt"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
     r"has a message with a part that is no text \(image_url\)"),
    ({"messages": [FRUIT, {"role": "tool", "content": "4"}, FRUIT]}, "has a turn of “tool”"),
    ({"messages": [FRUIT, {**PEAR, "tool_calls": [{}]}, FRUIT]}, "has a call of a tool"),
    ({"messages": [{"content": "tea"}]}, "has a turn of nobody"),
    ({"messages": "tea"}, 'has a "messages" that is no list of messages'),
    ({"messages": [{"role": "user", "content": "a\ud800"}, FRUIT]}, "half a surrogate pair"),
    ({"prompt": [FRUIT, PEAR]}, "ends with the assistant's turn instead of the user's"),
    ({"prompt": 5}, "neither text nor a list of messages"),
    ({"prompt": None}, "has an empty prompt"),
    ({"info": {}, "summaries": []}, 'has no text under "info.post"'),
    ({"instruction": 5}, 'has no text under "instruction"'),
    ({"instruction": "a", "history": ["b"]}, 'has a "history" that is no list of questions'),
    ({"question": {}}, 'has no text under "question"'),
    ({"completion": "a"}, r"has no text under \"prompt\" or \"text\" \(its fields: “completion”\)"),
])
def test_what_has_no_prompt_is_refused_by_name(tmp_path, record, sentence):
    with pytest.raises(PromptFileError, match=rf"holds no prompts: Line 1 .*{sentence}"):
        read(tmp_path, record)


@pytest.mark.parametrize(("name", "text"), [
    ("a.json", json.dumps([{"prompt": "tea"}, "rain"], indent=1)),
    ("a.json", '{"prompt": "tea"}\n"rain"\n'),  # JSON Lines by another name
    ("a.json", json.dumps({"version": 1, "data": [{"prompt": "tea"}, {"prompt": "rain"}]})),
    ("a.jsonl", json.dumps([{"prompt": "tea"}, {"prompt": "rain"}])),
    ("a.JSONL", json.dumps([{"prompt": "tea"}, {"prompt": "rain"}], indent=2)),
    ("a.tsv", "id\tprompt\n1\ttea\n2\train\n"),
])
@pytest.mark.parametrize("packed", [False, True])
def test_each_format_packed_or_not(tmp_path, name, text, packed):
    path = tmp_path / f"{name}{'.gz' * packed}"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert [p.text for p in read_prompts(path).prompts] == ["tea", "rain"]


ASKED = [{"role": "system", "content": "Say \"[{}] {\" \\n, it's\nshort."},
         {"role": "user", "content": "Tea} {or 'milk', Käse?"}]
PRINTED_BY_NUMPY = str(np.array(ASKED, dtype=object))


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
@pytest.mark.parametrize("cell", [
    json.dumps(ASKED), json.dumps(ASKED, indent=2, ensure_ascii=False), f" {ASKED!r} ",
    PRINTED_BY_NUMPY])
@pytest.mark.parametrize("column", ["prompt", "Messages", "question"])
def test_turns_in_a_cell_are_a_conversation(tmp_path, ending, cell, column):
    with (tmp_path / f"a{ending}").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if ending == ".tsv" else ",")
        writer.writerows([[column, "answer"], [cell, cell]])
    (found,) = read_prompts(tmp_path / f"a{ending}").prompts
    assert found.messages == tuple(Message(t["role"], t["content"]) for t in ASKED)
    assert found.columns["answer"] == cell  # what is beside the prompt is as it was


def test_turns_in_the_cells_of_two_answers_and_of_a_file_without_header(tmp_path):
    both = [[*ASKED, {"role": "assistant", "content": said}] for said in ("Yes.", "No.")]
    for name, rows in (("a.csv", [["chosen", "rejected"], both]), ("b.csv", [[ASKED]])):
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
        # Of a single column without a name, the delimiter must not occur: it is quoted.
        (found,) = read_prompts(tmp_path / name).prompts
        assert [turn.content for turn in found.messages] == [turn["content"] for turn in ASKED]


@pytest.mark.parametrize("text", [
    "[INST] Name a fruit. [/INST]", "[", "[{", "[{name}] writes:", '[{"a": 1}]', "[1, 2]",
    "[{'role': 'user', 'content': 'tea'}] is how it begins", "'[{", json.dumps(ASKED), repr(ASKED),
    f"'{ASKED!r}"])
def test_a_text_that_begins_like_turns_stays_text_when_saved_and_read(tmp_path, text):
    if text not in (json.dumps(ASKED), repr(ASKED), "'[{", f"'{ASKED!r}"):
        with (tmp_path / "typed.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["prompt"], [text]])
        assert read_prompts(tmp_path / "typed.csv").prompts == (Prompt(text),)
    write_prompts(tmp_path / "a.csv", [Prompt(text)])
    assert read_prompts(tmp_path / "a.csv").prompts == (Prompt(text),)


@pytest.mark.parametrize("cell", [
    repr(ASKED)[:-4] + "]", "[{'role': 'user', 'content': array(['tea'])}]",
    '[{"role": "user", "content": "tea"}, ...]'])
def test_turns_that_cannot_be_read_are_refused_by_name(tmp_path, cell):
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["prompt"], ["tea"], [cell]])
    found = read_prompts(tmp_path / "a.csv")
    assert found.prompts == (Prompt("tea"),)
    assert found.problems == (
        'Line 3 has a "prompt" that looks like a list of messages and is neither JSON nor what '
        'Python prints of one (from pandas, write it by to_json with orient="records", '
        "lines=True).",)


def test_one_object_is_one_prompt(tmp_path):
    assert read(tmp_path, {"messages": [FRUIT]}, name="a.json")[0].text == "Name a fruit."


def test_a_bad_entry_is_named_by_its_number(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"prompt": "tea"}, 5, {"prompt": ""}], indent=1))
    assert read_prompts(path).problems == (
        "Entry 2 is neither an object nor a string.", "Entry 3 has an empty prompt.")


def test_what_prompts_were_made_of_is_said(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"instruction": "a", "input": "b", "output": "c"}))
    assert read_prompts(path).summary == (
        "1 prompt read from “instruction”, “input”, with “output” beside.")


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([
        {"prompt": [KIND, FRUIT], "answer": 4, "at": datetime(2026, 1, 2), "picture": b"\xff",
         "price": Decimal("1.5"), "weight": math.inf},
        {"prompt": [], "answer": None, "at": None, "picture": None, "price": None,
         "weight": None}]), path)
    found = read_prompts(path)
    assert found.prompts == (Prompt(KIND_FRUIT.text, messages=KIND_FRUIT.messages, columns={
        "answer": 4, "at": "2026-01-02T00:00:00", "picture": "/w==", "price": "1.5",
        "weight": math.inf}),)
    assert found.problems == ("Row 2 has no turn of the user.",)


def test_without_pyarrow_parquet_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(PromptFileError, match="needs the Python package pyarrow; install it"):
        read_prompts(path)


def test_a_home_of_before_there_were_columns_still_opens(tmp_path):
    prompts = (Prompt("one", pinned=True), Prompt("two", enabled=False))
    with closing(Store(tmp_path)) as store:
        store.create_run(name="", policy="", reward="", models={}, hyperparameters={},
                         prompts=prompts).result()
        store.save_prompt_set(PromptSet("mine", prompts)).result()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db, db:
        for table in ("run_prompts", "prompts"):
            for column in ("messages", "columns"):
                db.execute(f"alter table {table} drop column {column}")
        db.execute("delete from _sqlite_migrations where name = 'what_prompts_bring_along'")
    with closing(Store(tmp_path)) as store:
        assert store.run_prompts(1) == [prompts[0], Prompt("two")]
        assert store.prompt_set("mine") == PromptSet("mine", prompts)
