"""Training without the window where a process of its own would show too little."""

import io
import sys
from contextlib import ExitStack

import pytest
from helpers.disk import full
from helpers.folders import save_policy, save_reward

from workbench import headless
from workbench.cli import parse
from workbench.store.store import Store


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
    assert said[1] == said[0].replace("policy:", "policy (kept from an earlier run):")
