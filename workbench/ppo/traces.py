"""What happened at every token of a completion, kept for inspection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.models.sampling import Completions
from workbench.ppo.loss import Experience
from workbench.ppo.objective import probability_ratio
from workbench.records import TokenTrace


def trace(
    drawn: Sequence[int], experience: Experience, rewards: Tensor, logprobs_after: Tensor,
    policy_tokenizer: PolicyTokenizer,
) -> Iterator[TokenTrace]:
    """Yield the trace of every completion of a cycle; all tensors (b, T).

    Its columns: ``value`` is that of the state in which the token was chosen; ``advantage`` is the
    one that entered the loss; ``ratio`` is measured after the cycle's last update; ``entropy`` is
    that of the distribution the token was drawn from; ``reward`` is what GAE saw.
    """
    completions: Completions = experience.completions
    columns = {
        "logprob": completions.logprobs,
        "ref_logprob": experience.ref_logprobs,
        "value": completions.values,
        "reward": rewards,
        "advantage": experience.advantages,
        "return": experience.returns,
        "ratio": probability_ratio(logprobs_after, completions.logprobs),
        "entropy": completions.entropies,
    }
    stacked = torch.stack(list(columns.values())).float().cpu().numpy()
    for row, (prompt, response) in enumerate(zip(drawn, completions.responses(), strict=True)):
        numbers = stacked[:, row, : len(response)]
        yield TokenTrace(
            row, prompt, np.array(response, dtype=np.int32), policy_tokenizer.pieces(response),
            dict(zip(columns, numbers, strict=True)))
