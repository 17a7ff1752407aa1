"""Runs with tiny models, and what their policies write when they are tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from helpers.client import Client

from workbench.ppo.hyperparameters import parse
from workbench.training import commands as do
from workbench.training import events as ev

PROMPTS = (do.PromptItem("one"), do.PromptItem("two"), do.PromptItem("three"))
CURRENT, START = do.TrySource("current"), do.TrySource("start")


def start(*, step: bool = False, **settings: Any) -> do.Start:
    """Return the command that begins a run of PPO."""
    return do.Start(parse({
        "num_cycles": 4, "batch_size": 4, "response_length": 6, "learning_rate": 1e-2,
        "kl_coef": 0.05, "comparison_prompts": 2, "checkpoint_every": 1, "keep_checkpoints": 9,
        **settings}), PROMPTS, step=step)


def attempt(
    client: Client, *sources: do.TrySource, prompts: Sequence[str] = ("one", "hello there"),
    **settings: Any,
) -> list[list[str]]:
    """Try and return the texts by source."""
    client.send(do.Try(7, tuple(prompts), sources, **{"length": 8, **settings}))
    client.wait(ev.TryStarted)
    seen = len(client.seen)
    assert not client.wait(ev.TryFinished).stopped
    scored = [e for e in client.seen[seen:] if isinstance(e, ev.TryScored)]
    assert [e.source for e in scored] == list(range(len(sources)))
    return [[c.text for c in e.completions] for e in scored]
