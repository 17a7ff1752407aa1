"""A cycle's completions with all that is known of them, and the metrics every algorithm reports."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.learning.metrics import DISTINCT_2, REPETITION, part_metric
from workbench.learning.variety import distinct, repetition
from workbench.models.control import NotFiniteError
from workbench.models.sampling import Completions
from workbench.records import Completion

LOG_UNLIKELY = math.log(0.001)
"""A token whose log-probability is lower the start policy would almost never write."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A cycle's completions with all that is known of them before the update.

    ``drawn`` says which prompt each is of; ``scores`` is (b,), ``ref_logprobs``, by the start
    policy, and ``kl`` (b, T); ``ref_likeliest``, (b, T, k), are its log-probabilities of
    ``completions.likeliest``.
    """

    drawn: Sequence[int]
    completions: Completions
    written: list[Completion]
    scores: Tensor
    parts: Mapping[str, Tensor]
    ref_logprobs: Tensor
    kl: Tensor
    ref_likeliest: Tensor | None = None


def check_finite(batch: Batch, cycle: int) -> None:
    """Make sure that a batch can be learned from.

    Raises:
        NotFiniteError: a log-probability or a score is not a number.
    """
    for what, numbers, cause in (
        ("log-probability", batch.completions.logprobs, "Lower the learning rate."),
        ("score", batch.scores, "Check the reward model."),
    ):
        if not bool(torch.isfinite(numbers).all()):
            raise NotFiniteError(
                f"A {what} of cycle {cycle} is not a finite number; the policy was left as it "
                f"was before the cycle. {cause}", intact=what == "score")


def measure(batch: Batch) -> dict[str, float]:
    """Return the metrics of a batch that every algorithm reports."""
    completions, scores, mask = batch.completions, batch.scores, batch.completions.mask
    unlikely = (batch.ref_logprobs < LOG_UNLIKELY).float()
    responses = completions.responses()
    return {
        "objective/scores": scores.mean().item(),
        "objective/scores_std": scores.std(unbiased=False).item(),
        "objective/kl": batch.kl.sum(dim=1).mean().item(),
        "objective/entropy": -completions.logprobs.sum(dim=1).mean().item(),
        "objective/unlikely": ((unlikely * mask).sum() / mask.sum()).item(),
        "objective/length": completions.lengths.float().mean().item(),
        "objective/distinct": len({w.text for w in batch.written}) / len(batch.written),
        DISTINCT_2: distinct(responses),
        REPETITION: repetition(responses),
        "objective/cut": sum(w.cut for w in batch.written) / len(batch.written),
        "val/num_eos_tokens": float(completions.ended.sum()),
    } | {part_metric(name): part.nanmean().item() for name, part in batch.parts.items()}
