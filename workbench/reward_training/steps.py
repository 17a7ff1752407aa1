"""Optimiser steps on pairs of rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from workbench.feedback.reward_text import Row
from workbench.models import ranks
from workbench.models.control import Control, NotFiniteError
from workbench.models.device import tokens_at_once
from workbench.models.forward import cut_by_width
from workbench.models.in_place_gradients import in_place_gradients
from workbench.models.phases import Phase
from workbench.models.sharding import shorten_gradients, tables_whole
from workbench.reward_training.hyperparameters import RewardSettings
from workbench.reward_training.model import RewardInTraining
from workbench.reward_training.objective import bradley_terry_loss


def take_steps(
    model: RewardInTraining, optimizer: torch.optim.Optimizer, rows: Sequence[Row],
    margins: Sequence[float], settings: RewardSettings, cycle: int, control: Control,
) -> tuple[Tensor, Tensor, list[float]]:
    """Learn from pairs, ``batch_size`` in each step. The loss of a step is the mean over its pairs,
    however it is cut into micro-batches.

    Args:
        rows: of each pair the chosen one, then the rejected one.
        margins: of each pair.

    Returns:
        the scores (2n,) and the losses (n,), each as found before its pair's step, and the length
        of each step's gradient.

    Raises:
        Interrupted: ``control`` asked to end.
        NotFiniteError: a gradient is not a number; it was not applied.
    """
    scores = torch.zeros(len(rows), device=model.device)
    losses = torch.zeros(len(margins), device=model.device)
    asked = torch.tensor(margins, device=model.device) if settings.use_margins else None
    steps = math.ceil(len(margins) / settings.batch_size)
    norms = []
    control.step(Phase.UPDATING, 0, steps)
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        pairs = range(len(margins))[step * settings.batch_size : (step + 1) * settings.batch_size]
        control.step(Phase.UPDATING, step, steps)
        with tables_whole(model, learn=True), in_place_gradients(model):
            for within, found in model.score_pairs(
                    rows[2 * pairs.start : 2 * pairs.stop], settings.micro_batch_tokens):
                some = torch.tensor([pairs[p] for p in within], dtype=torch.long)
                both = torch.stack([2 * some, 2 * some + 1], dim=1).flatten()
                lost, _ = bradley_terry_loss(
                    found[0::2], found[1::2], margin=None if asked is None else asked[some],
                    centering=settings.centering)
                if lost.requires_grad:  # of a part that another rank has it has none
                    (lost.sum() / len(pairs)).backward()
                scores[both], losses[some] = found.detach(), lost.detach()
                control.step(Phase.UPDATING, step, steps)
        parameters = [p for p in model.parameters() if p.requires_grad]
        ranks.sum_gradients(parameters)
        norm = shorten_gradients(parameters, settings.max_grad_norm or float("inf"))
        norms.append(norm.item())
        if not math.isfinite(norms[-1]):
            raise NotFiniteError(
                f"The gradient of cycle {cycle} is not a finite number; it was not applied. "
                "Lower the learning rate.")
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    ranks.sum_(scores, losses)
    control.step(Phase.UPDATING, steps, steps)
    return scores, losses, norms


@torch.no_grad()
def read_pairs(
    model: RewardInTraining, rows: Sequence[Row], settings: RewardSettings, control: Control
) -> Tensor:
    """Return the scores of the rows of pairs, the two of each in turn, (2n,) on the CPU.

    Raises:
        Interrupted: ``control`` asked to end.
    """
    scores, done = torch.zeros(len(rows)), 0
    if not rows:
        return scores
    control.step(Phase.EVALUATING, 0, len(rows))
    with tables_whole(model):
        for pairs, found in model.score_pairs(rows, settings.micro_batch_tokens):
            some = torch.tensor(pairs, dtype=torch.long)
            scores[torch.stack([2 * some, 2 * some + 1], dim=1).flatten()] = found.cpu()
            done += len(found)
            control.step(Phase.EVALUATING, done, len(rows))
    ranks.sum_on_host(scores)
    return scores


@torch.no_grad()
def read_scores(
    model: RewardInTraining, rows: Sequence[Row], settings: RewardSettings, control: Control,
    phase: Phase,
) -> Tensor:
    """Return the scores of rows, (n,) on the CPU.

    Raises:
        Interrupted: ``control`` asked to end.
    """
    scores = torch.zeros(len(rows))
    own = ranks.share([len(row.ids) for row in rows])
    with tables_whole(model):
        for done, some in _batches([rows[i] for i in own], model, settings):
            control.step(phase, done, len(rows))
            places = [own[i] for i in some]
            scores[places] = model.scores([rows[i] for i in places]).cpu()
    ranks.sum_on_host(scores)
    return scores


def read_token_scores(
    model: RewardInTraining, rows: Sequence[Row], settings: RewardSettings, control: Control,
    phase: Phase,
) -> list[Tensor]:
    """Return the score up to each token of rows, (L,) each, on the CPU.

    Raises:
        Interrupted: ``control`` asked to end.
    """
    found: dict[int, Tensor] = {}
    with tables_whole(model):
        for done, some in _batches(rows, model, settings):
            control.step(phase, done, len(rows))
            found |= zip(some, model.token_scores([rows[i] for i in some]), strict=True)
    return [found[i] for i in range(len(rows))]


def _batches(
    rows: Sequence[Row], model: RewardInTraining, settings: RewardSettings
) -> Iterator[tuple[int, list[int]]]:
    """Yield how many rows are done, and the places of the next."""
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i].ids))
    cuts = list(cut_by_width([len(rows[i].ids) for i in order], tokens_at_once(
        settings.micro_batch_tokens, model.device)))
    wanting = ranks.most(len(cuts)) - len(cuts)
    first = 0
    for count, _ in cuts:
        yield first, order[first : first + count]
        first += count
    yield from ((first, []) for _ in range(wanting))
