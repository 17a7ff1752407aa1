"""A trained reward model as a plain folder of transformers."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification

from workbench.feedback.loading import load_reward
from workbench.learning.reading_back import WrongExportError
from workbench.models.device import Placement
from workbench.models.sources import Report
from workbench.records import Exchange
from workbench.reward_training.model import RewardInTraining

_TOLERANCE = {"cpu": 1e-3}
_COARSE = 2e-2
"""Elsewhere than on CPUs matrix products are rounded otherwise."""


def save(model: RewardInTraining, folder: str, mean: float, deviation: float) -> None:
    """Save a reward model whose scores are (r - mean)÷deviation, and its tokenizer. Its
    configuration says under ``ppo_workbench`` how it reads and what it was standardised by.

    Raises:
        OSError: the folder cannot be written.
    """
    config = model.reward.config
    plain = contextlib.nullcontext(True)
    with plain if (mean, deviation) == (0.0, 1.0) else model.standardised(
            mean, deviation) as held:
        config.ppo_workbench = {
            "reads": model.reader.reads, "end_token": model.end_token, "mean": mean,
            "deviation": deviation, "mean_held": held}
        try:
            model.save(folder)
        finally:
            del config.ppo_workbench
    _own_tokenizer(model).save_pretrained(folder)


def check_exported(
    model: RewardInTraining, folder: str, exchanges: Sequence[Exchange], mean: float,
    deviation: float, report: Report,
) -> str:
    """Load what was written by plain transformers and as a reward, and hold both against the
    model, which is not standardised itself.

    Returns:
        a sentence where the mean could not be held; else nothing.

    Raises:
        WrongExportError: the scores are others.
        LoadError: it cannot be loaded.
    """
    rows = model.reader.read(exchanges)
    with torch.no_grad(), model.in_full_precision():
        right = ((torch.cat([model.scores([row]) for row in rows]) - mean) / deviation).cpu()
    loaded = load_reward(folder, Placement(torch.device("cpu"), torch.float32), report)
    if [row.ids for row in loaded.reward.reader.read(exchanges)] != [row.ids for row in rows]:
        raise WrongExportError("read back, it reads the pairs otherwise")
    report("Comparing what was written with the run", 0.95)
    plain = AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32).eval()
    with torch.no_grad():
        found = torch.cat([plain(torch.tensor([row.ids])).logits[:, 0] for row in rows])
    held = plain.config.ppo_workbench["mean_held"]
    if not held:
        right = right + mean / deviation
    worst = max((found - right).abs().max().item(), (loaded.reward.classifier.score(
        rows, lambda _: None) - found).abs().max().item())
    if not worst <= _TOLERANCE.get(model.device.type, _COARSE) * max(
            1.0, right.abs().max().item()):
        raise WrongExportError(f"read back, its scores differ from the run's by {worst:.2g}")
    return "" if held else (
        f"Its scores have deviation 1 on the policy's completions, but their mean of "
        f"{mean / deviation:.2f} stays: this architecture has no bias to hold another.")


def _own_tokenizer(model: RewardInTraining) -> Any:
    """Return the tokenizer with the padding token that the model knows."""
    tokenizer = model.reader.tokenizer
    padding = model.reward.config.get_text_config().pad_token_id
    if tokenizer.pad_token_id is not None or padding is None:
        return tokenizer
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(padding)
    return tokenizer
