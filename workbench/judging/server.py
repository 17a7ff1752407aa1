"""The address of a server that judges. No torch."""

from __future__ import annotations

from hashlib import sha256
from urllib.parse import urlsplit

from workbench.feedback.reward_server import check_url
from workbench.formatting import counted
from workbench.models.sources import LoadError

KEY = "PPO_WORKBENCH_JUDGE_KEY"
"""The environment variable that holds what the server asks for as a bearer token."""
RETRIES = 3
"""How often a request is sent once more that a server fails to answer."""
_ENDS = ("/chat/completions", "/v1")


def is_server(source: str) -> bool:
    """Whether a judge is named by an address."""
    return source.strip().lower().startswith(("http://", "https://"))


def base_of(url: str) -> str:
    """Return what comes before ``/v1/chat/completions``.

    Raises:
        LoadError: it is no address that can be asked.
    """
    base = url.strip().rstrip("/")
    check_url(base)
    if urlsplit(base).query or urlsplit(base).fragment:
        raise LoadError(f"{base} has more than an address in it; write it without ? and #.")
    for end in _ENDS:
        base = base.removesuffix(end).rstrip("/")
    return base


def consent_of(base: str) -> str:
    """Return by what the agreement to send pairs to an address is kept."""
    return sha256(f"judge {base}".encode()).hexdigest()


def name_at(model: str, base: str) -> str:
    """Return what the marks of a server's model are by."""
    return f"{model} at {urlsplit(base).netloc}"


def sent_to(base: str, questions: int) -> str:
    """Say what is sent where, and how many requests that takes."""
    return (f"{base} is sent the rubric with the prompt and both completions of each pair, once in "
            f"each order: {counted(questions, 'request')} now, each sent again up to "
            f"{RETRIES} times where the server fails.")
