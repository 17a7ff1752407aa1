"""Homes that older versions wrote, kept in ``tests/fixtures`` (made by ``tools.make_home``)."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

OLD_HOMES = sorted((Path(__file__).parents[1] / "fixtures").glob("home-*"))
_TEXTS = {"runs": ("policy", "reward", "models")}


def unpack(fixture: Path, folder: Path) -> Path:
    """Copy a home and its models into ``folder``, say in the home where the models lie now, and
    return the home."""
    shutil.copytree(fixture, folder)
    home = folder / "home"
    with closing(sqlite3.connect(home / "workbench.db")) as db:
        for column in _TEXTS["runs"]:
            db.execute(f"update runs set {column} = replace({column}, 'MODELS', ?)", [str(folder)])
        db.commit()
    window = home / "window.json"
    window.write_text(window.read_text("utf-8").replace("MODELS", folder.as_posix()), "utf-8")
    return home
