"""KTO on a tiny random policy of letters, and completions marked good or bad for it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from helpers.models import Letters, TextReward, make_policy

from workbench.kto.cycle import KTOTrainer
from workbench.kto.hyperparameters import KTOSettings
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.records import ScoredText, TextPrompt

SMALL = {"num_cycles": 4, "batch_size": 4, "steps_per_cycle": 2, "response_length": 4,
         "comparison_prompts": 2}


def make_kto(
    texts: Sequence[ScoredText], *, architecture: str = "gpt2", eos: tuple[int, ...] = (),
    context_length: int = 64,
) -> KTOTrainer:
    """Return KTO on a tiny random policy of letters."""
    tokenizer = PolicyTokenizer(
        Letters(), eos, context_length=context_length, use_chat_template=False)
    kto = KTOTrainer(make_policy(architecture), TextReward(len), tokenizer)
    kto.learn_from(texts)
    return kto


def parse(**settings: object) -> KTOSettings:
    """Return settings of a small run."""
    return KTOSettings.parse({**SMALL, **settings})


def marked(prompt: str, completion: str, score: float, *, ended: bool = True) -> ScoredText:
    """Return one completion."""
    return ScoredText(TextPrompt(prompt), completion, score, ended)


def ragged(number: int = 12) -> list[ScoredText]:
    """Return completions of unlike lengths, of half as many prompts, half of them good."""
    return [marked("AbC"[: 1 + i % 3] * (1 + i // 4), "xyz"[i % 3] * (1 + i % 5) + chr(65 + i),
                   float(i % 2)) for i in range(number)]


def drawn(number: int, chances: torch.Tensor, good: torch.Tensor, seed: int = 0
          ) -> list[ScoredText]:
    """Return single tokens after one prompt, drawn by ``chances``, (V,), and marked by whether they
    are ``good``, (V,) bool."""
    random = torch.Generator().manual_seed(seed)
    tokens = chances.multinomial(number, replacement=True, generator=random).tolist()
    return [marked("A", chr(32 + token), float(good[token]), ended=False) for token in tokens]
