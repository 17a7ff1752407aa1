"""The house keeps its shape."""

import ast
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


def test_the_wall_clock_is_read_only_to_be_shown():
    """Durations and orders go by clocks and numbers that only grow."""
    found = set()
    for file in (ROOT / "workbench").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in (
                "time.time", "time.time_ns", "time.localtime", "datetime.now", "datetime.today",
                "datetime.utcnow", "QDateTime.currentDateTime", "QTime.currentTime"
            ):
                found.add(str(file.relative_to(ROOT / "workbench")))
    assert found == {
        "store/clock.py", "gui/hyperparameters_dock.py", "gui/toast.py", "gui/trying/view.py"}
