"""A judge at any server that speaks OpenAI's chat completions. No torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.feedback.http_asking import FailedRequest, HTTPAsking
from workbench.feedback.reward_server import url_name
from workbench.judging.judge import JudgeError
from workbench.judging.questions import Answer, Question, answer_of
from workbench.judging.server import KEY, RETRIES, base_of, name_at

_MOST_TOKENS = 1024
_REFUSED = (401, 402, 403, 404, 405)
"""What a server says of any request, if it says it of one."""


class RemoteJudge:
    """Asks a server's model for a verdict in words, without chance (temperature 0)."""

    def __init__(
        self, url: str, model: str = "", *, backoff: float = 1.0,
        timeout: tuple[float, float] = (10, 300),
    ) -> None:
        """Ask ``model`` at ``url``, before ``/v1/chat/completions`` or with it.

        Args:
            backoff: seconds before the second retry, twice as many before the one after it.
            timeout: seconds to connect, and without any answer.

        Raises:
            LoadError: it is no address that can be asked.
        """
        self.base, self.model = base_of(url), model.strip()
        # What was not answered in time may still be computed: another would only wait behind it.
        self._asking = HTTPAsking(self.base, KEY, retries=RETRIES, backoff=backoff,
                                  timeout=timeout, read_again=False)

    @property
    def name(self) -> str:
        """The model and the server."""
        return name_at(self.model, self.base)

    def choose_model(self, step: Callable[[], object]) -> None:
        """Take the first model that the server names, where none is chosen.

        Raises:
            JudgeError: it names none.
        """
        if self.model:
            return
        try:
            found = self._asking.ask(f"{self.base}/v1/models", None, step)
            self.model = str(found["data"][0]["id"])
        except FailedRequest as failure:
            raise self._stop(failure) from failure
        except (KeyError, IndexError, TypeError) as error:
            raise JudgeError(f"{url_name(self.base)} names no model; say which is to judge."
                             ) from error

    def ask(self, question: Question, step: Callable[[], object]) -> Answer:
        """Return what the model says of a pair in one order."""
        try:
            found = self._asking.ask(f"{self.base}/v1/chat/completions", {
                "model": self.model, "temperature": 0, "max_tokens": _MOST_TOKENS,
                "messages": [{"role": "user", "content": question.for_server}]}, step)
        except FailedRequest as failure:
            if failure.status in _REFUSED:
                raise self._stop(failure) from failure
            return Answer(problem=str(failure), answered=False)
        return _read(found)

    def _stop(self, failure: FailedRequest) -> JudgeError:
        key = f" It may want a key, in the environment variable {KEY}." if (
            failure.status in (401, 403)) else ""
        return JudgeError(f"{url_name(self.base)} {failure}; see to the server and ask again.{key}")


def _read(found: Any) -> Answer:
    try:
        choice = found["choices"][0]
        text, ended = choice["message"]["content"], choice.get("finish_reason") != "length"
    except (KeyError, IndexError, TypeError, AttributeError):
        return Answer(problem="no answer in what came back")
    if not ended:
        return Answer(problem=f"no end within {_MOST_TOKENS:,} tokens")
    return answer_of(text if isinstance(text, str) else "")
