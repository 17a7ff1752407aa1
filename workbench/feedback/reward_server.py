"""The address of a server that is asked for scores. No torch."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from workbench.models.sources import LoadError

KEY = "PPO_WORKBENCH_REWARD_KEY"
"""The environment variable that holds what the server asks for as a bearer token."""
AT_ONCE = 256
"""Completions that are sent in one request at most."""


def check_url(url: str) -> None:
    """Make sure that ``url`` is one that can be asked.

    Raises:
        LoadError: it is none.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError as error:
        raise LoadError(f"{url} is no address of a server ({error}); correct it.") from error
    if not parts.hostname:
        raise LoadError(f"{url} names no server; write http://HOST:PORT/PATH.")
    if parts.username or parts.password:
        raise LoadError("An address with a name or a password in it would be kept with the run; "
                        f"take them out, and put a key into the environment variable {KEY}.")


def url_name(url: str) -> str:
    """Return host and path of an address."""
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path.rstrip('/')}"


def is_loopback(url: str) -> bool:
    """Whether an address is one of this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
