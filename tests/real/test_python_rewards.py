"""What a person's reward function may raise or return: the sentence keeps file, line and row."""

import os
import signal
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from workbench.feedback.python_reward import PythonReward
from workbench.feedback.reward_file import read_reward_file
from workbench.feedback.reward_text import RewardError
from workbench.models.control import Unattended
from workbench.models.sources import LoadError
from workbench.records import Exchange

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


@pytest.mark.parametrize("line", [
    "import mine_too", "from mine_too import X", "from . import mine_too",
    "import parts.inner", "from .mine_too import X"])
def test_what_lies_beside_a_file_is_no_package_to_install(tmp_path, line):
    (tmp_path / "mine_too.py").write_text("X = 1\n")
    (tmp_path / "parts").mkdir()
    path = tmp_path / "mine.py"
    path.write_text(f"\n{line}\n\ndef reward(prompts, completions):\n    return []\n")
    with pytest.raises(LoadError) as caught:
        PythonReward(read_reward_file(str(path)))
    assert str(caught.value) == (
        "mine.py, line 2: a reward is a single file, and what lies beside it is not imported; copy "
        "what it needs into it, or install that as a package, and load again.")


def test_other_imports_that_fail_are_told_apart(tmp_path):
    path = tmp_path / "mine.py"
    for line, problem in (
        ("import no_such_package.inner", "needs the Python package no_such_package, which is "
         "not installed; install it (usually pip install no_such_package) and load again."),
        ("from math import no_such_name", "line 1: running the file raised ImportError (cannot "
         "import name 'no_such_name' from 'math'"),
    ):
        path.write_text(line)
        with pytest.raises(LoadError) as caught:
            PythonReward(read_reward_file(str(path)))
        assert problem in str(caught.value)


def test_a_limit_of_time_that_needs_signals_says_what_to_do(tmp_path):
    text = """
        import signal
        def reward(prompts, completions):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            return [1.0] * len(completions)
        """
    with ThreadPoolExecutor(1) as thread:  # as a run has one
        sentence = thread.submit(fail, tmp_path, text).result()
    assert "limit the time without them, in math_verify by parsing_timeout=None" in sentence


def test_a_reward_that_takes_messages_is_told_of_texts(tmp_path):
    sentence = fail(tmp_path, """
        def reward(completions, **kwargs):
            return [float(len(c[0]["content"])) for c in completions]
        """)
    assert "prompts and completions are texts here, not lists of messages" in sentence


def test_what_a_file_sets_for_all_of_torch_ends_with_it(tmp_path):
    """Training goes on after it, on the same thread."""
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent("""
        import torch

        def settle():
            torch.set_grad_enabled(False)
            torch.set_default_dtype(torch.float64)
            torch.set_num_threads(torch.get_num_threads() + 1)

        settle()

        def reward(prompts, completions):
            settle()
            return torch.ones(len(completions))
        """))
    def state():
        return torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()
    before = state()
    reward = PythonReward(read_reward_file(str(path)))
    assert state() == before
    assert reward.score(ROWS, control=Unattended()).tolist() == [1, 1]
    assert state() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_a_reward_makes_ends_when_it_is_told_to(tmp_path):
    """multiprocessing.Pool ends its processes by SIGTERM, which stops a run."""
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent("""
        import os, signal

        def reward(prompts, completions):
            child = os.fork()
            if not child:
                os._exit(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
            return [float(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))] * len(completions)
        """))
    reward = PythonReward(read_reward_file(str(path)))
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # as a run without a window has it
    try:
        with ThreadPoolExecutor(1) as thread:
            found = thread.submit(reward.score, ROWS, control=Unattended()).result()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert found.tolist() == [1, 1]
