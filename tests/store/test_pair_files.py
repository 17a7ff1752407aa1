"""Layouts that people have preferences in: each is read as a pair, or refused by name."""

import json
from pathlib import Path

import pytest

from workbench.records import Pair
from workbench.store.pair_files import PairFile, pair_lines, read_pairs
from workbench.store.prompt_readers import PromptFileError

ASK = {"role": "user", "content": "Name a fruit."}
PEAR = {"role": "assistant", "content": "A pear."}
CHAIR = {"role": "assistant", "content": "A chair."}
TURNS = Pair([("user", "Name a fruit.")], [("assistant", "A pear.")], [("assistant", "A chair.")])
TEXT = Pair("The tea was", " hot.", " a tea.")
HH = "\n\nHuman: Is rain wet?\n\nAssistant:"
HEARD = Pair(HH, " Yes.", " No idea.", (("user", "Is rain wet?"),))
TLDR = {"info": {"post": "It broke.", "title": "My bike", "subreddit": "bikes"},
        "summaries": [{"text": " Bike broke."}, {"text": " Bye."}]}
POST = "SUBREDDIT: bikes\n\nTITLE: My bike\n\nPOST: It broke.\n\nTL;DR:"
EGG = {"history": "How do I boil an egg?", "human_ref_A": "So.", "human_ref_B": "No."}
STEER = {"context": [ASK], "response1": "A pear.", "response2": "A chair."}
ARENA = {"conversation_a": [ASK, PEAR], "conversation_b": [ASK, CHAIR]}
LABEL = {"data": {"prompt": "The tea was", "answer1": " hot.", "answer2": " a tea."}}
ARGILLA = {"fields": {"prompt": "The tea was", "response-1": " hot.", "response-2": " a tea."}}


def read(tmp_path: Path, *records: object, name: str = "a.jsonl") -> PairFile:
    path = tmp_path / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return read_pairs(path)


def by(pair: Pair, who: str = "", margin: float | None = None) -> Pair:
    return Pair(pair.prompt, pair.chosen, pair.rejected, pair.messages, by=who, margin=margin)


def judged(*said: tuple[str, str]) -> dict[str, object]:
    return LABEL | {"annotations": [
        {"completed_by": who, "was_cancelled": word == "cancelled",
         "result": [{"type": "pairwise", "value": {"selected": word}}]} for who, word in said]}


@pytest.mark.parametrize(("record", "pairs"), [
    # TRL, explicit and implicit
    ({"prompt": "The tea was", "chosen": " hot.", "rejected": " a tea."}, [TEXT]),
    ({"chosen": "The tea was hot.", "rejected": "The tea was a tea."}, [TEXT]),
    ({"prompt": None, "chosen": "The tea was hot.", "rejected": "The tea was a tea."}, [TEXT]),
    ({"prompt": [ASK], "chosen": [PEAR], "rejected": [CHAIR]}, [TURNS]),
    ({"chosen": [ASK, PEAR], "rejected": [ASK, CHAIR]}, [TURNS]),
    # One answer may begin with the other where the prompt is known.
    ({"prompt": "It", "chosen": " is.", "rejected": " is. It is."},
     [Pair("It", " is.", " is. It is.")]),
    # HH-RLHF
    ({"chosen": f"{HH} Yes.", "rejected": f"{HH} No idea."}, [HEARD]),
    # UltraFeedback binarized
    ({"prompt": "Name a fruit.", "chosen": [ASK, PEAR], "rejected": [ASK, CHAIR],
      "score_chosen": 8.5, "score_rejected": "5.0"}, [by(TURNS, margin=3.5)]),
    # TL;DR
    (TLDR | {"choice": 0, "worker": "w1"}, [Pair(POST, " Bike broke.", " Bye.", by="w1")]),
    (TLDR | {"choice": 1}, [Pair(POST, " Bye.", " Bike broke.")]),
    # SHP
    (EGG | {"labels": 1}, [Pair("How do I boil an egg?", "So.", "No.")]),
    (EGG | {"labels": 0}, [Pair("How do I boil an egg?", "No.", "So.")]),
    # Arena
    (ARENA | {"winner": "model_a"}, [TURNS]),
    # HelpSteer3: negative is the first
    (STEER | {"overall_preference": -2}, [by(TURNS, margin=2.0)]),
    (STEER | {"overall_preference": 1},
     [Pair(TURNS.prompt, TURNS.rejected, TURNS.chosen)]),
    # Label Studio: several people, one of whom gave up
    (judged(("ann", "left"), ("bob", "cancelled"), ("cid", "right")),
     [by(TEXT, "ann"), Pair("The tea was", " a tea.", " hot.", by="cid")]),
    # Argilla, of either generation
    (ARGILLA | {"responses": {"which": [
        {"value": "response-1", "user_id": "u", "status": "submitted"},
        {"value": "response-2", "user_id": "v", "status": "discarded"}]}}, [by(TEXT, "u")]),
    (ARGILLA | {"responses": [{"user_id": "u", "status": "submitted", "values": {"which": {
        "value": [{"value": "response-1", "rank": 1}, {"value": "response-2", "rank": 2}]}}}]},
     [by(TEXT, "u")]),
])
def test_layouts(tmp_path: Path, record: object, pairs: list[Pair]) -> None:
    found = read(tmp_path, record)
    assert found.problems == ()
    assert list(found.pairs) == pairs
    written = tmp_path / "b.jsonl"
    written.write_text(pair_lines(pairs))
    assert list(read_pairs(written).pairs) == pairs


@pytest.mark.parametrize(("record", "problem", "kind"), [
    ({"prompt": "A", "chosen": " b", "rejected": " b"}, "has two equal answers", "equal texts"),
    ({"prompt": "A", "chosen": "", "rejected": ""}, 'has no answer under "chosen"',
     "without an answer"),
    ({"prompt": "A", "chosen": " b", "rejected": None}, 'has no answer under "rejected"',
     "without an answer"),
    ({"prompt": "A", "chosen": " b", "rejected": " "}, 'has no answer under "rejected"',
     "without an answer"),
    ({"prompt": "A", "chosen": [ASK], "rejected": [CHAIR]},
     'has a "chosen" whose last turn is not the assistant\'s',
     "not differing in the last answer alone"),
    ({"chosen": f"{HH} Yes.\n\nHuman: And?\n\nAssistant: So.", "rejected": f"{HH} No."},
     "has two conversations that part before the last answer",
     "not differing in the last answer alone"),
    ({"chosen": "The tea was hot.", "rejected": "The tea was hot. Very."},
     'has "chosen" and "rejected" of which one begins with the other, so that nobody knows where '
     "the prompt ends", "that cannot be read"),
    ({"chosen": "Tea", "rejected": "Milk"},
     'has "chosen" and "rejected" without a beginning in common, and no prompt',
     "that cannot be read"),
    ({"prompt": "A", "chosen": " b", "rejected": " c", "score_chosen": 3, "score_rejected": 3},
     "is a tie", "ties"),
    ({"prompt": "A", "chosen": " b", "rejected": " c", "score_chosen": 2, "score_rejected": 3},
     'has a "score_chosen" below its "score_rejected"', "whose scores say otherwise"),
    (ARENA | {"winner": "tie (bothbad)"}, "is a tie", "ties"),
    (STEER | {"overall_preference": 0}, "is a tie", "ties"),
    (STEER | {"overall_preference": "much"}, 'has no number under "overall_preference"',
     "without a verdict"),
    (TLDR | {"choice": 2}, 'has a "choice" that is neither 0 nor 1', "without a verdict"),
    (judged(("bob", "cancelled")), "has no verdict that was not cancelled or discarded",
     "without a verdict"),
    (judged(("bob", "up")), 'has a verdict under "annotations" that names neither of its answers',
     "without a verdict"),
    ({"text": "A"}, "has no “chosen” and “rejected”, nor two answers and a verdict "
     "(its fields: “text”)", "that cannot be read"),
    ({"prompt": "A\ud800", "chosen": " b", "rejected": " c"},
     "has half a surrogate pair, which is no character", "that cannot be read"),
    ({"prompt": "A", "chosen": " b\udfff", "rejected": " c"},
     "has half a surrogate pair, which is no character", "that cannot be read"),
    ("A", "is a text, and no pair of completions", "that cannot be read"),
])
def test_what_is_no_pair(tmp_path: Path, record: object, problem: str, kind: str) -> None:
    found = read(tmp_path, record)
    assert found.pairs == ()
    assert found.problems == (f"Line 1 {problem}.",)
    assert found.counts == ((kind, 1),)


def test_nothing_is_dropped_silently(tmp_path: Path) -> None:
    """A pair that is there both ways round is a real disagreement."""
    pair = {"prompt": "The tea was", "chosen": " hot.", "rejected": " a tea."}
    found = read(
        tmp_path, pair, pair, {**pair, "chosen": " a tea.", "rejected": " hot."},
        {**pair, "rejected": " hot."}, {**pair, "rejected": ""}, {**pair, "chosen": ""},
        ARENA | {"winner": "tie"}, {"x": 1})
    assert len(found.pairs) == 3
    assert (found.ties, found.disagreements) == (1, 1)
    assert len(found.problems) == 5
    assert found.summary == ("3 pairs, 1 tie, 4 left out: 1 equal texts, 2 without an answer, "
                             "1 that cannot be read; 1 judged both ways.")


@pytest.mark.parametrize("text", [
    "prompt,chosen,rejected\r\nThe tea was, hot., a tea.\r\n",
    "sep=;\nprompt;chosen;rejected\nThe tea was; hot.; a tea.\n",
    "\ufeffprompt,chosen,rejected\nThe tea was, hot., a tea.\n",
])
def test_csv(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    assert read_pairs(path).pairs == (TEXT,)


def test_turns_and_numbers_in_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    turns = [json.dumps(x).replace('"', '""') for x in ([ASK, PEAR], [ASK, CHAIR])]
    path.write_text(
        f'conversation_a,conversation_b,winner\n"{turns[0]}","{turns[1]}",model_a\n')
    assert read_pairs(path).pairs == (TURNS,)
    path.write_text("history,human_ref_A,human_ref_B,labels\nHow do I boil an egg?,So.,No.,0\n")
    assert read_pairs(path).pairs == (Pair("How do I boil an egg?", "No.", "So."),)


def test_a_file_without_pairs(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n")
    with pytest.raises(PromptFileError, match=r"a\.jsonl holds no pairs; write"):
        read_pairs(path)
    path = tmp_path / "a.csv"
    path.write_text("one,two\n1,2\n")
    with pytest.raises(PromptFileError, match=r'there is no "chosen" and "rejected" among them'):
        read_pairs(path)
    with pytest.raises(PromptFileError, match=r"There is no file"):
        read_pairs(tmp_path / "b.jsonl")
