"""Trains what was asked for, sets the scale of the scores, and puts the folders in place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
import train_policy
import train_reward
import train_value
from card import BEST_OF, complete, policy_card, policy_figures, reward_card, scores_of
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    set_seed,
)

from workbench.ppo.value_head import load_value_head, save_value_head

PROMPTS = Path(__file__).resolve().parents[2] / "sample_prompts" / "review_openings.txt"
STEPS = {"policy": 2400, "reward": 2400, "value": 2400}
TRAIN = {"policy": train_policy.train, "reward": train_reward.train}


def make(out: Path, names: list[str], seed: int, quick: bool, command: str) -> None:
    """Makes the named models into `out`; a folder is replaced only by a finished one."""
    torch.set_num_threads(2)
    set_seed(seed)
    work = out / ".making"
    shutil.rmtree(work, ignore_errors=True)
    for name, train in TRAIN.items():
        if name in names:
            figures = train(work / name, seed, _steps(name, quick))
            _record(work / name, {"command": command, "seed": seed, **figures})
        # A model that was not made anew is needed all the same: the cards measure both together.
        elif (out / name).exists():
            shutil.copytree(out / name, work / name)
    policy, reward = work / "policy", work / "reward"
    head = None
    if "value" in names:
        head, figures = train_value.train(policy, reward, seed, _steps("value", quick))
        _record(policy, {**_training(policy), "value_command": command, **figures})
    if policy.exists() and reward.exists():
        finish(policy, reward, seed, head)
    for folder in (policy, reward):
        if folder.exists():
            replace(folder, out / folder.name)
    shutil.rmtree(work)


def _steps(name: str, quick: bool) -> int:
    return STEPS[name] // 5 if quick else STEPS[name]


def _training(folder: Path) -> dict[str, object]:
    return json.loads((folder / "training.json").read_text())


def _record(folder: Path, figures: dict[str, object]) -> None:
    (folder / "training.json").write_text(json.dumps(figures, indent=1) + "\n")


def replace(fresh: Path, place: Path) -> None:
    """Puts a finished folder in place by renaming, so that nobody loads half a model."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def finish(policy_folder: Path, reward_folder: Path, seed: int,
           head: torch.nn.Linear | None) -> None:
    """Sets the reward model's scale by the policy's completions, measures, writes both cards.

    The value head foresees scores, so it follows their scale; without a new one the head in the
    policy's folder does.
    """
    policy = AutoModelForCausalLM.from_pretrained(policy_folder)
    policy_words = AutoTokenizer.from_pretrained(policy_folder)
    reward = AutoModelForSequenceClassification.from_pretrained(reward_folder)
    reward_words = AutoTokenizer.from_pretrained(reward_folder)
    prompts = PROMPTS.read_text(encoding="utf-8").splitlines()
    # The scale is set on one sample and measured on another.
    scores = torch.tensor(scores_of(
        reward, reward_words, complete(policy, policy_words, prompts, 2 * BEST_OF, seed)))
    mean, deviation = scores.mean().item(), scores.std().item()
    train_reward.standardise(reward, mean, deviation)
    brought = head or load_value_head(policy_folder, reward=reward_folder)
    reward.save_pretrained(reward_folder)
    if brought is not None:
        save_value_head(policy_folder, brought.weight / deviation,
                        (brought.bias - mean) / deviation, reward=reward_folder)
    written = complete(policy, policy_words, prompts, 2 * BEST_OF, seed + 1)
    figures = policy_figures(written, scores_of(reward, reward_words, written))
    held_out = train_reward.measure(reward, reward_words, seed)
    policy_card(policy_folder, _training(policy_folder), figures)
    reward_card(reward_folder, _training(reward_folder), held_out, figures)
