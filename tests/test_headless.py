"""Training without the window where a process of its own would show too little."""

import argparse
import io
import math
import sys
from contextlib import ExitStack

import pytest
from helpers.disk import full
from helpers.folders import save_policy, save_reward
from helpers.window import fill

from workbench import headless, run_lines
from workbench.cli import parse
from workbench.dpo.declaration import DPO
from workbench.kto.declaration import KTO
from workbench.options import UsageError, data_of, load_command, prompts_of
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.value_pretraining import say_foreseen
from workbench.reward_training.declaration import REWARD
from workbench.store.store import Store
from workbench.training.events import RunResumed
from workbench.training.pair_data import bundled_pairs


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits of Unix")
def test_a_full_disk_is_told_of_and_tried_again(home, store, tmp_path, monkeypatch, capsys):
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\ntwo\n")
    options = parse([
        "train", "--home", str(home), "--cycles", "3", "--prompts", str(prompts),
        "--policy", str(save_policy(tmp_path / "p")), "--reward", str(save_reward(tmp_path / "r")),
        "--set", "batch_size=4", "--set", "response_length=5", "--set", "checkpoint_every=0"])
    monkeypatch.setattr(headless, "RETRY", 0.05)

    class Ear(io.StringIO):
        """Makes room as soon as it hears that there is none."""

        def write(self, text):
            if "tried again" in text:
                disk.close()
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", Ear())
    with ExitStack() as disk:
        disk.enter_context(full(home, room=90_000))
        assert headless.train(options) == 0
    said = sys.stderr.getvalue()
    assert said.count("so the run is paused after cycle") == 1
    assert f"Free some space at {home}, then resume." in said
    assert "Finished after 3 cycles." in capsys.readouterr().out
    again = Store(home)
    assert (again.run(1).status, again.run(1).cycles) == ("finished", 3)
    again.close()


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be renamed there")
def test_no_resume_is_promised_that_is_not_there(home, store):
    run_id = fill(store, 1, status="stopped")
    assert run_lines.way_on(store, run_id, "") == (
        "Go on with: ppo-workbench resume 1 (no checkpoint was written: it begins from the start)")
    store.checkpoints.write(run_id, 1, {}, {})
    assert run_lines.way_on(store, run_id, " --set batch_size=2") == (
        "Go on with: ppo-workbench resume 1 --set batch_size=2")
    store.path.rename(home / "elsewhere.db")
    assert run_lines.way_on(store, run_id, "") == (
        f"The run cannot be resumed while its database is not at {store.path}; if you have moved "
        "it, put it back there, then go on with: ppo-workbench resume 1")
    (home / "elsewhere.db").rename(store.path)
    assert run_lines.way_on(store, run_id, "") == "Go on with: ppo-workbench resume 1"


@pytest.mark.parametrize(("name", "said"), [
    ("Run 5", "Run 5 is a fork of Run 2 after cycle 3."),
    ("Dearer", "Dearer (run 5) is a fork of Run 2 after cycle 3.")])
def test_a_run_is_named_once(name, said):
    resumed = RunResumed(5, name, 3, "ppo", Hyperparameters().model_dump(), "Run 2")
    assert run_lines.begun_in_words(resumed) == said


def test_values_that_have_nothing_to_foresee_are_given_no_number():
    assert say_foreseen(20, math.nan) == (
        "Values pretrained on 20 completions of the start policy: those held out all scored the "
        "same, so there was nothing to foresee. See whether the reward tells completions apart.")


def test_what_pretrained_values_foresee_is_said(home, tmp_path, capsys):
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\ntwo\n")
    options = parse([
        "train", "--home", str(home), "--cycles", "1", "--prompts", str(prompts),
        "--policy", str(save_policy(tmp_path / "p")), "--reward", str(save_reward(tmp_path / "r")),
        "--set", "batch_size=4", "--set", "response_length=5",
        "--set", "value_pretraining_episodes=20"])
    said = []
    for _ in range(2):
        assert headless.train(options) == 0
        said.append(next(line for line in capsys.readouterr().out.splitlines()
                         if line.startswith("Values pretrained")))
    assert said[0].startswith(
        "Values pretrained on 20 completions of the start policy: they explain ")
    assert said[1] == f"{said[0]} Kept from an earlier run."


def test_what_is_taken_by_default_can_be_named() -> None:
    def asked(*words: str) -> argparse.Namespace:
        return parse(["train", *words])

    named = asked("--data", "bundled", "--policy", "bundled", "--prompts", "bundled")
    assert data_of(named, DPO) is data_of(named, REWARD) is bundled_pairs()
    assert load_command(named) == load_command(asked())
    assert prompts_of(named.prompts) == prompts_of(asked().prompts)
    with pytest.raises(UsageError, match="There are no bundled completions for KTO to learn from;"):
        data_of(named, KTO)
    with pytest.raises(UsageError, match="one set of judgements; give --data no more than that"):
        data_of(asked("--data", "bundled", "--data", "1"), DPO)
