"""The sample prompts: every file parses, and the default set suits the bundled policy."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

NAMES = ("review_openings.txt", "general_openings.txt", "story_openings.txt",
         "instructions.jsonl", "hard_cases.csv")


def _read(path: Path) -> list[str]:
    if path.suffix == ".txt":
        return path.read_text(encoding="utf-8").splitlines()
    if path.suffix == ".jsonl":
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["prompt"] for line in lines]
    with path.open(encoding="utf-8", newline="") as file:
        return [row["prompt"] for row in csv.DictReader(file)]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_holds_different_prompts(prompt_folder: Path, name: str) -> None:
    prompts = _read(prompt_folder / name)
    assert len(prompts) >= 16
    assert len(set(prompts)) == len(prompts)
    assert all(prompt.strip() for prompt in prompts)


def test_the_readme_describes_every_file(prompt_folder: Path) -> None:
    text = (prompt_folder / "README.md").read_text(encoding="utf-8")
    for path in prompt_folder.iterdir():
        if path.name != "README.md":
            assert f"| `{path.name}` | {len(_read(path))} |" in text


def test_review_openings_end_where_a_word_ends(prompt_folder: Path) -> None:
    for prompt in _read(prompt_folder / "review_openings.txt"):
        assert prompt == prompt.strip()
        assert 1 <= len(prompt.split()) <= 9


def test_hard_cases_are_hard(prompt_folder: Path) -> None:
    prompts = _read(prompt_folder / "hard_cases.csv")
    together = "".join(prompts)
    for sign in ('"', ",", "\n", "\t", "🎻", "ف", "ה", "酒", "\u200b", "<|endoftext|>"):
        assert sign in together
    assert max(map(len, prompts)) > 500
    assert min(map(len, prompts)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_leaves_the_policy_room(
        prompt_folder: Path, policy: tuple[Any, Any], name: str) -> None:
    model, tokenizer = policy
    for prompt in _read(prompt_folder / name):
        length = len(tokenizer(prompt)["input_ids"])
        assert 1 <= length <= model.config.n_positions - 48
