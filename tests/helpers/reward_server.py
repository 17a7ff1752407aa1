"""A server that scores completions or judges, and can fail in every way that servers do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class RewardServer(ThreadingHTTPServer):
    """Answers with ``answers``, one after the other, each a status and what is sent; then with what
    ``reply`` makes of what was posted. None: it does not answer before it is closed."""

    daemon_threads = True

    def __init__(self, reply: Callable[[Any], Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply = reply
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.answers: list[tuple[int, Any] | None] = []
        self.closing = threading.Event()
        self.hanging = threading.Event()
        """Whether somebody waits for an answer."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}/score"


class _Handler(BaseHTTPRequestHandler):
    server: RewardServer

    def do_POST(self) -> None:
        """Answer a request."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.server.paths.append(self.path)
        self.server.keys.append(self.headers["Authorization"])
        answer = self.server.answers.pop(0) if self.server.answers else (
            200, self.server.reply(body))
        self._send(answer)

    def do_GET(self) -> None:
        """Name the models."""
        self.server.paths.append(self.path)
        self._send((200, {"object": "list", "data": [{"id": "tiny"}, {"id": "other"}]}))

    def _send(self, answer: tuple[int, Any] | None) -> None:
        if answer is None:
            self.server.hanging.set()
            self.server.closing.wait()
            return
        status, sent = answer
        data = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        self.send_response(status)
        if status in (301, 302):
            self.send_header("Location", "http://elsewhere.invalid/")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def _lengths(posted: Any) -> Any:
    return {"scores": [len(text) for text in posted["completions"]]}


@contextmanager
def serving(reply: Callable[[Any], Any] = _lengths) -> Iterator[RewardServer]:
    """Have a server on a free port of this machine, of which a completion's score is the number of
    its letters."""
    with RewardServer(reply) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
