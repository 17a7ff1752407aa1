"""Files of judged pairs: what people bring is read with who said what, and what is written comes
back as it was."""

import json
from pathlib import Path

import pytest

from workbench.records import Pair
from workbench.store.judged import Mark, Origin, PairToJudge, Side, Thumb
from workbench.store.judged_files import JudgedFile, read_judged, write_judged, write_thumbs
from workbench.store.pair_files import read_pairs
from workbench.store.prompt_readers import PromptFileError
from workbench.store.records import Message
from workbench.store.store import Store

ASK = {"role": "user", "content": "Name a fruit."}
TLDR = {"info": {"post": "It broke."}, "summaries": [{"text": " Bike."}, {"text": " Bye."}]}
STEER = {"context": [ASK], "response1": "A pear.", "response2": "A chair."}
ARENA = {name: [ASK, {"role": "assistant", "content": said}] for name, said in (
    ("conversation_a", "A pear."), ("conversation_b", "A chair."))}
LABEL = {"data": {"prompt": "The tea was", "answer1": " hot.", "answer2": " a tea."}}
TEXT = {"prompt": "The tea was", "chosen": " hot.", "rejected": " a tea."}


def read(tmp_path: Path, *records: object, name: str = "a.jsonl") -> JudgedFile:
    path = tmp_path / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return read_judged(path)


def annotated(*said: tuple[str, str]) -> dict[str, object]:
    return LABEL | {"annotations": [
        {"completed_by": who, "was_cancelled": word == "cancelled",
         "result": [{"value": {"selected": word}}]} for who, word in said]}


@pytest.mark.parametrize(("record", "said"), [
    (TEXT, [("", "first", 0, None)]),
    (TEXT | {"by": "ann", "strength": 2}, [("ann", "first", 2, None)]),
    (TEXT | {"score_chosen": 3, "score_rejected": "1"}, [("", "first", 0, 2.0)]),
    (TEXT | {"score_chosen": 3, "score_rejected": 3}, [("", "tie", 0, None)]),
    (TLDR | {"choice": 1, "worker": "w1", "extra": {"confidence": 9}}, [("w1", "second", 2, None)]),
    (TLDR | {"choice": 0, "extra": {"confidence": 4}}, [("", "first", 1, None)]),
    (TLDR | {"choice": 0, "extra": {"confidence": 8}}, [("", "first", 0, None)]),
    ({"history": "Egg?", "human_ref_A": "So.", "human_ref_B": "No.", "labels": 0},
     [("", "second", 0, None)]),
    (STEER | {"overall_preference": -3}, [("", "first", 2, 3.0)]),
    (STEER | {"overall_preference": 1}, [("", "second", 1, None)]),
    (STEER | {"overall_preference": 0}, [("", "tie", 0, None)]),
    (ARENA | {"winner": "tie (bothbad)", "judge": "gpt"}, [("gpt", "both_bad", 0, None)]),
    (ARENA | {"winner": "tie"}, [("", "tie", 0, None)]),
    (ARENA, []),
    (annotated(("ann", "left"), ("bob", "cancelled"), ("cid", "right"), ("dan", "tie")),
     [("ann", "first", 0, None), ("cid", "second", 0, None), ("dan", "tie", 0, None)]),
    (annotated(("bob", "cancelled")), "has no verdict that was not cancelled or discarded"),
    ({**TEXT, "rejected": " hot."}, "has two equal answers"),
    ({**TEXT, "rejected": " hot. "}, "has two answers that differ in spaces alone"),
    ({**TEXT, "rejected": None}, 'has no answer under "rejected"'),
    ({"text": "A"}, "has no “chosen” and “rejected”, nor two answers and a verdict "
     "(its fields: “text”)"),
    ({"prompt": "A", "completion": "b", "label": 3}, 'has a "label" that is neither true nor '
     "false"),
])
def test_who_said_what(
    tmp_path: Path, record: object, said: str | list[tuple[str, str, int, float | None]]
) -> None:
    found = read(tmp_path, record)
    if isinstance(said, str):
        assert (found.found, found.problems) == ((), (f"Line 1 {said}.",))
        return
    assert found.problems == ()
    [(pair, marks)] = found.found
    assert [(m.by, m.choice, m.strength, m.margin) for m in marks] == said
    assert pair.first.origin == Origin(file="a.jsonl", line=1)


def test_labels_are_thumbs(tmp_path: Path) -> None:
    found = read(tmp_path, {"prompt": "Say.", "completion": " good", "label": True, "by": "ann"},
                 {"prompt": [ASK], "completion": "A chair.", "label": False})
    assert [(t.completion.text.strip(), t.up, t.by) for t in found.thumbs] == [
        ("good", True, "ann"), ("A chair.", False, "")]
    assert found.summary == "2 thumbs."


def test_nothing_is_dropped_silently(tmp_path: Path, store: Store) -> None:
    """The same pair judged both ways is a real disagreement: both marks are kept."""
    opposite = {**TEXT, "chosen": TEXT["rejected"], "rejected": TEXT["chosen"]}
    found = read(tmp_path, TEXT, TEXT, opposite, {**TEXT, "rejected": ""},
                 ARENA | {"winner": "tie"})
    assert found.summary == (
        "2 pairs, 3 preferences, 1 tie, 1 left out: 1 without an answer.")
    set_id = store.judgements.make_set("Mine").result()
    added = store.judgements.add(set_id, found.found).result()
    assert (added.pairs, added.known, added.marks) == (2, 2, 4)
    judged = store.judgements.judged(set_id)
    assert [p.chosen for p in judged.pairs] == [" hot.", " hot.", " a tea."]
    assert judged.disagreements == 1
    # The same file again brings nothing new.
    again = store.judgements.add(set_id, found.found).result()
    assert (again.pairs, again.marks) == (0, 0)


@pytest.mark.parametrize("text", [
    "prompt,chosen,rejected\r\nThe tea was, hot., a tea.\r\n",
    "sep=;\nprompt;chosen;rejected\nThe tea was; hot.; a tea.\n",
    "\ufeffprompt,answer_1,answer_2\nThe tea was, hot., a tea.\n",
    "prompt,chosen,rejected\n\ufeffThe tea was, hot., a tea.\n",
])
def test_csv(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    [(pair, _)] = read_judged(path).found
    assert (pair.prompt, pair.first.text, pair.second.text) == ("The tea was", " hot.", " a tea.")


def test_a_nul_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,chosen,rejected\nA,b,c\nA\0,b,c\n")
    with pytest.raises(PromptFileError, match="there is a NUL character in line 3"):
        read_judged(path)


def marked_set(store: Store) -> int:
    """A set of trying texts, marked in every way."""
    turns = (Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Go on."))
    sides = Side("=1+1", True, 0.5, Origin(run="a", cycle=2)), Side("\n\n\"b\", c\r\n", False, -1.0)
    found = [
        PairToJudge("The tea was", Side(" hot."), Side(" a tea.")),
        PairToJudge("=cmd", *sides, scored_by="reward"),
        PairToJudge("Hi", Side("A"), Side("AB"), turns=True),
        PairToJudge("User: Hi\n\n", Side("[{x"), Side("'[{"), turns, turns=True),
        PairToJudge("\n\nHuman: Q\n\nAssistant:", Side(" x"), Side(" y"), (Message("user", "Q"),)),
        PairToJudge("unmarked", Side("1"), Side("2")),
    ]
    set_id = store.judgements.make_set("Mine").result()
    store.judgements.add(set_id, found).result()
    told = (("first", 2), ("second", 1), ("tie", 1), ("first", 0), ("both_bad", 0))
    for number, (choice, strength) in enumerate(told, 1):
        store.judgements.mark(number, "ann", choice, strength=strength, seconds=1.25, left="second",
                              guidelines="Short.").result()
    store.judgements.mark(1, "bob", "second", judge=True).result()
    store.judgements.mark(1, "ann", "second", repeat=True).result()
    store.judgements.mark(6, "ann", "skip").result()
    return set_id


def plain(mark: Mark) -> tuple[object, ...]:
    return (mark.pair, mark.by, mark.choice, mark.strength, mark.judge, mark.at, str(mark.seconds),
            mark.left, mark.guidelines, mark.margin, mark.repeat)


def test_csv_comes_back_whole(tmp_path: Path, store: Store) -> None:
    set_id, judgements = marked_set(store), store.judgements
    path = tmp_path / "a.csv"
    said = write_judged(path, judgements.pairs(set_id), judgements.marks(set_id))
    assert said == "7 marks of 6 pairs written."
    found = read_judged(path)
    assert found.problems == ()
    other = judgements.make_set("Other").result()
    judgements.add(other, found.found).result()
    pairs, again = ([each.pair for each in judgements.pairs(number)] for number in (set_id, other))
    assert [(p.prompt, p.messages, p.turns, p.scored_by, p.first.text, p.second.text,
             p.first.ended, p.second.ended) for p in again] == [
        (p.prompt, p.messages, p.turns, p.scored_by, p.first.text, p.second.text,
         p.first.ended, p.second.ended) for p in pairs]
    assert (again[1].first, again[1].second.score) == (pairs[1].first, -1.0)
    first = {each.id - 6: each for each in judgements.pairs(other)}
    assert sorted(first) == list(range(1, 7))
    made = [plain(mark) for mark in judgements.marks(set_id) if mark.choice != "skip"]
    assert sorted(made) == sorted(
        (mark.pair - 6, *plain(mark)[1:]) for mark in judgements.marks(other))
    # Into the set it came of it brings nothing.
    back = judgements.add(set_id, found.found).result()
    assert (back.pairs, back.marks) == (0, 0)


def test_jsonl_is_what_others_learn_from(tmp_path: Path, store: Store) -> None:
    set_id, judgements = marked_set(store), store.judgements
    path = tmp_path / "a.jsonl"
    said = write_judged(path, judgements.pairs(set_id), judgements.marks(set_id))
    assert said == ("4 preferences written; left out, which CSV would keep: 1 repeat, 1 unmarked "
                    "pair, 2 ties or both bad.")
    assert read_pairs(path).pairs == judgements.judged(set_id).pairs
    assert read_pairs(path).pairs[0] == Pair("The tea was", " hot.", " a tea.", by="ann")
    first = json.loads(path.read_text().splitlines()[0])
    assert (first["strength"], first["seconds"]) == (2, 1.25)
    other = judgements.make_set("Other").result()
    judgements.add(other, read_judged(path).found).result()
    assert judgements.judged(other).pairs == judgements.judged(set_id).pairs


def test_thumbs_come_back(tmp_path: Path, store: Store) -> None:
    """As KTO's layout, with turns where they were given to an answer in a chat."""
    turns = (Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Go on."))
    made = [Thumb("The tea was", Side(" hot."), "ann", True),
            Thumb("The tea was", Side(" a tea.", ended=False), "bob", False),
            Thumb("Hi", Side("Hello."), "ann", True, turns=True),
            Thumb("User: Hi", Side(" Well."), "ann", False, turns, turns=True)]
    set_id = store.judgements.make_set("Mine").result()
    for thumb in made:
        store.judgements.thumb(set_id, thumb).result()
    path = tmp_path / "a.jsonl"
    assert write_thumbs(path, store.judgements.thumbs(set_id)) == "4 thumbs written."
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert (lines[0]["prompt"], lines[0]["completion"], lines[0]["label"]) == (
        "The tea was", " hot.", True)
    assert [turn["role"] for turn in lines[3]["prompt"]] == ["user", "assistant", "user"]
    found = read_judged(path)
    assert found.problems == ()
    said = [[(t.by, t.up, t.completion.ended, t.completion.text.strip()) for t in each]
            for each in (made, found.thumbs)]
    assert said[0] == said[1]
    assert [t.prompt for t in found.thumbs[:3]] == ["The tea was", "The tea was", "Hi"]
    assert tuple(found.thumbs[3].messages) == turns
    with pytest.raises(PromptFileError, match=r"a\.csv has an unknown ending"):
        write_thumbs(tmp_path / "a.csv", [])


def test_what_cannot_be_written_is_said(tmp_path: Path, store: Store) -> None:
    set_id = store.judgements.make_set("Mine").result()
    store.judgements.add(set_id, [PairToJudge("p", Side("a\0"), Side("b"))]).result()
    pairs = list(store.judgements.pairs(set_id))
    with pytest.raises(PromptFileError, match=r"Pair 1 has a NUL character, which CSV cannot keep"):
        write_judged(tmp_path / "a.csv", pairs, [])
    with pytest.raises(PromptFileError, match=r"a\.xls has an unknown ending"):
        write_judged(tmp_path / "a.xls", pairs, [])
    assert list(tmp_path.glob("*.csv")) == []
