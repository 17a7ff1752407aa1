"""Take pictures of the real window.

    python resources/screenshots/make_screenshots.py OUTDIR
    python resources/screenshots/make_screenshots.py OUTDIR --all [--only NAME] [--runs HOME]

The first takes those of the README: the bundled models, a real short run, nothing faked; a minute
or two on two cores. The second takes every view (scenes.py) and dialog (dialog_scenes.py) in both
themes, at two sizes and at 200 %, to look at when something was changed; HOME keeps its runs for
the next time.
No display is needed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from waiting import until

SCALED = "--scaled"
LOOKS = ((1280, 720, ("light", "dark")), (1920, 1080, ("light",)))
SCALED_LOOKS = ((1280, 720, ("dark",)), (1920, 1080, ("light",)))


def main() -> int:
    """Take every picture; the scaled ones in a process of their own, as Qt scales per process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--all", action="store_true", help="every view and dialog")
    parser.add_argument("--only", default="",
                        help="of all scenes, those whose name contains one of these (a,b)")
    parser.add_argument("--runs", type=Path, help="a home folder whose runs the scenes show; it "
                        "is made where it does not exist")
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    parser.add_argument(SCALED, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    if options.home:
        tour = partial(every_scene, only=options.only, scaled=options.scaled) if options.all else (
            readme_scaled if options.scaled else readme)
        return play(options.home, options.folder, tour)
    with tempfile.TemporaryDirectory() as made:
        home = options.runs or Path(made)
        if options.all and not (home / "workbench.db").exists():
            make_runs(home)
        command = [sys.executable, *sys.argv, "--home", str(home)]
        subprocess.run(command, check=True)
        subprocess.run([*command, SCALED], check=True, env=os.environ | {"QT_SCALE_FACTOR": "2"})
    return 0


def play(home: Path, folder: Path, scenes: Callable) -> int:  # type: ignore[type-arg]
    """Open the workbench on ``home`` and play ``scenes``."""
    from PySide6.QtWidgets import QApplication
    from qasync import QEventLoop

    from workbench.gui.app import Workbench
    from workbench.gui.widgets.theme import themes

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
        from workbench.gui.widgets.theme import themes

        themes().set_mode(theme)
        self.set_size(width, height)
        self.window.toast.hide()
        await self.shoot(name, part)

    async def shoot(self, name: str, part: object = None) -> None:
        """Save what there is: the window with all that is open over it, or a ``part``."""
        await asyncio.sleep(0.4)  # layout, and the tick that draws the plots
        path = self.folder / f"{name}.png"
        (part.grab() if part else self._everything()).save(str(path))
        print(f"{path} {path.stat().st_size / 1000:.0f} kB", flush=True)

    def _everything(self) -> object:
        from PySide6.QtCore import Qt
        from PySide6.QtGui import QPainter
        from PySide6.QtWidgets import QApplication

        window, picture = self.window, self.window.grab()
        painter = QPainter(picture)
        for over in QApplication.topLevelWidgets():
            if over is window or not over.isVisible():
                continue
            place = over.pos() - window.pos()
            if not over.windowFlags() & Qt.WindowType.FramelessWindowHint and (
                    over.windowType() in (Qt.WindowType.Dialog, Qt.WindowType.Window)):
                # Where a window manager puts it; the screen here is too small for that.
                place = window.rect().center() - over.rect().center()
            painter.drawPixmap(place, over.grab())
            painter.drawRect(over.rect().translated(place).adjusted(-1, -1, 0, 0))
        painter.end()
        return picture

    def set_size(self, width: int, height: int) -> None:
        """Give the window a size and the layout that goes with it."""
        window = self.window
        if (window.width(), window.height()) != (width, height):
            window.resize(width, height)
            window.dock_layout.reset()


async def readme(workbench, camera: Camera) -> None:  # type: ignore[no-untyped-def]
    """First start, a run, a change while it runs, before and after."""
    from workbench.training.events import State

    window, form = workbench.window, workbench.window.hyperparameters.form
    cycles = lambda: window.runs.newest.cycles if window.runs.newest else 0  # noqa: E731
    await until(lambda: window.state is State.READY)
    camera.set_size(1280, 720)
    window.actions_["guide"].trigger()  # at a first start it is open; offscreen there is no room
    await camera.take("first-start", 1280, 720)
    window.docks["guide"].close()
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
    await chances(window, camera)
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
    window.completions.add_cycle()  # between the start and the end
    await camera.take("completions", 1280, 720, "light", window.completions)
    window.docks["completions"].setFloating(False)
    window.docks["tokens"].setFloating(True)
    window.docks["tokens"].resize(960, 560)
    await until(lambda: window.tokens.list.count())
    worst = window.tokens.list.count() - 1  # one with tokens better and worse than others
    window.tokens.list.setCurrentRow(worst * 3 // 4)
    await camera.take("tokens", 1280, 720, "light", window.tokens)
    window.docks["tokens"].setFloating(False)
    window.docks["objective"].setFloating(True)
    window.docks["objective"].resize(960, 480)
    await until(lambda: window.objective.picture)
    window.objective.choose_cycle(7)  # the last ones, at a small rate, move little
    await until(lambda: window.objective.picture.cycle == 7)
    await camera.take("objective", 1280, 720, "light", window.objective)
    window.docks["objective"].setFloating(False)
    window.docks["distributions"].setFloating(True)
    window.docks["distributions"].resize(960, 520)
    window.reveal("distributions")
    await until(lambda: window.distributions.picture)
    window.distributions.choose_cycle(16)
    await until(lambda: window.distributions.picture.cycle == 16)
    await camera.take("distributions", 1280, 720, "light", window.distributions)
    window.docks["distributions"].setFloating(False)
    window.docks["frontier"].setFloating(True)
    window.docks["frontier"].resize(960, 480)
    window.reveal("frontier")
    await until(lambda: window.frontier.picture)
    window.frontier.controls.n.setValue(64)
    window.frontier.sample_best_of()
    await until(lambda: window.frontier.picture.best)
    await camera.take("frontier", 1280, 720, "light", window.frontier)
    window.docks["frontier"].setFloating(False)
    await paths(window, camera)
    guide = window.guide
    window.actions_["guide"].trigger()
    window.docks["guide"].setFloating(True)
    window.docks["guide"].resize(300, 660)
    await until(lambda: guide.summary.results is not None)
    await camera.take("guide-summary", 1280, 720, "light", guide)
    window.docks["guide"].resize(300, 420)
    guide.go_to(guide.following.first("estimate"))
    await camera.take("guide", 1280, 720, "light", guide)
    window.docks["guide"].setFloating(False)
    await siblings(window, camera)
    await feedback(workbench, camera)


async def feedback(workbench, camera: Camera) -> None:  # type: ignore[no-untyped-def]
    """Pairs that are judged, a judge that is asked, and the card of the tour."""
    from workbench.gui.judge.judge_dialog import Wanted

    window, view, tour = workbench.window, workbench.window.judge, workbench.controller.tour
    camera.set_size(1280, 720)
    tour.begin()
    tour.dialog.wanted.emit()
    await until(lambda: len(view.queue.entries) >= 12)
    for said in ("left", "right", "right", "tie", "left", "right"):
        view.answer(said, 1)
    await camera.take("feedback-tour", 1280, 720)
    tour.dialog.close()
    for said in ("right", "left", "right", "right", "left"):
        view.answer(said, 1)
    view.asking.ask(view._set.id, Wanted())
    await until(lambda: not view.asking.why_not() and not view.asking.isVisible())
    window.docks["judge"].setFloating(True)
    window.docks["judge"].resize(960, 420)
    view.bar.differences.setChecked(True)
    await camera.take("judge", 1280, 720, "light", view)
    window.docks["judge"].setFloating(False)
    view.asking.choose()
    await asyncio.sleep(0.2)
    dialog = window.findChild(object, "judge_ask")
    await camera.take("ask-a-judge", 1280, 720, "light", dialog)
    dialog.close()


async def chances(window, camera: Camera) -> None:  # type: ignore[no-untyped-def]
    """A whole distribution, by the policy that the run ended with, at temperature 1.5."""
    window.reveal("tokens")
    await until(lambda: window.tokens.list.count())
    dock, view = window.docks["chances"], window.chances
    dock.setFloating(True)
    dock.resize(960, 460)
    window.reveal("chances")
    view.whole.setChecked(True)
    await until(lambda: view.slider.isEnabled())
    view.slider.setValue(150)
    await camera.take("chances", 1280, 720, "light", view)
    dock.setFloating(False)


async def paths(window, camera: Camera) -> None:  # type: ignore[no-untyped-def]
    """What else could have followed at a token that mattered, written on from."""
    dock, view = window.docks["paths"], window.paths
    dock.setFloating(True)
    dock.resize(960, 460)
    window.reveal("paths")
    view.times.setValue(3)
    view.write_on()
    await until(lambda: view.tree.root is not None)
    here = view.tree.places[0].crossroads.at
    if here:  # from the prompt as well
        view.go_to_prompt()  # which writes on from there
        await until(lambda: len(view.tree.places) == 2)
        view.go_to(here)
    await camera.take("paths", 1280, 720, "light", view)
    dock.setFloating(False)


async def siblings(window, camera: Camera) -> None:  # type: ignore[no-untyped-def]
    """The completions of one prompt in a run that holds them against one another."""
    from workbench.ppo.declaration import PPO
    from workbench.training.events import State

    form, view = window.hyperparameters.form, window.paths.siblings
    grpo = next(preset for preset in PPO.presets if preset.name == "GRPO")
    before = window.runs.newest.id
    form.set_values({**grpo.values, "num_cycles": 5}, "tour")
    window.actions_["start"].trigger()
    await until(lambda: window.runs.newest.id > before and window.state is State.FINISHED)
    dock = window.docks["paths"]
    dock.setFloating(True)
    dock.resize(960, 400)
    window.reveal("paths")
    await until(lambda: view.picture is not None and view.picture.groups)
    await camera.take("siblings", 1280, 720, "light", window.paths)
    dock.setFloating(False)


async def readme_scaled(workbench, camera: Camera) -> None:  # type: ignore[no-untyped-def]
    """The same run on a screen of 1920x1080 and of 1280x720 at 200 %."""
    from workbench.training.events import State

    await until(lambda: workbench.window.state is State.READY)
    for name, width, height, theme in (("scale-200-1920x1080", 960, 540, "light"),
                                       ("scale-200-1280x720", 640, 360, "dark")):
        await camera.take(name, width, height, theme)


async def every_scene(  # type: ignore[no-untyped-def]
    workbench, camera: Camera, only: str, scaled: bool
) -> None:
    """Play every scene at every size and in both themes."""
    import dialog_scenes  # noqa: F401 - adds its scenes, as the next does
    import scenes  # noqa: F401
    from stage import SCENES, Stage

    from workbench.gui.widgets.theme import themes

    looks = SCALED_LOOKS if scaled else LOOKS
    stage = Stage(workbench)
    await stage.prepare()
    for width, height, modes in looks:
        size = f"{width}x{height}@200" if scaled else f"{width}x{height}"
        for name, scene in SCENES.items():
            if not any(part in name for part in only.split(",")):
                continue
            camera.set_size(width // 2 if scaled else width, height // 2 if scaled else height)
            try:
                await scene(stage)
            except Exception:  # the others are still worth looking at
                traceback.print_exc()
            for mode in modes:
                themes().set_mode(mode)
                await camera.shoot(f"{name}-{size}-{mode}")
            await stage.clear()


def make_runs(home: Path) -> None:
    """Train a few short runs, each with something to show."""
    command = [sys.executable, "-m", "workbench"]
    for words in (
        "train --cycles 6",
        "fork 1 --cycle 5 --set kl_coef=0.2 --set num_cycles=8 --name Dearer-KL",
        "train --cycles 3 --reward bundled --reward length_and_repetition=0.5 "
        "--trust-reward-file",
        "train --cycles 4 --set learning_rate=5e-3 --set num_ppo_epochs=8",
        "train --cycles 4 --set advantage_estimator=group --set completions_per_prompt=8 "
        "--name GRPO",
    ):
        subprocess.run([*command, *words.split(), "--home", str(home)], check=True)


if __name__ == "__main__":
    sys.exit(main())
