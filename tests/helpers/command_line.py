"""The command line in processes that need not import torch and transformers, which takes most of
the time of a small run: they are forked from one that has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

_SERVER = """
import json, os, sys, traceback
import workbench.headless, workbench.listing, workbench.training.worker
from transformers import conversion_mapping
from transformers.models.bert import modeling_bert
from transformers.models.gpt2 import modeling_gpt2
from workbench.algorithms import ALGORITHMS
from workbench.cli import main

# What is imported and compiled at the first model and the first run.
conversion_mapping.get_checkpoint_conversion_mapping("gpt2")
for algorithm in ALGORITHMS:
    algorithm.trainer()

def command(request):
    os.environ.update(request["environment"])
    # As an interpreter that begins would.
    sys.path[1:1] = filter(None, request["environment"].get("PYTHONPATH", "").split(os.pathsep))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, name in enumerate(("out", "err"), 1):
        place = request["output"] if name == "out" and request["output"] else os.path.join(
            request["folder"], name)
        file = os.open(place, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
    try:
        status = main(request["arguments"])
    except SystemExit as asked:
        status = asked.code
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        command(json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class CommandLine:
    """Runs ``ppo-workbench`` commands, each in a process of its own. Unix only."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _SERVER], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    def run(
        self, *arguments: object, output: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end; what it prints goes to the file ``output``, if one is
        named."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with TemporaryDirectory() as folder:
            self._server.stdin.write(json.dumps({
                "arguments": [str(a) for a in arguments], "environment": environment,
                "folder": folder, "output": output}) + "\n")
            self._server.stdin.flush()
            status = int(self._server.stdout.readline())
            out = "" if output else (Path(folder) / "out").read_text()
            err = (Path(folder) / "err").read_text()
        return subprocess.CompletedProcess(arguments, status, out, err)

    def close(self) -> None:
        """End the process that waits."""
        self._server.communicate()
