"""Take the pictures of the README: the real window, the bundled models, a real short run.

    python resources/screenshots/make_screenshots.py OUTDIR

No display is needed. The run takes a minute or two on two cores; nothing is faked.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

SCALED = "--scaled"


def main() -> int:
    """Take every picture; the scaled ones in a process of their own, as Qt scales per process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    parser.add_argument(SCALED, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    if options.home:
        return play(options.home, options.folder, scaled_tour if options.scaled else tour)
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, __file__, str(options.folder), "--home", home]
        subprocess.run(command, check=True)
        subprocess.run([*command, SCALED], check=True, env=os.environ | {"QT_SCALE_FACTOR": "2"})
    return 0


def play(home: Path, folder: Path, scenes: Callable) -> int:  # type: ignore[type-arg]
    """Open the workbench on ``home`` and play ``scenes``."""
    from PySide6.QtWidgets import QApplication
    from qasync import QEventLoop

    from workbench.gui.app import Workbench
    from workbench.gui.theme import themes

    app = QApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)
    themes().install()
    themes().set_mode("light")

    async def scenario() -> None:
        workbench = Workbench(home)
        serving = asyncio.ensure_future(workbench.serve())
        try:
            await until(lambda: hasattr(workbench, "controller") or serving.done())
            await scenes(workbench, Camera(workbench.window, folder))
        finally:
            workbench.exit()
            await serving

    loop = QEventLoop(app)
    with loop:
        loop.run_until_complete(scenario())
    return 0


class Camera:
    """Takes pictures of the window."""

    def __init__(self, window: object, folder: Path) -> None:
        self.window, self.folder = window, folder

    async def take(self, name: str, width: int, height: int, theme: str = "light",
                   part: object = None) -> None:
        """Save the window, or a ``part`` of it, at a size and in a theme."""
        from workbench.gui.theme import themes

        window = self.window
        themes().set_mode(theme)
        self.set_size(width, height)
        window.toast.hide()
        await asyncio.sleep(0.4)  # layout, and the tick that draws the plots
        path = self.folder / f"{name}.png"
        (part or window).grab().save(str(path))
        print(f"{path} {path.stat().st_size / 1000:.0f} kB")

    def set_size(self, width: int, height: int) -> None:
        """Give the window a size and the layout that goes with it."""
        window = self.window
        if (window.width(), window.height()) != (width, height):
            window.resize(width, height)
            window.reset_layout()


async def until(condition: Callable[[], object], seconds: float = 600) -> None:
    """Wait while the window lives."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def tour(workbench, camera: Camera) -> None:  # type: ignore[no-untyped-def]
    """First start, a run, a change while it runs, before and after."""
    from workbench.training.events import State

    window, form = workbench.window, workbench.window.hyperparameters.form
    cycles = lambda: window.runs.newest.cycles if window.runs.newest else 0  # noqa: E731
    await until(lambda: window.state is State.READY)
    await camera.take("first-start", 1280, 720)
    form.set_values({"num_cycles": 16}, "tour")
    window.actions_["start"].trigger()
    await until(lambda: cycles() >= 6)
    form.set_values({"kl_coef": 0.1}, "tour")
    form.sections["Reward and KL"].set_open(True)
    await camera.take("edit-staged", 1440, 900)
    window.hyperparameters.apply_changes()
    await until(lambda: cycles() >= 11)
    await camera.take("running-light", 1440, 900)
    await camera.take("running-dark", 1440, 900, "dark")
    await until(lambda: window.state is State.FINISHED)
    form.set_values({"num_cycles": 4, "learning_rate": 1e-4}, "tour")
    window.actions_["start"].trigger()
    await until(lambda: window.state is State.FINISHED and cycles() == 4)
    workbench.controller.show_run(window.runs.newest.id - 1)
    camera.set_size(1280, 720)
    window.reveal("runs")
    await camera.take("finished-1280x720", 1280, 720)
    window.actions_["palette"].trigger()
    await asyncio.sleep(0.2)
    palette = window.findChild(object, "command_palette")
    await camera.take("command-palette", 1280, 720, "dark", palette)
    palette.close()
    window.docks["completions"].setFloating(True)
    window.docks["completions"].resize(960, 560)
    await camera.take("completions", 1280, 720, "light", window.completions)


async def scaled_tour(workbench, camera: Camera) -> None:  # type: ignore[no-untyped-def]
    """The same run on a screen of 1920x1080 and of 1280x720 at 200 %."""
    from workbench.training.events import State

    await until(lambda: workbench.window.state is State.READY)
    for name, width, height, theme in (("scale-200-1920x1080", 960, 540, "light"),
                                       ("scale-200-1280x720", 640, 360, "dark")):
        await camera.take(name, width, height, theme)


if __name__ == "__main__":
    sys.exit(main())
