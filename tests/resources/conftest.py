"""The bundled models, loaded once, and the way to the grammar that made them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

ROOT = Path(__file__).resolve().parents[2]
MAKE = ROOT / "resources" / "make"


@pytest.fixture(scope="session")
def models() -> Path:
    return ROOT / "resources" / "models"


@pytest.fixture(scope="session")
def prompt_folder() -> Path:
    return ROOT / "sample_prompts"


@pytest.fixture(scope="session")
def policy(models: Path) -> tuple[Any, Any]:
    folder = models / "policy"
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session")
def reward(models: Path) -> tuple[Any, Any]:
    folder = models / "reward"
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    return model, AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session")
def score(reward: tuple[Any, Any]) -> Any:
    """Scores of texts, one number each."""
    model, tokenizer = reward

    def of(*texts: str) -> list[float]:
        batch = tokenizer(list(texts), return_tensors="pt", padding=True)
        with torch.no_grad():
            return model(**batch).logits[:, 0].tolist()

    return of


@pytest.fixture(scope="session")
def grammar() -> ModuleType:
    """The grammar, imported from the folder that is a program and not a package."""
    sys.path.insert(0, str(MAKE))
    try:
        return importlib.import_module("grammar")
    finally:
        sys.path.remove(str(MAKE))
