"""A judge in memory that has the taste of the simulated person: a small causal model which learns
it from what that person says of made-up pairs."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from helpers.folders import save_llama, words
from helpers.models import CPU
from helpers.person import Person
from torch.nn.functional import cross_entropy, pad

from workbench.judging.local import LocalJudge
from workbench.judging.questions import Question
from workbench.models.loading import load_policy
from workbench.store.judged import PairToJudge, Side

RUBRIC = "Prefer the shorter answer."
_WORDS = ("the", "tea", "was", "hot", "and", "good", *["unheard"] * 12)
_LONGEST = 30
_BATCH = 32


def save_taught_judge(folder: Path, steps: int = 300, noise: float = 0.1) -> Path:
    """Save the model as a plain folder, and return it: it takes half a minute. It reads a word as a
    token, and learns to count them."""
    save_llama(folder, words("Answer", "A", "B", "A:", "B:", "Prompt:"), hidden_size=64,
               intermediate_size=128, num_key_value_heads=4, max_position_embeddings=512,
               initializer_range=0.02)
    loaded = load_policy(str(folder), CPU, lambda text, share: None)
    judge = LocalJudge("taught", loaded.policy, loaded.policy_tokenizer)
    model, person, chance = loaded.policy.model, Person(noise), random.Random(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in range(steps):
        rows, right = [], []
        while len(rows) < _BATCH:
            # Pairs that anyone tells apart come first: of the others alone it learns nothing.
            pair = _pair(chance, apart=1 - 2 * step / steps)
            if said := person.says(pair.first.text, pair.second.text):
                ids, a, b = judge.tokens(Question(pair, RUBRIC))
                rows.append(torch.tensor(ids))
                right.append(a if said == "first" else b)
        ends = [len(row) - 1 for row in rows]
        ids = torch.stack([pad(row, (0, max(ends) + 1 - len(row))) for row in rows])
        logits = model(ids).logits[range(_BATCH), ends]
        optimizer.zero_grad()
        cross_entropy(logits, torch.tensor(right)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.save_pretrained(folder)
    return folder


def _pair(chance: random.Random, apart: float) -> PairToJudge:
    """Return a pair whose lengths are far ``apart`` with that probability."""
    one, other = chance.randint(1, _LONGEST), chance.randint(1, _LONGEST)
    if chance.random() < apart:
        one, other = chance.randint(1, 6), chance.randint(_LONGEST - 10, _LONGEST)
        if chance.random() < 0.5:
            one, other = other, one
    prompt, first, second = (" ".join(chance.choices(_WORDS, k=number))
                             for number in (chance.randint(1, 15), one, other))
    return PairToJudge(prompt, Side(first), Side(second))
