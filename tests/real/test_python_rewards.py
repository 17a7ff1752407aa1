"""What a person's reward function may raise or return: the sentence keeps file, line and row."""

import textwrap

import pytest

from workbench.ppo.control import Unattended
from workbench.ppo.python_reward import PythonReward
from workbench.ppo.reward_file import read_reward_file
from workbench.ppo.reward_text import Exchange, RewardError

ROWS = [Exchange("The tea was", " hot", "The tea was hot"), Exchange("A cat", " sat", "A cat sat")]
ODD = '''
from fractions import Fraction

class Silent(Exception):
    def __str__(self): raise ValueError("no words")

class Shy:
    def item(self): raise RuntimeError("not this one")

class Nameless:
    def __repr__(self): raise RuntimeError("no name")

class Endless(list):
    def __len__(self): raise RuntimeError("no length")
    def __iter__(self): raise RuntimeError("no end")

class Array:
    def tolist(self): raise RuntimeError("no list")

class Number(float):
    def __float__(self): raise RuntimeError("no float")

def reward(prompts, completions):
    return [ODD if "sat" in c else 1.0 for c in completions]
'''


@pytest.mark.parametrize(("odd", "problem"), [
    ("(_ for _ in ()).throw(Silent())", "reward raised Silent (its message cannot be read)"),
    ("Shy()", "a score that reward returned raised RuntimeError (not this one) when it was read"),
    ("Nameless()", "reward gave something that cannot be shown (Nameless), which is no number"),
    ("Fraction(10**400)", "which is no finite number"),
    ("10**5000", "reward gave something that cannot be shown, which is no finite number"),
    ("-10**400", "which is no finite number"),
    ("Number(1)", "a score that reward returned raised RuntimeError (no float) when it was read"),
    ("1j", "reward gave 1j (complex), which is no number"),
])
def test_one_odd_score_is_named_by_its_row(tmp_path, odd, problem):
    sentence = fail(tmp_path, ODD.replace("ODD", odd))
    assert problem in sentence
    assert "on completion 2 of 2 (prompt “A cat”, completion “sat”)" in sentence


@pytest.mark.parametrize(("odd", "problem"), [
    ("Endless([1.0, 1.0])", "what reward returned raised RuntimeError (no end) when it was read"),
    ("Array()", "what reward returned raised RuntimeError (no list) when it was read"),
    ("Nameless()", "reward returned something that cannot be shown (Nameless) instead of a list"),
])
def test_an_odd_return_is_named_by_its_line(tmp_path, odd, problem):
    head, _, _ = ODD.partition("def reward")
    sentence = fail(tmp_path, f"{head}def reward(prompts, completions):\n    return {odd}\n")
    assert problem in sentence
    assert "completion 1 of 2" in sentence


def fail(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(text))
    reward = PythonReward(read_reward_file(str(path)))
    with pytest.raises(RewardError) as caught:
        reward.score(ROWS, control=Unattended())
    sentence = str(caught.value)
    assert sentence.startswith("mine.py, line ")
    line = int(sentence.removeprefix("mine.py, line ").partition(":")[0])
    assert text.splitlines()[line - 1].strip()
    return sentence
