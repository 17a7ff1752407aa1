"""What the files of a model were, so that a run that goes on can tell whether they still are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

_ENDINGS = (".json", ".safetensors", ".bin", ".gguf", ".model", ".txt", ".jinja")
_ENDS = 2**20
"""Of each file the first and the last of so many bytes are read: weights are large, and training
changes all of them."""


def revision(model: object) -> str | None:
    """Return the commit of a model that came from the hub."""
    return getattr(getattr(model, "config", None), "_commit_hash", None)


def fingerprint(source: str, revision: str | None = None) -> str:
    """Return a digest of a model's files: names, sizes, and their first and last MiB.

    Args:
        source: a folder or a file; a name on the hub is known by ``revision``, its commit, instead.
    """
    path = Path(source).expanduser()
    if not path.exists():
        return revision or ""
    files = path.iterdir() if path.is_dir() else [path]
    digest = hashlib.sha256()
    if base := _base(path):
        digest.update(fingerprint(base).encode())
    digest_ends(digest, (f for f in files if f.suffix.lower() in _ENDINGS and f.is_file()))
    return digest.hexdigest()


def digest_ends(digest: hashlib._Hash, files: Iterable[Path]) -> None:
    """Add to ``digest`` what ``files`` are known by, in the order of their paths."""
    for file in sorted(files):
        size = file.stat().st_size
        digest.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as opened:
            digest.update(opened.read(_ENDS))
            if size > _ENDS:
                opened.seek(max(_ENDS, size - _ENDS))
                digest.update(opened.read(_ENDS))


def _base(path: Path) -> str:
    """Return the folder of the model that an adapter belongs to; "" where there is none."""
    try:
        settings = json.loads((path / "adapter_config.json").read_text("utf-8"))
        name = str(settings["base_model_name_or_path"] or "")
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    folders = [folder for folder in (path / name, Path(name)) if name and folder.is_dir()]
    own = path.resolve()
    return str(folders[0]) if folders and folders[0].resolve() != own else ""
