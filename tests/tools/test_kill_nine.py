"""The short version of the test tool; the long one is run by hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
TOOL = Path(__file__).with_name("kill_nine.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_nothing_is_lost_to_a_few_kills():
    done = subprocess.run(
        [sys.executable, str(TOOL), "--kills", "4", "--seed", "3"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "    4  kills" in done.stdout
    assert "nothing was lost" in done.stdout
