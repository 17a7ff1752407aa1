"""What the window remembers between two openings: one JSON file in the home folder, and a copy."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

VERSION = 1
FILE_NAME = "window.json"

log = logging.getLogger(__name__)


class Settings:
    """Reads and writes ``window.json``; the file before the last save stays as ``.bak``."""

    def __init__(self, home: Path) -> None:
        self.path = home / FILE_NAME
        self.backup = self.path.with_suffix(".json.bak")
        self._written: str | None = None

    def load(self) -> dict[str, object]:
        """Return what was saved; the copy when the file is damaged; else nothing."""
        for path in (self.path, self.backup):
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                log.warning("The layout in %s could not be read: %s", path, error)
                continue
            if isinstance(found, dict) and found.get("version") == VERSION:
                return found
        return {}

    def save(self, values: dict[str, object]) -> None:
        """Write ``values`` whole or not at all. A full disk costs the layout, not the window."""
        text = json.dumps({"version": VERSION, **values}, indent=1, sort_keys=True)
        if text == self._written:
            return
        draft = self.path.with_suffix(".json.new")
        try:
            draft.write_text(text, encoding="utf-8")
            if self.path.exists():
                os.replace(self.path, self.backup)
            os.replace(draft, self.path)
        except OSError as error:
            log.warning("The layout could not be saved: %s", error)
            return
        self._written = text


def section(values: dict[str, object], name: str) -> dict[str, object]:
    """Return a part of what was saved, or an empty one."""
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def texts(values: dict[str, object], name: str) -> list[str]:
    """Return a saved list of texts, or an empty one."""
    found = values.get(name)
    return [x for x in found if isinstance(x, str)] if isinstance(found, list) else []


def integers(values: dict[str, object], name: str) -> list[int]:
    """Return a saved list of whole numbers, or an empty one."""
    found = values.get(name)
    return [x for x in found if isinstance(x, int)] if isinstance(found, list) else []
