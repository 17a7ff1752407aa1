"""What happened at every token of a completion, kept for inspection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.models.sampling import Completions
from workbench.records import TokenTrace


def token_traces(
    drawn: Sequence[int], completions: Completions, columns: Mapping[str, Tensor],
    policy_tokenizer: PolicyTokenizer,
) -> Iterator[TokenTrace]:
    """Yield the trace of every completion of a batch.

    Args:
        drawn: which prompt each is of.
        columns: numbers of every token, (b, T) each; none: there are no traces.
    """
    if not columns:
        return
    stacked = torch.stack(list(columns.values())).float().cpu().numpy()
    for row, (prompt, response) in enumerate(zip(drawn, completions.responses(), strict=True)):
        yield TokenTrace(
            row, prompt, np.array(response, dtype=np.int32), policy_tokenizer.pieces(response),
            dict(zip(columns, stacked[:, row, : len(response)], strict=True)))
