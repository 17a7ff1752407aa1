"""The window opens the home of every landed version as it was left, and goes on from there."""

from pathlib import Path

import pytest
from helpers.old_homes import OLD_HOMES, unpack
from helpers.play import play, until
from PySide6.QtWidgets import QApplication

from workbench.gui.app import Workbench
from workbench.training.events import State

pytestmark = pytest.mark.slow


def plotted(workbench: Workbench) -> list[int]:
    """The cycles whose numbers are plotted."""
    shown = workbench.window.metrics._run
    return [] if shown is None else list(shown.cycles)


@pytest.mark.parametrize("fixture", OLD_HOMES, ids=lambda path: path.name)
def test_layout_runs_and_resume(qapp: QApplication, tmp_path: Path, fixture: Path) -> None:
    async def scenario(workbench: Workbench) -> None:
        window = workbench.window
        assert window.docks["metrics"].isFloating()
        assert window.docks["prompts"].isHidden()
        assert window.models.policy.source() == str(tmp_path / "old" / "policy")
        assert {run.name for run in window.runs.model.runs} >= {"Whole", "Stopped", "Fork", "Back"}
        window.runs.opened.emit(2)
        await until(lambda: len(plotted(workbench)) == 4)
        window.reveal("completions")
        await until(lambda: window.completions.table.model().rowCount() == 2)
        await until(lambda: window.state is State.READY)
        assert window.actions_["pause"].text() == "Resume"
        window.actions_["pause"].trigger()
        await until(lambda: window.state is State.FINISHED)
        await until(lambda: plotted(workbench) == [1, 2, 3, 4, 5, 6])

    play(qapp, unpack(fixture, tmp_path / "old"), scenario, models=())
