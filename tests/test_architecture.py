"""The house keeps its shape."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_dependencies_point_one_way():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT,
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", [
    "workbench.gui.app", "workbench.cli", "workbench.store.store", "workbench.training.session"])
def test_what_the_window_imports_brings_no_torch(module):
    code = (f"import {module}, sys; "
            "print([m for m in ('torch', 'transformers') if m in sys.modules])")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
