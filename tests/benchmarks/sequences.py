"""How long each response is, the same on every side.

Untrained models would end a response by chance. So that all sides compute the same amount, the
lengths come from a seeded list: the end-of-sequence token is drawn where the list says and nowhere
else. Everything around the draw is the side's own.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import torch
from work import EOS, PAD, SHAPES, Work, word


def lengths(work: Work, cycle: int) -> list[int]:
    """Return the response length of every row: all full, or half on average. Of pairs, the chosen
    and the rejected one in turn, and of marked completions, the same in every cycle."""
    if work.algorithm in ("dpo", "reward"):
        return [len(ids) for pair in pairs(work) for ids in pair[1:]]
    if work.algorithm == "kto":
        return [len(completion) for _, completion, _ in marks(work)]
    if not work.ragged:
        return [work.response_length] * work.rows
    draw = random.Random(f"{work.seed} {cycle}")
    return [draw.randint(1, work.response_length - 1) for _ in range(work.rows)]


def steer_uniforms(work: Work, cycle: int, uniforms: torch.Tensor) -> torch.Tensor:
    """Bend (rows, T) uniform numbers so that inverting the distribution function obeys the list.

    The end-of-sequence and padding tokens have ids 0 and 1, so they own the lowest numbers.
    """
    margin = 0.05
    bent = margin + (1 - margin) * uniforms
    for row, length in enumerate(lengths(work, cycle)):
        if length < work.response_length:
            bent[row, length - 1] = 0.0
    return bent


@contextlib.contextmanager
def steer_multinomial(
    work: Work, cycle: int, forced: torch.Tensor | None = None
) -> Iterator[None]:
    """Make ``torch.multinomial``, with which ``generate`` draws, obey the list.

    Args:
        forced: (rows, T) whole responses to draw instead, for comparing numbers.
    """
    original, step = torch.multinomial, 0
    stops = torch.tensor(lengths(work, cycle)) - 1
    if not work.ragged:
        stops[:] = -1

    def draw(probabilities: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        nonlocal step
        chosen = original(probabilities, *args, **kwargs)
        if forced is not None:
            chosen = forced[:, step : step + 1].clone()
        else:
            chosen[(chosen == EOS) | (chosen == PAD)] = PAD + 1
            chosen[stops == step] = EOS
        step += 1
        return chosen

    torch.multinomial = draw
    try:
        yield
    finally:
        torch.multinomial = original


def prompt_ids(work: Work) -> list[list[int]]:
    """Return the token ids of every prompt."""
    draw = random.Random(work.seed)
    vocabulary = SHAPES[work.shape].vocabulary
    return [[draw.randrange(2, vocabulary) for _ in range(work.prompt_length)]
            for _ in range(work.rows // work.group)]


def pairs(work: Work) -> list[tuple[list[int], list[int], list[int]]]:
    """Return the token ids of prompt, chosen and rejected completion of every pair; completions end
    with the end-of-sequence token."""
    draw = random.Random(f"pairs {work.seed}")
    vocabulary, most = SHAPES[work.shape].vocabulary, work.response_length

    def completion() -> list[int]:
        length = draw.randint(2, most - 1) if work.ragged else most
        return [*(draw.randrange(2, vocabulary) for _ in range(length - 1)), EOS]

    return [(ids, completion(), completion()) for ids in prompt_ids(work)]


def marks(work: Work) -> list[tuple[list[int], list[int], bool]]:
    """Return the token ids of prompt and completion of every completion, and whether it is good:
    every other one. The last prompt comes first, so that the row above has the next prompt."""
    rows = [(prompt, one, i % 2 == 0) for i, (prompt, one, _) in enumerate(pairs(work))]
    return sorted(rows, reverse=True)


def text(ids: list[int]) -> str:
    """Return the text that the benchmark's tokenizer reads as ``ids``."""
    return " ".join(map(word, ids))
