"""Folders that a person names for something new to be written into."""

from __future__ import annotations

import os
from pathlib import Path


def why_not_kept(name: str) -> str:
    """Return one plain sentence why a file or folder cannot be named in the store; empty if it
    can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode(errors="surrogateescape").decode(errors="replace")
        return f"The name {shown} is not in UTF-8; give the file or folder another name."
    return ""


def why_not_writable(folder: Path) -> str:
    """Return one plain sentence why ``folder`` cannot take something new; empty if it can.

    It need not exist yet. One that is there must be empty: nothing is overwritten or mixed up.
    """
    there = next(p for p in (folder, *folder.parents) if p.exists() or p == p.parent)
    if not there.is_dir():
        return f"{there} is a file; choose a folder."
    try:
        if there == folder and any(folder.iterdir()):
            return f"The folder {folder} is not empty; choose an empty one, or a new name."
    except OSError:
        return f"The folder {folder} cannot be read; choose another."
    if not os.access(there, os.W_OK | os.X_OK):
        return f"Nothing can be written into {there}; choose another folder."
    return ""
