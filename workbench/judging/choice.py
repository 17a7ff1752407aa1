"""Which judge is meant, before it is loaded or asked. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.assets import BUNDLED_POLICY
from workbench.judging.server import base_of, is_server, name_at
from workbench.known_models import known_policy

IN_MEMORY, BUNDLED = "policy", "bundled"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A judge: a model to load from ``source``, one at a server with that address, or the policy in
    memory (:data:`IN_MEMORY`). ``name`` is what its marks are by; "": it tells when it is asked."""

    source: str
    name: str = ""
    model: str = ""
    """At a server: which; "": the first that it names."""

    @property
    def remote(self) -> bool:
        """Whether it is asked over HTTP."""
        return is_server(self.source)

    @property
    def at(self) -> str:
        """How the names of all models at its server end."""
        return name_at("", self.source)

    @classmethod
    def of(cls, judge: str, model: str = "") -> Chosen:
        """Return what a person calls a judge: an address, "policy", "bundled", a folder, a file, a
        hub name, or the name of a known model.

        Raises:
            LoadError: it is an address that cannot be asked.
        """
        judge, model = judge.strip(), model.strip()
        if is_server(judge):
            base = base_of(judge)
            return cls(base, name_at(model, base) if model else "", model)
        if judge == IN_MEMORY:
            return cls(IN_MEMORY)
        if judge in (BUNDLED, str(BUNDLED_POLICY)):
            return cls(str(BUNDLED_POLICY), BUNDLED)
        if known := known_policy(judge):
            return cls(known.source(), known.title)
        path = Path(judge).expanduser()
        found = str(path.absolute()) if path.exists() else judge
        return cls(found, found)
