"""A wheel built from the tree works where it is installed, far from the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers.patience import SECONDS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


def run(*command, **options):
    return subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, check=True,
        timeout=SECONDS, **options)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_models_and_prompts_and_no_rubbish(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("resources/models/policy/model.safetensors", "sample_prompts/README.md",
                   "resources/models/reward/model.safetensors", "gui/widgets/style.qss",
                   "resources/rewards/vader.py"):
        assert f"workbench/{wanted}" in names
    assert not [n for n in names if "__pycache__" in n or n.startswith("tests")]


def test_the_installed_command_trains_the_bundled_policy(wheel, tmp_path):
    site = tmp_path / "site"
    run("-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--target", site, wheel)
    environment = {**os.environ, "PYTHONPATH": str(site), "PPO_WORKBENCH_HOME": str(tmp_path / "h")}
    where = run("-c", "import workbench; print(workbench.__file__)", cwd=tmp_path, env=environment)
    assert Path(where.stdout.strip()).is_relative_to(site)
    done = run("-m", "workbench", "train", "--cycles", 1, "--set", "batch_size=8",
               "--set", "response_length=8", "--set", "comparison_prompts=1", "--json",
               cwd=tmp_path, env=environment)
    assert json.loads(done.stdout)["cycle"] == 1
    assert "All is well" in run(
        "-m", "workbench", "doctor", cwd=tmp_path, env=environment).stdout
