"""Asking a server over HTTP: within a time, again after what passes, left at once. No torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

from workbench.feedback.call_thread import CallThread
from workbench.feedback.reward_server import is_loopback

_AGAIN = (429, 500, 502, 503, 504)
_SHOWN, _MOST_DETAILS = 80, 2_000


class FailedRequest(Exception):  # noqa: N818 - becomes an error with a sentence
    """What the server did wrong, as a sentence goes on after its name; ``details`` are what is
    known of it, and ``status`` is what it answered with (0: it did not answer)."""

    def __init__(self, problem: str, about: requests.Response | Exception | None = None) -> None:
        super().__init__(problem)
        answer = about if isinstance(about, requests.Response) else None
        self.status = 0 if answer is None else answer.status_code
        self.details = answer.text[:_MOST_DETAILS] if answer is not None else (
            f"{type(about).__name__}: {about}" if about else problem)


class HTTPAsking:
    """Sends JSON to a server and gives its answers."""

    def __init__(
        self, url: str, key: str, *, retries: int, backoff: float, timeout: tuple[float, float],
        read_again: bool = True,
    ) -> None:
        """Ask the server of ``url``.

        Args:
            key: the environment variable that holds the bearer token, where one is needed.
            retries: how often a request is sent once more that was not answered, or with a status
                that passes (429, 500, 502, 503, 504).
            backoff: seconds before the second retry, twice as many before each one after it.
            timeout: seconds to connect, and without any answer.
            read_again: whether what was not answered in time is sent once more.
        """
        self._key, self._timeout = key, timeout
        self._session = requests.Session()
        again = Retry(retries, read=None if read_again else 0, backoff_factor=backoff,
                      status_forcelist=_AGAIN, allowed_methods=None, raise_on_status=False)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=again))
        # A proxy cannot reach this machine's own addresses.
        self._session.trust_env = not is_loopback(url)
        self._aside = CallThread()

    def ask(self, url: str, sent: dict[str, Any] | None, step: Callable[[], object]) -> Any:
        """Post what is ``sent``, or get where that is None, and return the JSON that comes back.

        Args:
            step: called meanwhile; may raise Interrupted to give up.

        Raises:
            FailedRequest: there was no answer, one that says no, or one that is no JSON.
        """
        call = self._aside.call(partial(self._send, url, sent), step)
        try:
            answer = call.outcome()
        except requests.ConnectionError as error:
            late = isinstance(_innermost(error), ReadTimeoutError | TimeoutError)
            raise FailedRequest(f"did not answer within {self._timeout[1]:g} seconds" if late else
                                f"cannot be reached ({_why(error)})", error) from error
        except (requests.RequestException, ValueError) as error:
            raise FailedRequest(f"was not asked ({shortened(str(error))})", error) from error
        assert isinstance(answer, requests.Response)
        if answer.is_redirect:
            raise FailedRequest(f"sends on to {answer.headers.get('Location', 'another address')}, "
                                "which you have not agreed to ask", answer)
        if not answer.ok:
            raise FailedRequest(f"answered {answer.status_code} ({answer.reason})", answer)
        try:
            return answer.json()
        except ValueError as error:
            raise FailedRequest("answered what is no JSON", answer) from error

    def _send(self, url: str, sent: dict[str, Any] | None) -> requests.Response:
        key = os.environ.get(self._key, "").strip()
        if not (key.isascii() and key.isprintable()):  # or the error would quote it
            raise FailedRequest(f"was not asked: what is in {self._key} is no key")
        # What the person agreed to is this address and none that it names.
        return self._session.request(
            "GET" if sent is None else "POST", url, json=sent, timeout=self._timeout,
            allow_redirects=False, headers={"Authorization": f"Bearer {key}"} if key else None)


def _innermost(error: requests.ConnectionError) -> object:
    """Return what requests and urllib3 have wrapped."""
    found: object = error.args[0] if error.args else error
    return getattr(found, "reason", None) or found


def _why(error: requests.ConnectionError) -> str:
    found: object = _innermost(error)
    if isinstance(found, BaseException) and isinstance(found.__cause__, OSError):
        found = found.__cause__.strerror or found.__cause__
    return shortened(str(found).rpartition(": ")[2] or type(found).__name__)


def shortened(text: str) -> str:
    """Return a text in one line that is not too long for a sentence."""
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN - 1].rstrip()}…"
