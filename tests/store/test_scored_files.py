"""Files of completions with scores, in the layouts that people keep them in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.records import ScoredText, TextPrompt
from workbench.store.prompt_readers import PromptFileError
from workbench.store.scored_files import read_scored, scored_lines, scored_of_lines

TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"},
         {"role": "user", "content": "Who?"}]
ASKED = TextPrompt("User: Hi\n\nAssistant: Hello\n\nUser: Who?\n\nAssistant:",
                   (("user", "Hi"), ("assistant", "Hello"), ("user", "Who?")))
A = TextPrompt("A")


@pytest.mark.parametrize(("record", "expected"), [
    ({"prompt": "A", "completion": " b", "score": 0.5}, [ScoredText(A, " b", 0.5)]),
    ({"Prompt": "A", "Response": " b", "Reward": "2.5"}, [ScoredText(A, " b", 2.5)]),
    ({"prompt": "A", "completion": " b", "label": False}, [ScoredText(A, " b", 0.0)]),
    ({"prompt": "A", "completion": " b", "label": 1}, [ScoredText(A, " b", 1.0)]),
    ({"prompt": "A", "completion": " b", "label": "Good"}, [ScoredText(A, " b", 1.0)]),
    ({"prompt": "A", "completion": " b", "thumb": "👎"}, [ScoredText(A, " b", 0.0)]),
    ({"prompt": [{"role": "user", "content": "A"}], "label": "true",
      "completion": [{"role": "assistant", "content": "b"}]}, [ScoredText(A, "b", 1.0)]),
    ({"prompt": TURNS, "completion": [{"role": "assistant", "content": "Me"}], "label": False},
     [ScoredText(ASKED, " Me", 0.0)]),
    ({"prompt": "A", "completion": " b", "score": 1, "ended": False},
     [ScoredText(A, " b", 1.0, ended=False)]),
    ({"prompt": TURNS, "completion": [{"role": "assistant", "content": "Me"}], "rating": 4},
     [ScoredText(ASKED, " Me", 4.0)]),
    ({"messages": [*TURNS, {"role": "assistant", "content": "Me"}], "score": -1},
     [ScoredText(ASKED, " Me", -1.0)]),
    ({"prompt": "A", "chosen": " b", "rejected": " c", "score_chosen": 9, "score_rejected": 1},
     [ScoredText(A, " b", 9.0), ScoredText(A, " c", 1.0)]),
    ({"instruction": "A", "completions": [{"response": "b", "overall_score": 7},
                                          {"response": "c", "overall_score": 3}]},
     [ScoredText(A, "b", 7.0), ScoredText(A, "c", 3.0)]),
])
def test_a_layout(
    tmp_path: Path, record: dict[str, object], expected: list[ScoredText]
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([record]))
    found = read_scored(path)
    assert list(found.texts) == expected
    assert found.problems == ()


def test_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text('prompt,completion,score\nA," b, c",1.5\nA, d,\n')
    found = read_scored(path)
    assert list(found.texts) == [ScoredText(A, " b, c", 1.5)]
    assert found.summary == "1 scored completion, 1 left out: 1 without a score."
    path.write_text("prompt,completion,label\nA, b,True\nA, c,False\nA, d,thumbs up\n")
    assert [text.score for text in read_scored(path).texts] == [1.0, 0.0, 1.0]
    path.write_text("prompt,completion,score\nA, b,1\nA, b,0\nA, b,0\nA, c,0\nB, b,0\n")
    assert read_scored(path).summary == "5 scored completions; 1 text scored in several ways."
    path.write_text("prompt,completion,score\nA, b,1\nA, c,1\n")
    assert read_scored(path).summary == "2 scored completions; all have the same score."
    path.write_text("prompt,completion\nA, b\n")
    with pytest.raises(PromptFileError, match='there is no "completion" and "score" among them'):
        read_scored(path)


@pytest.mark.parametrize(("record", "problem"), [
    ({"prompt": "A", "completion": " b"}, "Entry 1 has no score."),
    ({"prompt": "A", "completion": " b", "score": "fair"},
     'Entry 1 has no number under "score", nor good or bad.'),
    ({"prompt": "A", "completion": " b", "score": float("nan")},
     'Entry 1 has no number under "score", nor good or bad.'),
    ({"prompt": "A", "completion": "", "score": 1}, 'Entry 1 has an empty "completion".'),
    ({"prompt": "A", "score": 1}, "Entry 1 has no completion."),
    ({"prompt": "", "completion": "b", "score": 1}, "Entry 1 has an empty prompt."),
    ({"prompt": "A", "completion": TURNS, "score": 1},
     'Entry 1 has a "completion" whose last turn is not the assistant\'s.'),
    ({"prompt": "A", "chosen": " b", "rejected": " c"}, "Entry 1 has no score."),
    ("A text", "Entry 1 is a text without a score."),
])
def test_what_is_left_out_is_named(tmp_path: Path, record: object, problem: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([record]))
    found = read_scored(path)
    assert (found.texts, found.problems) == ((), (problem,))


def test_what_is_written_is_read_back() -> None:
    texts = (ScoredText(A, " b\u2028c\n", 0.5), ScoredText(ASKED, " Me", -1.0, ended=False))
    assert scored_of_lines(scored_lines(texts)) == texts
