"""DPO on a tiny random policy of letters, and pairs of known preferences for it."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest
import torch
from helpers.models import Letters, TextReward, make_policy

from workbench.dpo.cycle import DPOTrainer
from workbench.dpo.hyperparameters import DPOSettings
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.records import Pair
from workbench.training import pair_data

SMALL = {"num_cycles": 4, "batch_size": 4, "steps_per_cycle": 2, "response_length": 4,
         "comparison_prompts": 2}


def make_dpo(
    pairs: Sequence[Pair], *, architecture: str = "gpt2", eos: tuple[int, ...] = (),
    reward: Callable[[str], float] = len,
) -> DPOTrainer:
    """Return DPO on a tiny random policy of letters."""
    tokenizer = PolicyTokenizer(Letters(), eos, context_length=64, use_chat_template=False)
    dpo = DPOTrainer(make_policy(architecture), TextReward(reward), tokenizer)
    dpo.learn_from(pairs)
    return dpo


def parse(**settings: object) -> DPOSettings:
    """Return settings of a small run."""
    return DPOSettings.parse({**SMALL, **settings})


@contextmanager
def few_bundled_pairs(folder: Path, number: int = 60) -> Iterator[None]:
    """The first of the bundled pairs are all: it takes seconds to read each of the two thousand."""
    few = folder / "few.jsonl"
    with gzip.open(pair_data.DEFAULT_PAIRS, "rt", encoding="utf-8") as lines:
        few.write_text("".join(islice(lines, number)), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_data, "DEFAULT_PAIRS", few)
        pair_data.bundled_pairs.cache_clear()
        try:
            yield
        finally:
            pair_data.bundled_pairs.cache_clear()


def ragged(number: int = 12) -> list[Pair]:
    """Return pairs of unlike lengths, of half as many prompts."""
    return [Pair("AbC"[: 1 + i % 3] * (1 + i // 4), "x" * (1 + i % 5) + chr(65 + i),
                 "yz" * (1 + i % 3) + chr(66 + i)) for i in range(number)]


def bradley_terry(
    number: int, chances: torch.Tensor, rewards: torch.Tensor, seed: int = 0
) -> list[Pair]:
    """Return pairs of single tokens drawn by ``chances``, each preferred with the chance that the
    logistic function gives the difference of their ``rewards``, (V,) both."""
    random = torch.Generator().manual_seed(seed)
    drawn = chances.multinomial(2 * number, replacement=True, generator=random).view(-1, 2)
    better = torch.rand(number, generator=random) < (
        rewards[drawn[:, 0]] - rewards[drawn[:, 1]]).sigmoid()
    return [Pair("A", chr(32 + (a if first else b)), chr(32 + (b if first else a)),
                 chosen_ended=False, rejected_ended=False)
            for (a, b), first in zip(drawn.tolist(), better.tolist(), strict=True) if a != b]
