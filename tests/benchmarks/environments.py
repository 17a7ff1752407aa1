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
}


def python_of(side: str, folder: Path) -> Path:
    """Return the interpreter that runs ``side``; its environment is made if there is none."""
    if side not in REQUIREMENTS:
        return Path(sys.executable)
    home = folder / side
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = home / "ready"
    wanted = "\n".join([TORCH, *REQUIREMENTS[side]])
    if ready.exists() and ready.read_text() == wanted:
        return python
    print(f"Installing {', '.join(REQUIREMENTS[side])} into {home}", flush=True)
    venv.create(home, with_pip=True, clear=home.exists())
    constraint = home / "constraint.txt"
    constraint.write_text(TORCH + "\n")
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", TORCH, *REQUIREMENTS[side]],
        check=True, env={**os.environ, "PIP_CONSTRAINT": str(constraint)})
    # Last: its presence says that the installation went through.
    ready.write_text(wanted)
    return python
