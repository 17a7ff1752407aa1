"""Holding an exported folder against the policy that it was written from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import AutoTokenizer

from workbench.learning.trainer import AnyTrainer
from workbench.models.four_bit import count
from workbench.models.loading import read_policy
from workbench.models.sources import Report

_ROWS, _TOKENS = 3, 32
_TOLERANCE = {"cpu": 1e-3}
_COARSE = 1e-2
"""Of logits whose largest is 1: elsewhere than on CPUs matrix products are rounded otherwise."""


class WrongExportError(Exception):
    """What was written is not the policy. The message is one plain sentence."""


@torch.no_grad()
def check_exported(trainer: AnyTrainer, folder: str, report: Report) -> str:
    """Load what was written as anybody would, and compare its numbers with the policy's.

    Returns:
        one plain sentence on why that was not possible, or on what other programs will read
        otherwise; else nothing.

    Raises:
        WrongExportError: they are others.
        LoadError: it cannot be loaded.
    """
    policy = trainer.policy
    size = 4 * count(policy.model)
    if psutil.virtual_memory().available < 1.2 * size:
        return "There was too little memory to read it back and compare."
    model, tokenizer, _ = read_policy(Path(folder), folder, report)
    _same_tokens(trainer, tokenizer)
    note = _read_elsewhere(trainer, folder)
    report("Comparing what was written with the run", 0.95)
    worst = 0.0
    for ids in [row[:_TOKENS] for row in trainer.prompt_ids[:_ROWS]]:
        batch = torch.tensor([ids])
        with policy.in_full_precision():
            right = policy.logits(policy.hidden_states(batch.to(policy.device))).cpu()
        found = model.eval()(input_ids=batch, use_cache=False).logits.float()
        largest = right[right.isfinite()].abs().max().item()
        same = found == right  # infinite both, where a model forbids a token
        worst = max(worst, (found - right).masked_fill(same, 0).abs().max().item()
                    / max(1.0, largest))
    if not worst <= _TOLERANCE.get(policy.device.type, _COARSE):
        raise WrongExportError(
            f"read back, its logits differ from the run's by {worst:.2g} of the largest")
    return note


def _same_tokens(trainer: AnyTrainer, tokenizer: Any) -> None:
    same_template = tokenizer.chat_template == trainer.policy_tokenizer.tokenizer.chat_template
    if not same_template or not _alike(trainer, tokenizer):
        raise WrongExportError("read back, its tokenizer reads the prompts otherwise")


def _alike(trainer: AnyTrainer, tokenizer: Any) -> bool:
    """Whether a tokenizer reads the prompts as the run's does."""
    texts = [prompt.text[:1000] for prompt in trainer.prompts[:_ROWS]]
    return all(tokenizer(text)["input_ids"] == trainer.policy_tokenizer.tokenizer(text)["input_ids"]
               for text in texts)


def _read_elsewhere(trainer: AnyTrainer, folder: str) -> str:
    """Return a sentence where transformers chooses another tokenizer for the model's kind than its
    tokenizer.json describes, which nothing that can be written there prevents."""
    try:
        same = _alike(trainer, AutoTokenizer.from_pretrained(folder, local_files_only=True))
    except Exception:  # of transformers, or of a vocabulary that it does not expect
        same = False
    return "" if same else (
        "The AutoTokenizer of the installed transformers does not read its tokenizer.json as the "
        f"run did, because the model is of the kind {trainer.policy.model.config.model_type}; read "
        "that with PreTrainedTokenizerFast.")
