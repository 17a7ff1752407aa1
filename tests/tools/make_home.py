"""Write the home that later versions must still open, with the models its runs were trained with.

    python tests/tools/make_home.py tests/fixtures/home-VERSION

The folder gets ``policy`` and ``reward`` (tiny, random), and ``home`` with

- "Whole": six cycles without a break, the learning rate changed for the third;
- "Stopped": the same run stopped after the fourth cycle, with checkpoints after the last two;
- "Fork": forked from "Stopped" after its third cycle, with another price of KL;
- "Back": gone back from its second cycle to its first, so that an abandoned branch is kept;
- two prompt sets, and the layout of a window that was used.

Where the models lie stands in the home as ``MODELS``; ``helpers.old_homes`` puts in where they lie.
A home is made once, by the version it is named after, and never again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import transformers as tf
from helpers.client import Client
from helpers.folders import save_reward, tokenizer
from helpers.window import Opened
from PySide6.QtWidgets import QApplication

from workbench.gui.settings import Settings
from workbench.ppo.hyperparameters import parse
from workbench.store.records import Prompt, PromptSet
from workbench.store.schema import FILE_NAME
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

MODELS = "MODELS"
SETTINGS = {
    "num_cycles": 6, "batch_size": 4, "response_length": 6, "learning_rate": 1e-3, "kl_coef": 0.05,
    "comparison_prompts": 2, "checkpoint_every": 2, "keep_checkpoints": 2, "keep_tokens": 1}
PROMPTS = (do.PromptItem("one", pinned=True), do.PromptItem("two, too"), do.PromptItem("drei"))
CHANGE = {"learning_rate": 5e-4}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    if folder.exists():
        raise SystemExit(f"{folder} is there already: a version's home is made once.")
    with TemporaryDirectory() as made:
        make(Path(made))
        shutil.copytree(made, folder, ignore=shutil.ignore_patterns(
            "locks", "logs", "*.lock", "*.db-wal", "*.db-shm"))


def make(folder: Path) -> None:
    """Train, lay out and move away."""
    policy, reward = _save_policy(folder / "policy"), save_reward(folder / "reward")
    store = Store(folder / "home")
    client = Client(store)
    client.send(do.LoadModels(str(policy), str(reward)))
    client.wait_for(State.READY)
    _train(client, "Whole", until=6)
    stopped = _train(client, "Stopped", until=4)
    client.send(do.Fork(stopped, 3, {"num_cycles": 4, "kl_coef": 0.2}, "Fork"))
    assert client.wait(ev.RunFinished).outcome == "finished"
    back = _train(client, "Back", until=2, checkpoint_every=1)
    client.send(do.GoBack(back, 1, {"num_cycles": 2}))
    assert client.wait(ev.RunFinished).outcome == "finished"
    client.close()
    store.save_prompt_set(PromptSet("Kept", (
        Prompt("one", pinned=True), Prompt("left out", enabled=False)))).result()
    store.save_prompt_set(PromptSet("Two", (Prompt("zwei"),))).result()
    _use_window(store, stopped, policy, reward)
    store.close()
    with closing(sqlite3.connect(folder / "home" / FILE_NAME)) as db:
        for column in "policy", "reward", "models":
            db.execute(f"update runs set {column} = replace({column}, ?, ?)", [str(folder), MODELS])
        db.commit()
        db.execute("vacuum")
        db.execute("pragma journal_mode = delete")


def _save_policy(folder: Path) -> Path:
    """Save a GPT-2 that is small enough for ten checkpoints of it."""
    torch.manual_seed(0)
    words = tokenizer()
    model = tf.GPT2LMHeadModel(tf.GPT2Config(
        vocab_size=len(words), n_positions=64, n_embd=8, n_layer=1, n_head=2, eos_token_id=0,
        bos_token_id=0))
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def _train(client: Client, name: str, *, until: int, **settings: object) -> int:
    """Run cycles one at a time and change the learning rate for the third."""
    client.send(do.Start(parse(SETTINGS | settings), PROMPTS, name, step=True))
    for cycle in range(1, until + 1):
        run_id = client.wait(ev.CycleFinished, lambda e, cycle=cycle: e.cycle == cycle).run_id
        if cycle == SETTINGS["num_cycles"]:
            break
        client.wait_for(State.PAUSED)
        if cycle == 2:
            client.send(do.SetHyperparameters(CHANGE))
        client.send(do.StepCycle() if cycle < until else do.Stop())
    client.wait(ev.RunFinished)
    return run_id


def _use_window(store: Store, run_id: int, policy: Path, reward: Path) -> None:
    """Leave the layout of a window in which one was at work."""
    app = QApplication([])
    opened = Opened(store)
    window = opened.window
    window.resize(1300, 800)
    window.show()
    window.models.policy.set_source(str(policy))
    window.models.reward.set_source(str(reward))
    opened.controller.show_run(run_id)
    window.docks["metrics"].setFloating(True)
    window.docks["prompts"].hide()
    window.reveal("tokens")
    app.processEvents()
    state = json.dumps(window.save_state()).replace(str(policy.parent), MODELS)
    Settings(store.home).save(json.loads(state))
    opened.close()


if __name__ == "__main__":
    main()
