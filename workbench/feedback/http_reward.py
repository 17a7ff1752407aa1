"""A reward that is asked over HTTP, as remote reward models and judges are.

``{"prompts": [...], "completions": [...]}`` is posted as JSON, with a list for each column of the
prompts; ``{"scores": [...]}`` comes back (``rewards``, as OpenRLHF's servers name them, or the list
alone). A score of null says that the reward does not apply to a completion.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import requests
import torch
from requests.adapters import HTTPAdapter
from torch import Tensor
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

from workbench.feedback.call_thread import CallThread
from workbench.feedback.reward_server import AT_ONCE, KEY, check_url, is_loopback, url_name
from workbench.feedback.reward_text import RewardError
from workbench.models.control import Control
from workbench.models.phases import Phase
from workbench.models.sources import LoadError
from workbench.records import Exchange

_CONNECT, _READ = 10, 300  # seconds
_AGAIN = (429, 500, 502, 503, 504)
_SHOWN, _MOST_DETAILS = 80, 2_000


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
        self._timeout = timeout
        self._session = requests.Session()
        again = Retry(retries, backoff_factor=backoff, status_forcelist=_AGAIN,
                      allowed_methods=None, raise_on_status=False)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=again))
        # A proxy cannot reach this machine's own addresses.
        self._session.trust_env = not is_loopback(url)
        self._aside = CallThread()

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
        except _Failure as failure:
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
            except _Failure as failure:
                raise RewardError(
                    f"{self.name} {failure}; see to the server and resume the run.",
                    f"{self.url}\n{failure.details}") from failure
        return torch.tensor(found, dtype=torch.float32)

    def _ask(self, exchanges: Sequence[Exchange], step: Callable[[], object]) -> list[float]:
        columns = {name: [each.columns.get(name) for each in exchanges]
                   for name in dict.fromkeys(n for each in exchanges for n in each.columns)}
        sent = columns | {"prompts": [each.prompt for each in exchanges],
                          "completions": [each.completion for each in exchanges]}
        call = self._aside.call(partial(self._post, sent), step)
        try:
            answer = call.outcome()
        except requests.ConnectionError as error:
            late = isinstance(_innermost(error), ReadTimeoutError | TimeoutError)
            raise _Failure(f"did not answer within {self._timeout[1]:g} seconds" if late else
                           f"cannot be reached ({_why(error)})", error) from error
        except (requests.RequestException, ValueError) as error:
            raise _Failure(f"was not asked ({_short(str(error))})", error) from error
        assert isinstance(answer, requests.Response)
        return _read(answer, len(exchanges))

    def _post(self, sent: dict[str, Any]) -> requests.Response:
        key = os.environ.get(KEY)
        # What the person agreed to is this address and none that it names.
        return self._session.post(
            self.url, json=sent, timeout=self._timeout, allow_redirects=False,
            headers={"Authorization": f"Bearer {key}"} if key else None)


def _read(answer: requests.Response, wanted: int) -> list[float]:
    """Return the ``wanted`` scores of an answer; NaN for those that are null."""
    if answer.is_redirect:
        raise _Failure(f"sends on to {answer.headers.get('Location', 'another address')}, which "
                       "you have not agreed to ask", answer)
    if not answer.ok:
        raise _Failure(f"answered {answer.status_code} ({answer.reason})", answer)
    try:
        found = answer.json()
    except ValueError as error:
        raise _Failure("answered what is no JSON", answer) from error
    if isinstance(found, dict):
        found = found.get("scores", found.get("rewards"))
    if not isinstance(found, list):
        raise _Failure("answered without a list of scores", answer)
    if len(found) != wanted:
        raise _Failure(f"answered with {len(found):,} scores for {wanted:,} completions", answer)
    return [_number(value, answer) for value in found]


def _number(value: object, answer: requests.Response) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Failure(f"gave {_short(repr(value))}, which is no number", answer)
    try:
        number = float(torch.tensor(float(value), dtype=torch.float32))
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Failure(f"gave {_short(repr(value))}, which is no finite number", answer)
    return number


class _Failure(Exception):  # noqa: N818 - becomes a RewardError
    """What the server did wrong, and what is known of it."""

    def __init__(self, problem: str, about: requests.Response | Exception) -> None:
        super().__init__(problem)
        self.details = (about.text[:_MOST_DETAILS] if isinstance(about, requests.Response)
                        else f"{type(about).__name__}: {about}")


def _innermost(error: requests.ConnectionError) -> object:
    """Return what requests and urllib3 have wrapped."""
    found: object = error.args[0] if error.args else error
    return getattr(found, "reason", None) or found


def _why(error: requests.ConnectionError) -> str:
    found: object = _innermost(error)
    if isinstance(found, BaseException) and isinstance(found.__cause__, OSError):
        found = found.__cause__.strerror or found.__cause__
    return _short(str(found).rpartition(": ")[2] or type(found).__name__)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN - 1].rstrip()}…"
