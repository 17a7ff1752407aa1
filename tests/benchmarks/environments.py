"""A virtual environment for each version of TRL, made once and kept in a cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

# One torch for all sides, so that it is not torch that is compared.
TORCH = "torch==2.13.0"
REQUIREMENTS = {
    "trl-1.12.0": ["trl==1.12.0", "transformers==5.23.0"],
    # rich is imported but not required by this release.
    "trl-0.11.4": ["trl==0.11.4", "transformers==4.46.3", "rich"],
    "trl-1.16.0": ["trl==1.16.0", "transformers==5.24.0"],
}


def environment_of(side: str) -> str | None:
    """Return the environment that ``side`` runs in; None: the workbench's own."""
    return next((name for name in REQUIREMENTS if side.startswith(name)), None)


def python_of(side: str, folder: Path) -> Path:
    """Return the interpreter that runs ``side``; its environment is made if there is none."""
    name = environment_of(side)
    if name is None:
        return Path(sys.executable)
    home = folder / name
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = home / "ready"
    wanted = "\n".join([TORCH, *REQUIREMENTS[name]])
    if ready.exists() and ready.read_text() == wanted:
        return python
    print(f"Installing {', '.join(REQUIREMENTS[name])} into {home}", flush=True)
    venv.create(home, with_pip=True, clear=home.exists())
    constraint = home / "constraint.txt"
    constraint.write_text(TORCH + "\n")
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", TORCH, *REQUIREMENTS[name]],
        check=True, env={**os.environ, "PIP_CONSTRAINT": str(constraint)})
    # Last: its presence says that the installation went through.
    ready.write_text(wanted)
    return python
