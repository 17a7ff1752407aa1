"""Trains what was asked for, sets the scale of the scores, and puts the folders in place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
import train_policy
import train_reward
from card import BEST_OF, complete, policy_card, policy_figures, reward_card, scores_of
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    set_seed,
)

PROMPTS = Path(__file__).resolve().parents[2] / "sample_prompts" / "review_openings.txt"
STEPS = {"policy": 2400, "reward": 2400}
TRAIN = {"policy": train_policy.train, "reward": train_reward.train}


def make(out: Path, names: list[str], seed: int, quick: bool, command: str) -> None:
    """Makes the named models into `out`; a folder is replaced only by a finished one."""
    torch.set_num_threads(2)
    set_seed(seed)
    work = out / ".making"
    shutil.rmtree(work, ignore_errors=True)
    for name in names:
        steps = STEPS[name] // 5 if quick else STEPS[name]
        figures = TRAIN[name](work / name, seed, steps)
        (work / name / "training.json").write_text(
            json.dumps({"command": command, "seed": seed, **figures}, indent=1) + "\n")
    # A model that was not made anew is needed all the same: the cards measure both together.
    for name in STEPS:
        if name not in names and (out / name).exists():
            shutil.copytree(out / name, work / name)
    if all((work / name).exists() for name in STEPS):
        finish(work / "policy", work / "reward", seed)
    for folder in [work / name for name in STEPS if (work / name).exists()]:
        replace(folder, out / folder.name)
    shutil.rmtree(work)


def replace(fresh: Path, place: Path) -> None:
    """Puts a finished folder in place by renaming, so that nobody loads half a model."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def finish(policy_folder: Path, reward_folder: Path, seed: int) -> None:
    """Sets the reward model's scale by the policy's completions, measures, writes both cards."""
    policy = AutoModelForCausalLM.from_pretrained(policy_folder)
    policy_words = AutoTokenizer.from_pretrained(policy_folder)
    reward = AutoModelForSequenceClassification.from_pretrained(reward_folder)
    reward_words = AutoTokenizer.from_pretrained(reward_folder)
    prompts = PROMPTS.read_text(encoding="utf-8").splitlines()
    # The scale is set on one sample and measured on another.
    scores = torch.tensor(scores_of(
        reward, reward_words, complete(policy, policy_words, prompts, 2 * BEST_OF, seed)))
    train_reward.standardise(reward, scores.mean().item(), scores.std().item())
    reward.save_pretrained(reward_folder)
    written = complete(policy, policy_words, prompts, 2 * BEST_OF, seed + 1)
    figures = policy_figures(written, scores_of(reward, reward_words, written))
    held_out = train_reward.measure(reward, reward_words, seed)
    policy_card(policy_folder, json.loads((policy_folder / "training.json").read_text()), figures)
    reward_card(reward_folder, json.loads((reward_folder / "training.json").read_text()),
                held_out, figures)
