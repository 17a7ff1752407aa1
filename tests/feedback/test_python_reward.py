"""A person's own reward function: what it gives, and what is said when it fails."""

import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.models import make_ppo

from workbench.assets import EXAMPLE_REWARDS
from workbench.feedback.python_reward import PythonReward
from workbench.feedback.reward_file import read_reward_file
from workbench.feedback.reward_text import RewardError
from workbench.feedback.weighted_reward import WeightedPart, WeightedSum
from workbench.models.control import Interrupted
from workbench.models.policy_tokenizer import PromptError
from workbench.models.sources import LoadError
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.records import Exchange, TextPrompt


def exchange(prompt, completion):
    return Exchange(prompt, completion, prompt + completion)


ROWS = [exchange("The hotel was", " good."), exchange("The film was", ""),
        exchange("The coffee was", " bad and cold.")]


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(text))
        return read_reward_file(str(path))
    return write


@pytest.mark.parametrize("expression", [
    "[len(c) for c in completions]",
    "tuple(float(len(c)) for c in completions)",
    "np.array([len(c) for c in completions])",
    "[np.float32(len(c)) for c in completions]",
    "torch.tensor([float(len(c)) for c in completions])",
])
def test_scores_of_any_usual_kind(write, unattended, expression):
    reward = PythonReward(write(f"""
        import numpy as np
        import torch

        def reward(prompts, completions):
            return {expression}
        """))
    assert reward.score(ROWS, control=unattended).tolist() == [6, 0, 14]
    assert reward.score([], control=unattended).tolist() == []


@pytest.mark.parametrize(("body", "line", "problem", "row"), [
    ("return [1 / len(c) for c in completions]", 2,
     "reward raised ZeroDivisionError (division by zero)", 1),
    ("return [1.0 for c in completions if c]", 1,
     "reward returned 2 scores for 3 completions", 1),
    ("return [float('nan') if 'cold' in c else 1 for c in completions]", 1,
     "reward gave nan, which is no finite number", 2),
    ("return [1e300 if 'cold' in c else 1 for c in completions]", 1,
     "reward gave 1e+300, which is no finite number", 2),
    ("return ['good'] * len(completions)", 1, "reward gave 'good' (str), which is no number", 0),
    ("return None", 1, "reward returned None (NoneType) instead of a list of scores", 0),
    ("raise SystemExit", 2, "reward raised SystemExit", 0),
    ("raise KeyboardInterrupt", 2, "reward raised KeyboardInterrupt", 0),
])
def test_a_failure_names_file_line_and_row(write, unattended, body, line, problem, row):
    reward = PythonReward(write(f"def reward(prompts, completions):\n    {body}\n"))
    with pytest.raises(RewardError) as caught:
        reward.score(ROWS, control=unattended)
    shown = ROWS[row].completion.strip()
    assert str(caught.value) == (
        f"mine.py, line {line}: {problem}, on completion {row + 1} of 3 (prompt "
        f"“{ROWS[row].prompt}”, completion “{shown}”); mend the file and resume the run.")
    assert ROWS[row].prompt in caught.value.details
    if "raised" in problem:
        assert body in caught.value.details  # the line that ran, in the file's own traceback
        assert "python_reward.py" not in caught.value.details


def test_a_failure_of_all_rows_together(write, unattended):
    reward = PythonReward(write("""
        def reward(prompts, completions):
            assert len(completions) < 2, "too " + "long " * 40
            return [0.0]
        """))
    with pytest.raises(RewardError, match=r"on 3 completions together, though on each alone "
                                          r"it does not; the first is .*hotel was") as caught:
        reward.score(ROWS, control=unattended)
    assert "…" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_runs_is_what_was_read(write, unattended):
    file = write("def reward(prompts, completions):\n    return [1 / 0]\n")
    Path(file.path).write_text("# another file by now\n")
    with pytest.raises(RewardError) as caught:
        PythonReward(file).score(ROWS, control=unattended)
    assert "return [1 / 0]" in caught.value.details


def test_what_it_prints_is_kept_from_the_output(write, unattended, capsys, caplog):
    caplog.set_level("INFO", logger="workbench.reward")
    reward = PythonReward(write("""
        import sys
        import threading

        def reward(prompts, completions):
            print("hello")
            thread = threading.Thread(target=print, args=["from a thread"])
            thread.start()
            thread.join()
            print("oh", file=sys.stderr)
            return [0] * len(completions)
        """))
    before = sys.stdout, sys.stderr
    reward.score(ROWS, control=unattended)
    assert (sys.stdout, sys.stderr) == before
    assert tuple(capsys.readouterr()) == ("", "")
    assert caplog.messages == ["mine.py printed: hello\nfrom a thread\noh"]


@pytest.mark.parametrize(("text", "sentence"), [
    ("def reward(:\n", "mine.py, line 1: this is no valid Python"),
    ("import no_such_package\n", "needs the Python package no_such_package, which is not "
                                 r"installed; install it \(usually pip install no_such_package\)"),
    ("x = 1\ny = 1 / 0\n", r"mine.py, line 2: running the file raised ZeroDivisionError \(div"),
    ("raise SystemExit(3)\n", r"mine.py, line 1: running the file raised SystemExit \(3\)"),
    ("x = 1\n", "mine.py has no function reward; write `def reward"),
    ("reward = 1\n", "mine.py has no function reward"),
    ("def reward(completions):\n    return []\n", "must take the prompts and the completions"),
    ("def reward(completions, answer):\n    return []\n", "must take the prompts and the comp"),
    ("async def reward(p, c):\n    return []\n", "must return its scores"),
])
def test_a_file_that_cannot_be_a_reward(write, text, sentence):
    with pytest.raises(LoadError, match=sentence) as caught:
        PythonReward(write(text))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(LoadError, match=r"There is no file .*gone\.py"):
        read_reward_file(str(tmp_path / "gone.py"))
    with pytest.raises(LoadError, match="cannot be read"):
        read_reward_file(str(tmp_path))


def test_vader(unattended):
    reward = PythonReward(read_reward_file(str(EXAMPLE_REWARDS["vader"])))
    scores = reward.score([exchange("The hotel was", " a great, lovely place!"),
                           exchange("The hotel was", " on a street."),
                           exchange("The hotel was", " horrible and dirty.")], control=unattended)
    assert scores[0] > 0.5 > scores[1] == 0 > -0.5 > scores[2]
    assert reward.summary == (
        "Reward friendly completions, by VADER's lexicon of words and their feelings.")


def test_vader_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "vaderSentiment", None)
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    with pytest.raises(LoadError, match="pip install vaderSentiment"):
        PythonReward(read_reward_file(str(EXAMPLE_REWARDS["vader"])))


def test_length_and_repetition(unattended):
    reward = PythonReward(read_reward_file(str(EXAMPLE_REWARDS["length_and_repetition"])))
    texts = ["", "one two three four", "one two three four five six seven eight nine",
             " ".join(map(str, range(60))), " ".join(map(str, range(100))), "so " * 12]
    scores = reward.score([exchange("", text) for text in texts], control=unattended)
    assert scores.tolist() == pytest.approx([-1, -0.5, 0, -0.5, -1, -0.9])


COLUMNS = [replace(row, columns={"answer": answer, "level": None})
           for row, answer in zip(ROWS, ("4", None, "6"), strict=True)]


@pytest.mark.parametrize(("signature", "gets"), [
    ("prompts, completions, answer", {"answer": ["4", None, "6"]}),
    ("p, c, *, answer", {"answer": ["4", None, "6"]}),
    ("completions, answer, **columns", {"answer": ["4", None, "6"], "level": [None] * 3}),
    ("completions, prompts, **columns", {"answer": ["4", None, "6"], "level": [None] * 3}),
    ("a, b, level=1, other=2", {"level": [None] * 3, "other": 2}),
    ("*texts", {}),
])
def test_a_function_gets_the_columns_that_it_names(write, unattended, signature, gets):
    reward = PythonReward(write(f"""
        def reward({signature}):
            found = dict(locals())
            told = {{**found.pop("columns", {{}}), **found}}
            texts = told.pop("texts", ())
            for name in ("prompts", "p", "a"):
                first = told.pop(name, None) or texts and texts[0] or {[r.prompt for r in ROWS]}
                assert first == {[r.prompt for r in ROWS]}
            for name in ("completions", "c", "b"):
                second = told.pop(name, None) or texts and texts[1] or {
                    [r.completion for r in ROWS]}
                assert second == {[r.completion for r in ROWS]}
            assert told == {gets}, told
            return [1, 2, 3]
        """))
    assert reward.score(COLUMNS, control=unattended).tolist() == [1, 2, 3]


def test_columns_go_by_row_where_one_row_is_asked_alone(write, unattended):
    reward = PythonReward(write("""
        def reward(prompts, completions, answer):
            return [float(a) for a in answer]
        """))
    with pytest.raises(RewardError, match=r"line 3: reward raised TypeError .*on completion 2 of"):
        reward.score(COLUMNS, control=unattended)


def test_a_column_that_no_prompt_has_is_named_before_the_run(write):
    ppo = make_ppo()
    ppo.reward = PythonReward(write("""
        def reward(prompts, completions, answer, level=None):
            return [0.0] * len(answer)
        """))
    with pytest.raises(PromptError, match=r"^mine\.py asks for the column “answer”, which the "
                       r"prompts do not have \(nor any other\); open a prompt file that has it"):
        ppo.begin(["a"], Hyperparameters())
    with pytest.raises(PromptError, match="they have “label”"):
        ppo.begin([TextPrompt("a", columns={"label": 1})], Hyperparameters())
    ppo.begin(["a", TextPrompt("b", columns={"answer": 1})], Hyperparameters())
    assert [dict(p.columns) for p in ppo.prompts] == [{"answer": None}, {"answer": 1}]


def test_a_column_of_any_part_of_a_sum_is_named(write):
    ppo = make_ppo()
    mine = PythonReward(write("def reward(p, c, answer):\n    return [0.0] * len(c)\n"))
    ppo.reward = WeightedSum([
        WeightedPart("length", 1.0, ppo.reward), WeightedPart("mine", 0.5, mine)])
    with pytest.raises(PromptError, match=r"^mine\.py asks for the column “answer”"):
        ppo.begin(["a"], Hyperparameters())


class Impatient:
    """A control that has had enough the second time it is asked."""

    asked = 0

    def step(self, *_):
        self.asked += 1
        if self.asked > 1:
            raise Interrupted


@pytest.mark.parametrize("never", ["threading.Event().wait()", "while True: pass"])
def test_a_reward_that_never_returns_can_be_left(write, unattended, never):
    before = sys.stdout
    reward = PythonReward(write(f"""
        import threading

        threads = []

        def reward(prompts, completions):
            threads.append(threading.current_thread())
            if len(threads) == 1:
                {never}
            return [1.0] * len(completions)
        """))
    with pytest.raises(Interrupted):
        reward.score(ROWS, control=Impatient())
    assert sys.stdout is before
    assert reward.score(ROWS, control=unattended).tolist() == [1, 1, 1]
    first, second = reward._function.__globals__["threads"]
    assert second.is_alive()
    if never.startswith("while"):
        first.join()


def test_a_file_that_never_ends_can_be_left(write):
    with pytest.raises(Interrupted):
        PythonReward(write("while True: pass"), Impatient().step)


def test_what_is_kept_for_a_thread_stays_there(write, unattended):
    reward = PythonReward(write("""
        import sqlite3

        scores = sqlite3.connect(":memory:")
        scores.execute("create table kept (score)")

        def reward(prompts, completions):
            scores.execute("insert into kept values (1)")
            [[count]] = scores.execute("select count(*) from kept")
            return [count] * len(completions)
        """))
    assert reward.score(ROWS, control=unattended).tolist() == [1, 1, 1]
    assert reward.score(ROWS, control=unattended).tolist() == [2, 2, 2]
