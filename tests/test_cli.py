"""The command as a person types it, in a process of its own."""

import json
import os
import subprocess
import sys

import pytest
from helpers.folders import save_policy, save_reward

from workbench import __version__
from workbench.ppo.metrics import METRICS
from workbench.store.store import Store


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "workbench", *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment})


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    return ["--policy", save_policy(base / "p"), "--reward", save_reward(base / "r")]


SMALL = ["--set", "batch_size=4", "--set", "response_length=5"]


def test_train_writes_a_json_object_a_cycle(models, home, tmp_path):
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\ntwo\n")
    done = run("train", *models, *SMALL, "--prompts", prompts, "--cycles", 2, "--seed", 5,
               "--home", home, "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["cycle"] for line in lines] == [1, 2]
    assert set(lines[0]) == {"cycle", *METRICS}
    store = Store(home)
    assert store.runs()[0].hyperparameters["seed"] == 5
    assert store.metrics(1)["objective/scores"].values == [
        line["objective/scores"] for line in lines]
    store.close()


def test_train_writes_a_readable_line_a_cycle(models, home, tmp_path):
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\n")
    done = run("train", *models, *SMALL, "--prompts", prompts, "--cycles", 1,
               PPO_WORKBENCH_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert "cycle 1/1  reward " in done.stdout
    assert "Finished after 1 cycles." in done.stdout
    assert (home / "workbench.db").is_file()


def test_resume_goes_on_where_a_run_ended(models, home, tmp_path):
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\n")
    run("train", *models, *SMALL, "--prompts", prompts, "--cycles", 2, "--home", home)
    done = run("resume", 1, "--cycles", 3, "--json", "--home", home)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["cycle"] for line in done.stdout.splitlines()] == [3]
    assert run("resume", 1, "--home", home).returncode == 2
    listed = run("runs", "--home", home, COLUMNS="120").stdout
    assert "Run 1" in listed
    assert "finished" in listed
    assert "2, 3" in listed


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--set", "learning_rate=fast"], "must be a number between 0 and 1"),
    (["--set", "nonsense=1"], "no hyperparameter named 'nonsense'"),
    (["--set", "cliprange"], "--set wants NAME=VALUE"),
    (["--set", "num_mini_batches=7"], "must divide the batch size"),
    (["--cycles", "0"], "Cycles (num_cycles) must be a whole number between 1"),
    (["--prompts", "missing.txt"], "missing.txt"),
    (["--policy", "./missing"], "There is no folder"),
])
def test_what_cannot_be_done_is_said_in_one_sentence(home, arguments, sentence):
    done = run("train", "--home", home, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_display(home):
    done = run("--home", home, DISPLAY="", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "ppo-workbench train" in done.stderr
    done = run("--home", home, DISPLAY=":987", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
    assert done.returncode == 2


def test_doctor(home):
    done = run("doctor", "--home", home)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in (__version__, "torch", "device", "memory", str(home), "All is well"):
        assert word in done.stdout


def test_doctor_says_what_is_wrong(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("doctor", "--home", tmp_path / "file")
    assert done.returncode == 1
    assert "cannot be written" in done.stdout


def test_version():
    assert run("--version").stdout.strip() == f"ppo-workbench {__version__}"


def test_help_lists_hyperparameters():
    assert "cliprange_value" in run("train", "--help").stdout


def test_a_rule_of_the_health_check_stops_a_run_that_was_told_to_pause(models, home, tmp_path):
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\ntwo\n")
    done = run("train", *models, *SMALL, "--prompts", prompts, "--cycles", 9, "--home", home,
               "--set", "learning_rate=1", "--set", "pause_on_steps=on")
    assert done.returncode == 3
    assert "cycle 1: Steps are too large. " in done.stderr
    assert "Stopped after 1 cycles." in done.stdout
    store = Store(home)
    assert (store.run(1).status, [c.cycle for c in store.checkpoints.all(1)]) == ("stopped", [1])
    store.close()
