"""A few scored completions, and a tiny policy that learns from them by ILQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from helpers.models import Letters, TextReward, make_policy

from workbench.ilql.cycle import ILQLTrainer
from workbench.ilql.hyperparameters import ILQLSettings
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.records import ScoredText, TextPrompt

TEXTS = [ScoredText(TextPrompt(prompt), completion, score, ended) for prompt, completion, score,
         ended in (("A", "BCD", 1.0, True), ("AB", "C", -1.0, False), ("B", "DDDD", 0.5, True),
                   ("CA", "BABA", 2.0, False), ("A", "D", 0.0, True), ("D", "CC", 1.5, True))]


def make(
    texts: Sequence[ScoredText] = TEXTS, **settings: Any
) -> tuple[ILQLTrainer, ILQLSettings]:
    """Return a trainer that has begun, and its settings."""
    hp = ILQLSettings.parse({"batch_size": 6, "steps_per_cycle": 1, "response_length": 6,
                             "num_cycles": 4, "learning_rate": 1e-3, "comparison_prompts": 2,
                             "lr_scheduler_type": "constant", **settings})
    tokenizer = PolicyTokenizer(Letters(), (2,), context_length=64, use_chat_template=False)
    ilql = ILQLTrainer(make_policy(), TextReward(len), tokenizer)
    ilql.learn_from(texts)
    ilql.begin(["A", "B"], hp)
    return ilql, hp


def stir(ilql: ILQLTrainer) -> None:
    """Let heads and targets know something, as they do after some steps."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in ilql.heads.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
