"""Runs in the store whose cycles kept tokens."""

from __future__ import annotations

import math

import numpy as np
from helpers.window import DEFAULTS, PROMPTS, completions, metrics

from workbench.records import TokenTrace
from workbench.store.records import CompletionRecord, Prompt
from workbench.store.store import Store

PIECES = (" clean", " and", " loud", ".")


def trace(
    position: int = 0, prompt: int = 0, advantage: float = 1.0, tokens: int = 4
) -> TokenTrace:
    """Four tokens, or the first of them: the third has a value that falls and a ratio that the
    clip holds."""
    half, floats = math.log(0.5), np.float32
    numbers = {
        "logprob": np.array([half, math.log(0.999), math.log(0.25), half], floats),
        "ref_logprob": np.array([math.log(0.25), math.log(0.999), half, half], floats),
        "value": np.array([0.34, 1.23, 1.2, 0.8], floats),
        "reward": np.array([0, 0, 0, 1.87], floats),
        "advantage": np.array([advantage, 0.9, -0.7, 0.02], floats),
        "return": np.array([1.87, 1.87, 1.87, 1.87], floats),
        "ratio": np.array([1.1, 1.0, 0.75, 1.0], floats),
        "entropy": np.array([1.5, 0.01, 1.4, 0.7], floats)}
    return TokenTrace(position, prompt, np.arange(tokens, dtype=np.int32), PIECES[:tokens],
                      {name: column[:tokens] for name, column in numbers.items()})


def learned(cycle: int) -> list[CompletionRecord]:
    return [CompletionRecord(i, i, text, "".join(PIECES), score, 0.4, 4, True)
            for i, (text, score) in enumerate(zip(PROMPTS, (0.5, 1.87, -1.34), strict=True))]


def fill(store: Store, cycles: int = 3, keep: int = 10, tokens: int = 4) -> int:
    run_id = store.create_run(
        name="", policy="/models/policy", reward="/models/reward", models={},
        hyperparameters=DEFAULTS,
        prompts=[Prompt(text) for text in PROMPTS]).result()
    store.record_comparison(run_id, 0, completions(0)).result()
    for cycle in range(1, cycles + 1):
        record(store, run_id, cycle, keep, tokens)
    return run_id


def record(store: Store, run_id: int, cycle: int, keep: int = 10, tokens: int = 4) -> None:
    store.record_cycle(
        run_id, cycle, metrics=metrics(cycle), rollout=learned(cycle),
        comparison=completions(cycle), keep_traces=keep,
        traces=[trace(i, i, tokens=tokens) for i in range(3)] if keep else []).result()
