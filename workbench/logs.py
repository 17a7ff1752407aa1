"""The workbench's log: a file in the home for the window, the terminal for commands."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

LEVELS = ("debug", "info", "warning", "error")
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_ROOT = "workbench"


def set_level(level: str) -> None:
    """Log what is of one of :data:`LEVELS` or above."""
    logging.getLogger(_ROOT).setLevel(level.upper())


def start_file(home: Path) -> logging.Handler:
    """Write the log to ``home/logs/workbench.log``, at most a few megabytes of it."""
    folder = home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return _start(RotatingFileHandler(
        folder / "workbench.log", maxBytes=1_000_000, backupCount=3, encoding="utf-8"))


def start_terminal() -> logging.Handler:
    """Write the log to the terminal, beside the lines of the run."""
    return _start(logging.StreamHandler(sys.stderr))


def stop(handler: logging.Handler) -> None:
    """End what one of the above began."""
    logging.getLogger(_ROOT).removeHandler(handler)
    handler.close()


def _start(handler: logging.Handler) -> logging.Handler:
    handler.setFormatter(logging.Formatter(_FORMAT))
    root = logging.getLogger(_ROOT)
    if root.level == logging.NOTSET:
        root.setLevel(logging.INFO)
    root.addHandler(handler)
    return handler
