"""Playing scenes in the real application, with the bundled models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

from helpers.measured import measured_once
from helpers.patience import SECONDS
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.gui.app import Workbench

SMALL = {"num_cycles": 2, "batch_size": 8, "num_mini_batches": 1, "response_length": 12,
         "comparison_prompts": 4}
Scenario = Callable[[Workbench], Coroutine[None, None, None]]


async def until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait while the window lives."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def play(
    qapp: QApplication, home: Path, scenario: Scenario, *,
    models: Sequence[str] = (str(BUNDLED_POLICY), str(BUNDLED_REWARD)),
) -> None:
    """Open the application on ``home``, play ``scenario``, close it, and wait until it is gone.
    What models take in memory is measured once for all tests.

    Args:
        models: policy and reward to load; nothing: those that the home remembers.
    """
    async def main() -> None:
        workbench = Workbench(home)
        serving = asyncio.ensure_future(workbench.serve(*models))
        await until(lambda: hasattr(workbench, "controller") or serving.done())
        try:
            await scenario(workbench)
        finally:
            workbench.exit()
            await serving

    qapp.setQuitOnLastWindowClosed(False)
    loop = QEventLoop(qapp)
    with loop, measured_once():
        loop.run_until_complete(main())
