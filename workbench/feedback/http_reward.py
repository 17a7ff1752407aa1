"""A reward that is asked over HTTP, as remote reward models and judges are.

``{"prompts": [...], "completions": [...]}`` is posted as JSON, with a list for each column of the
prompts; ``{"scores": [...]}`` comes back (``rewards``, as OpenRLHF's servers name them, or the list
alone). A score of null says that the reward does not apply to a completion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from workbench.feedback.http_asking import FailedRequest, HTTPAsking, shortened
from workbench.feedback.reward_server import AT_ONCE, KEY, check_url, url_name
from workbench.feedback.reward_text import RewardError
from workbench.models.control import Control
from workbench.models.phases import Phase
from workbench.models.sources import LoadError
from workbench.records import Exchange

_CONNECT, _READ = 10, 300  # seconds
_MOST_DETAILS = 2_000


class HTTPReward:
    """Scores completions by asking a server for them."""

    abstains = True
    """Whether NaN says that it does not apply to a completion."""

    def __init__(
        self, url: str, *, retries: int = 4, backoff: float = 0.5,
        timeout: tuple[float, float] = (_CONNECT, _READ),
    ) -> None:
        """Ask ``url``, which :func:`check_url` takes.

        Args:
            retries: how often a request is sent once more that was not answered, or with a status
                that passes (429, 500, 502, 503, 504).
            backoff: seconds before the second retry, twice as many before each one after it.
            timeout: seconds to connect, and without any answer.
        """
        check_url(url)
        self.url = url
        self._asking = HTTPAsking(url, KEY, retries=retries, backoff=backoff, timeout=timeout)

    @property
    def name(self) -> str:
        """Host and path of the server."""
        return url_name(self.url)

    def try_out(self, step: Callable[[], object]) -> None:
        """Ask for the score of a short completion.

        Args:
            step: called meanwhile; may raise Interrupted to give up.

        Raises:
            LoadError: there was none.
        """
        try:
            self._ask([Exchange("The tea was", " good.", "The tea was good.")], step)
        except FailedRequest as failure:
            raise LoadError(f"{self.name} {failure}; see to the server and load again."
                            ) from failure

    def score(
        self, exchanges: Sequence[Exchange], *, control: Control, phase: Phase = Phase.SCORING
    ) -> Tensor:
        """Return one float32 score a completion, (b,), on the CPU; NaN where the reward does not
        apply.

        Raises:
            RewardError: the server could not be reached, or gave what are no scores.
        """
        found: list[float] = []
        while len(found) < len(exchanges):
            step = partial(control.step, phase, len(found), len(exchanges))
            step()
            try:
                found += self._ask(exchanges[len(found):len(found) + AT_ONCE], step)
            except FailedRequest as failure:
                raise RewardError(
                    f"{self.name} {failure}; see to the server and resume the run.",
                    f"{self.url}\n{failure.details}") from failure
        return torch.tensor(found, dtype=torch.float32)

    def _ask(self, exchanges: Sequence[Exchange], step: Callable[[], object]) -> list[float]:
        columns = {name: [each.columns.get(name) for each in exchanges]
                   for name in dict.fromkeys(n for each in exchanges for n in each.columns)}
        sent = columns | {"prompts": [each.prompt for each in exchanges],
                          "completions": [each.completion for each in exchanges]}
        return _read(self._asking.ask(self.url, sent, step), len(exchanges))


def _read(answer: Any, wanted: int) -> list[float]:
    """Return the ``wanted`` scores of an answer; NaN for those that are null."""
    found = answer.get("scores", answer.get("rewards")) if isinstance(answer, dict) else answer
    if not isinstance(found, list):
        raise _wrong("answered without a list of scores", answer)
    if len(found) != wanted:
        raise _wrong(f"answered with {len(found):,} scores for {wanted:,} completions", answer)
    return [_number(value, answer) for value in found]


def _number(value: object, answer: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(f"gave {shortened(repr(value))}, which is no number", answer)
    try:
        number = float(torch.tensor(float(value), dtype=torch.float32))
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _wrong(f"gave {shortened(repr(value))}, which is no finite number", answer)
    return number


def _wrong(problem: str, answer: Any) -> FailedRequest:
    failed = FailedRequest(problem)
    failed.details = repr(answer)[:_MOST_DETAILS]
    return failed
