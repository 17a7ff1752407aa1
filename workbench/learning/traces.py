"""What happened at every token of a completion, kept for inspection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from workbench.learning.batch import Batch
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.models.sampling import Completions
from workbench.records import Likeliest, TokenTrace

ALTERNATIVES = 5
"""So many of the likeliest tokens are kept with each token."""


def token_traces(
    drawn: Sequence[int], completions: Completions, columns: Mapping[str, Tensor],
    policy_tokenizer: PolicyTokenizer, likeliest: Mapping[str, Tensor] | None = None,
) -> Iterator[TokenTrace]:
    """Yield the trace of every completion of a batch.

    Args:
        drawn: which prompt each is of.
        columns: numbers of every token, (b, T) each; none: there are no traces.
        likeliest: log-probabilities of ``completions.likeliest``, (b, T, k) each, by whom.
    """
    if not columns:
        return
    stacked = torch.stack(list(columns.values())).float().cpu().numpy()
    noted = completions.likeliest
    ids = None if noted is None else noted.cpu().numpy().astype(np.int32)
    others = {by: logprobs.float().cpu().numpy() for by, logprobs in (likeliest or {}).items()}
    for row, (prompt, response) in enumerate(zip(drawn, completions.responses(), strict=True)):
        count = len(response)
        yield TokenTrace(
            row, prompt, np.array(response, dtype=np.int32), policy_tokenizer.pieces(response),
            dict(zip(columns, stacked[:, row, :count], strict=True)),
            None if ids is None else Likeliest(
                ids[row, :count], policy_tokenizer.texts(ids[row, :count].ravel().tolist()),
                {by: logprobs[row, :count] for by, logprobs in others.items()}))


def likeliest_before(completions: Completions, batch: Batch | None) -> dict[str, Tensor]:
    """Return what is known before the update of the tokens that were likeliest: their
    log-probabilities, (b, T, k), by the policy that wrote, and by the start policy once that has
    read the batch."""
    start = None if batch is None else batch.ref_likeliest
    found = {"start": start, "before": completions.likeliest_logprobs}
    return {by: logprobs for by, logprobs in found.items() if logprobs is not None}
