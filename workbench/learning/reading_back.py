"""Holding an exported folder against the policy that it was written from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import AutoTokenizer

from workbench.models.four_bit import count
from workbench.models.loading import read_policy
from workbench.models.policy import Policy
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.models.sources import Report
from workbench.records import PromptLike

_ROWS, _TOKENS = 3, 32
_TOLERANCE = {"cpu": 1e-3}
_COARSE = 1e-2
"""Of logits whose largest is 1: elsewhere than on CPUs matrix products are rounded otherwise."""


class WrongExportError(Exception):
    """What was written is not the policy. The message is one plain sentence."""


@torch.no_grad()
def check_policy(
    policy: Policy, policy_tokenizer: PolicyTokenizer, prompts: Sequence[PromptLike],
    prompt_ids: Sequence[Sequence[int]], folder: str, report: Report,
) -> str:
    """Load a policy that was written as anybody would, and compare its numbers with those of
    ``policy`` on some of the ``prompts``, which it reads as ``prompt_ids``.

    Returns:
        one plain sentence on why that was not possible, or on what other programs will read
        otherwise; else nothing.

    Raises:
        WrongExportError: they are others.
        LoadError: it cannot be loaded.
    """
    size = 4 * count(policy.model)
    if psutil.virtual_memory().available < 1.2 * size:
        return "There was too little memory to read it back and compare."
    model, tokenizer, _ = read_policy(Path(folder), folder, report)
    texts = [prompt.text[:1000] for prompt in prompts[:_ROWS]]
    own = policy_tokenizer.tokenizer
    if tokenizer.chat_template != own.chat_template or not _alike(own, tokenizer, texts):
        raise WrongExportError("read back, its tokenizer reads the prompts otherwise")
    note = _read_elsewhere(policy, own, texts, folder)
    report("Comparing what was written with the run", 0.95)
    worst = 0.0
    for ids in [row[:_TOKENS] for row in prompt_ids[:_ROWS]]:
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


def _alike(own: Any, tokenizer: Any, texts: Sequence[str]) -> bool:
    """Whether a tokenizer reads texts as the run's own does."""
    return all(tokenizer(text)["input_ids"] == own(text)["input_ids"] for text in texts)


def _read_elsewhere(policy: Policy, own: Any, texts: Sequence[str], folder: str) -> str:
    """Return a sentence where transformers chooses another tokenizer for the model's kind than its
    tokenizer.json describes, which nothing that can be written there prevents."""
    try:
        found = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        same = _alike(own, found, texts)
    except Exception:  # of transformers, or of a vocabulary that it does not expect
        same = False
    return "" if same else (
        "The AutoTokenizer of the installed transformers does not read its tokenizer.json as the "
        f"run did, because the model is of the kind {policy.model.config.model_type}; read "
        "that with PreTrainedTokenizerFast.")
