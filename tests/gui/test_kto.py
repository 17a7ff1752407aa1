"""KTO in the window: marks are learned from, and shown where a cycle learned from them."""

from __future__ import annotations

import json
from pathlib import Path

from helpers.play import play, until
from PySide6.QtWidgets import QApplication

from workbench.gui.app import Workbench
from workbench.kto.declaration import KTO
from workbench.training.events import State

QUICK = {"num_cycles": 2, "batch_size": 6, "steps_per_cycle": 1, "response_length": 6,
         "comparison_prompts": 4, "held_out_share": 0.0}


def test_a_run_on_a_file_of_marks(qapp: QApplication, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "thumbs.jsonl"
    file.write_text("".join(json.dumps(
        {"prompt": f"The {noun} was", "completion": f" {said}.", "label": said == "good"}) + "\n"
        for noun in ("tea", "cat", "rain") for said in ("good", "bad")))

    async def scenario(workbench: Workbench) -> None:
        window, store = workbench.window, workbench.store
        dock, line = window.hyperparameters, window.hyperparameters.data_line
        await until(lambda: window.state is State.READY)
        dock.choose_algorithm(KTO)
        dock.form.set_values({**QUICK}, "test")
        line.open_file(file)
        await until(lambda: line.text.text() == "thumbs.jsonl (6 completions)")
        window.actions_["start"].trigger()
        await until(lambda: window.state is State.FINISHED)
        assert window.metrics.plots() == list(KTO.default_plots)
        run = store.run(1)
        assert run is not None
        assert (run.algorithm, run.data["what"], run.cycles) == ("kto", "thumbs.jsonl", 2)
        for name in window.docks:
            window.reveal(name)
        window.reveal("tokens")
        tokens = window.tokens
        await until(lambda: tokens.model.steps)
        assert "implicit reward" in tokens._said.text()
        assert tokens.controls.count.text() == "6 completions, in the order drawn"
        rows = [tokens.list.model().index(row, 0).data() for row in range(tokens.list.count())]
        marks = [row.split()[0] for row in rows]
        assert sorted(marks) == ["bad"] * 3 + ["good"] * 3
        assert all(f"was {kind}." in row for row, kind in zip(rows, marks, strict=True))
        # The guide draws a good one against a bad one, whichever were drawn first.
        window.reveal("guide")
        await until(lambda: window.guide.scene.best is not None
                    and "was good." in window.guide.scene.best.text)
        assert "was bad." in window.guide.scene.worst.text

    play(qapp, home, scenario)
