"""Runs in the store whose cycles wrote several completions of each prompt, as GRPO learns from
them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

import numpy as np
from helpers.window import DEFAULTS, PROMPTS, completions, metrics

from workbench.ppo.metrics import NO_SPREAD, OF_VALUES
from workbench.records import TokenTrace
from workbench.store.records import CompletionRecord, Prompt
from workbench.store.store import Store

SCORES = ((1.0, 4.0, 2.0, 3.0), (0.5, 0.5, 0.5, 0.5), (-2.0, 0.25, 1.5, -1.0))
"""By prompt: of four completions each, whose means are 2.5, 0.5 and -0.3125."""
GROUP = {"advantage_estimator": "group", "completions_per_prompt": 4, "batch_size": 12}
PRICE = 0.25
"""What each completion pays for its KL."""
PIECES = (" clean", " and", " quiet")


def advantages(scores: Sequence[float], kind: str) -> list[float]:
    """Return the advantages of a group by hand; the same price of all changes nothing."""
    if kind == "leave_one_out":
        return [s - (sum(scores) - s) / (len(scores) - 1) for s in scores]
    return [(s - fmean(scores)) / (stdev(scores) + 1e-4) for s in scores]


def against(scores: Sequence[float], kind: str) -> list[float]:
    """Return what each of a group is held against, KL price included."""
    if kind == "leave_one_out":
        return [(sum(scores) - s) / (len(scores) - 1) - PRICE for s in scores]
    return [fmean(scores) - PRICE] * len(scores)


def learned(cycle: int) -> list[CompletionRecord]:
    return [CompletionRecord(4 * prompt + i, prompt, PROMPTS[prompt], f"{''.join(PIECES)} {i}",
                             score, 0.4, 3, True)
            for prompt, scores in enumerate(SCORES) for i, score in enumerate(scores)]


def traces(kind: str = "group") -> list[TokenTrace]:
    half = np.full(3, math.log(0.5), np.float32)
    found = []
    for prompt, scores in enumerate(SCORES):
        for i, (score, gained, held) in enumerate(zip(
                scores, advantages(scores, kind), against(scores, kind), strict=True)):
            each = np.ones(3, np.float32)
            found.append(TokenTrace(4 * prompt + i, prompt, np.arange(3, dtype=np.int32), PIECES, {
                "logprob": half, "ref_logprob": half, "value": held * each,
                "reward": np.array([0, 0, score - PRICE], np.float32), "advantage": gained * each,
                "return": (score - PRICE) * each, "ratio": each, "entropy": each}))
    return found


def fill(store: Store, cycles: int = 2, keep: int = 10, **settings: object) -> int:
    """Record a run of groups and return its number."""
    used = {**DEFAULTS, **GROUP, **settings}
    run_id = store.create_run(
        name="", policy="/models/policy", reward="/models/reward", models={},
        hyperparameters=used, prompts=[Prompt(text) for text in PROMPTS]).result()
    store.record_comparison(run_id, 0, completions(0)).result()
    for cycle in range(1, cycles + 1):
        record(store, run_id, cycle, keep, str(used["advantage_estimator"]))
    return run_id


def record(store: Store, run_id: int, cycle: int, keep: int = 10, kind: str = "group") -> None:
    numbers = {name: x for name, x in metrics(cycle).items() if name not in OF_VALUES}
    store.record_cycle(
        run_id, cycle, metrics=numbers | {NO_SPREAD: 1 / 3, "val/advantage_std": 1.2},
        rollout=learned(cycle), comparison=completions(cycle), keep_traces=keep,
        traces=traces(kind) if keep else []).result()
