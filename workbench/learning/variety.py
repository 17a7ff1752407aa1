"""How different completions are, by runs of n tokens. No torch."""

from __future__ import annotations

from collections.abc import Sequence

Response = Sequence[int]


def _runs(response: Response, n: int) -> list[tuple[int, ...]]:
    return list(zip(*(response[i:] for i in range(n)), strict=False))


def distinct(responses: Sequence[Response], n: int = 2) -> float:
    """Return distinct-n: the different runs of n tokens in all responses ÷ all runs.

    Li et al., "A Diversity-Promoting Objective Function for Neural Conversation Models" (2016),
    who divide by tokens. 1 where no response has n tokens.
    """
    runs = [run for response in responses for run in _runs(response, n)]
    return len(set(runs)) / len(runs) if runs else 1.0


def repetition(responses: Sequence[Response], n: int = 4) -> float:
    """Return seq-rep-n: 1 - the different runs of n tokens in a response ÷ its runs, on average.

    Welleck et al., "Neural Text Generation with Unlikelihood Training" (2020), section 6.1. 0 for
    a response that has fewer than n tokens.
    """
    shares = [1 - len(set(runs)) / len(runs) if runs else 0.0
              for runs in (_runs(response, n) for response in responses)]
    return sum(shares) / len(shares)
