"""The house keeps its shape."""

import ast
import inspect
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from workbench.algorithms import ALGORITHMS
from workbench.learning.metrics import COMMON
from workbench.learning.trainer import Trainer
from workbench.settings import Settings
from workbench.training.leading import ALONE, GATHERED, TOGETHER

ROOT = Path(__file__).parents[1]


def test_dependencies_point_one_way():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT,
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_of_each_method_of_a_trainer_it_is_said_whether_all_processes_call_it():
    methods = [name for name in dir(Trainer) if not name.startswith("_")
               and inspect.isroutine(getattr(Trainer, name))]
    assert sorted(methods) == sorted([*TOGETHER, *GATHERED, *ALONE])  # each in one of them


def test_what_the_window_imports_brings_no_torch():
    """Nor does what a window, a command or a session begins with, or a view when it is made."""
    modules = ["cli", "store.store", "training.session", "gui.app", "gui.controllers.controller",
               "gui.runs.dock", "gui.metrics.view", "gui.completions.view", "gui.prompts.view"]
    code = ("import importlib, sys\n"
            "for module in sys.argv[1:]:\n"
            "    importlib.import_module(f'workbench.{module}')\n"
            "    print(module, *{'torch', 'transformers'} & set(sys.modules))")
    done = subprocess.run(
        [sys.executable, "-c", code, *modules], capture_output=True, text=True, check=True)
    assert done.stdout.split() == modules


@cache
def code():
    """Return the nodes of the code, by file."""
    folder = ROOT / "workbench"
    return {file.relative_to(folder).as_posix(): tuple(ast.walk(ast.parse(file.read_text("utf-8"))))
            for file in folder.rglob("*.py")}


def outside(algorithm):
    """Yield every node of the code outside an algorithm's folder, with the file it is of."""
    folder = algorithm.settings.__module__.split(".")[1]
    for file, nodes in code().items():
        if file.partition("/")[0] != folder:
            for node in nodes:
                yield file, folder, node


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_nothing_names_what_belongs_to_one_algorithm(algorithm):
    """A number or a setting of its own, by name: as text, as attribute or argument. Another
    algorithm may call something of its own the same."""
    rooms = {file.parent.name for file in (ROOT / "workbench").glob("*/declaration.py")}
    numbers = {m.name for m in (*algorithm.metrics, *algorithm.start_metrics)} - set(COMMON)
    settings = set(algorithm.settings.specs()).difference(*(
        base.specs() for each in ALGORITHMS for base in each.settings.__mro__[1:]
        if issubclass(base, Settings)))
    found = set()
    for file, _, node in outside(algorithm):
        if file.partition("/")[0] in rooms:
            continue
        named = (node.value if isinstance(node, ast.Constant) else
                 node.attr if isinstance(node, ast.Attribute) else
                 node.arg if isinstance(node, ast.keyword) else None)
        if isinstance(named, str) and named in numbers | settings:
            found.add(f"{file}: {named}")
    assert found == set()


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_only_the_list_imports_an_algorithm(algorithm):
    imports = {file for file, folder, node in outside(algorithm)
               if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(
                   f"workbench.{folder}.")}
    assert imports == {"algorithms.py"}


def test_the_wall_clock_is_read_only_to_be_shown():
    """Durations and orders go by clocks and numbers that only grow."""
    found = set()
    for file, nodes in code().items():
        for node in nodes:
            if isinstance(node, ast.Attribute) and ast.unparse(node) in (
                "time.time", "time.time_ns", "time.localtime", "datetime.now", "datetime.today",
                "datetime.utcnow", "QDateTime.currentDateTime", "QTime.currentTime"
            ):
                found.add(file)
    assert found == {
        "store/clock.py", "gui/hyperparameters/history.py", "gui/trying/view.py",
        "gui/widgets/toast.py"}
