"""The frontier: how much reward for how much KL, run against run and against the best of n."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from html import escape
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QWidget
from superqt import QElidingLabel

from workbench.algorithms import find_metric
from workbench.formatting import percent
from workbench.gui.background import Background
from workbench.gui.frontier.controls import Controls
from workbench.gui.frontier.plot import FrontierPlot, Point
from workbench.gui.frontier.reading import Picture, Y, cost_text, read_picture
from workbench.gui.run_view import PictureView
from workbench.gui.what_is import Explanation, explain_by
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.layouts import vbox
from workbench.gui.widgets.picture_pages import PicturePages
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.run_colours import run_colour, stroke
from workbench.gui.widgets.theme import themes
from workbench.learning.metrics import SCORES
from workbench.papers import BEIRAMI_2024, GAO_2022
from workbench.records import BestOf
from workbench.store.store import Store
from workbench.training.commands import StopTrying
from workbench.training.events import (
    BestOfSampled,
    SamplingBestOf,
    SamplingBestOfFailed,
    State,
)

FrontierEvent = SamplingBestOf | BestOfSampled | SamplingBestOfFailed
_NO_RUN = ("Press Start: here every cycle is a point, its reward against how far the policy has "
           "moved from the start policy. Tick other runs in Runs to draw them too.")
_NO_CYCLE = "The first cycle is drawn here when it has ended."
_NO_POLICY = ("This run makes a reward model and leaves the policy where it is, so that there is "
              "no reward to hold against a distance. Show a run that trains a policy.")
_NOTHING: Mapping[Y, str] = {
    "trained": "No cycle of this run has a reward and a KL.",
    "compared": "No compared prompts of this run are kept.",
    "held out": "No prompts are held out in this run: set Held-out prompts in Hyperparameters "
                "before it starts."}
_ABOUT = Explanation(
    "Frontier", "How much reward a run has for how far its policy has moved from the start policy, "
    "a point a cycle (Gao et al. 2022). What lies higher at the same KL is better. The dashed line "
    "is what sampling n completions and keeping the best one gives, without any training; its KL "
    "is at most that of the formula (Beirami et al. 2024). Reward that falls while KL grows is the "
    "sign of a reward that is exploited.",
    formula="KL(best of n) ≤ ln n - {n - 1}÷{n}", source=f"{GAO_2022}; {BEIRAMI_2024}")
_PROMPTS: Mapping[str, str] = {
    "": "prompts", "trained": "training prompts", "compared": "compared prompts",
    "held out": "held-out prompts"}
_START = ("; the best of one and the run's start may differ at the same KL, since each is drawn "
          "with its own random numbers and as many completions as it takes")
_TELL = "Point at a cycle to read it, click to go there"


class FrontierView(PictureView[Picture]):
    """Draws the run on display and those that are ticked in Runs; ``command`` carries commands,
    ``point_wanted`` another run's number and a cycle of it."""

    command = Signal(object)
    message = Signal(str, str)
    """Level and sentence of a message for the person."""
    point_wanted = Signal(int, int)

    def __init__(self, store: Store, background: Background, parent: QWidget | None = None) -> None:
        super().__init__("frontier_view", store, background, parent)
        self._ticked: tuple[int, ...] = ()
        self._state = State.IDLE
        self._number = self._asked_best = 0
        self._reward: Y = "trained"
        self._build()
        themes().changed.connect(self.draw)
        self._allow()
        self.draw()

    # -- what the window tells

    def read(self, run_id: int, wanted: int | None) -> Picture | None:
        """Read the runs' points."""
        return read_picture(self.store, run_id, self._ticked, self._reward)

    def load(self) -> None:
        """Read the reward that is chosen now."""
        self._reward = self.controls.reward
        super().load()

    def shown_cycle(self) -> int | None:
        """Return the cycle on display, if there is one."""
        return self.plot.cycle if self._pages.is_made else None

    def show_run(self, run_id: int | None) -> None:
        """Show a run, or none."""
        super().show_run(run_id)
        self._allow()

    def show_ticked(self, runs: Collection[int]) -> None:
        """Draw these runs as well."""
        self._ticked = tuple(sorted(runs))
        self.load_soon()

    def cycle_available(self, run_id: int) -> None:
        """Take note that a cycle of a run has ended."""
        if run_id == self.run_id or run_id in self._ticked:
            self.load_soon()

    def set_state(self, state: State) -> None:
        """Take note of what can be asked for."""
        self._state = state
        self._allow()

    def handle(self, event: FrontierEvent) -> None:
        """Take note of what came of sampling the best of n."""
        if isinstance(event, SamplingBestOf):
            if event.id == self._asked_best:
                self._said.setText(
                    f"Sampling the best of n: {percent(event.done / event.total)} of "
                    f"{event.total:,} completions" if event.total else
                    "Sampling the best of n: starting its processes")
            return
        self._asked_best = 0
        if isinstance(event, BestOfSampled):
            self.load_soon()
        elif event.sentence:
            self.message.emit("warning", event.sentence)
        self._point_at(None)
        self._allow()

    def refused(self) -> None:
        """A command was refused, as the person is told elsewhere."""
        self._asked_best = 0
        self._allow()

    def save_state(self) -> dict[str, object]:
        """Return what is to be remembered."""
        return self.controls.save_state()

    def restore_state(self, state: dict[str, Any]) -> None:
        """Choose as :meth:`save_state` told."""
        self.controls.restore_state(state)

    # -- what the person does

    def sample_best_of(self) -> None:
        """Sample the best of n of the run on display, or end that."""
        if self._asked_best:
            self.command.emit(StopTrying())
        elif self.run_id is not None:
            self._number += 1
            self._asked_best = self._number
            self._allow()
            self.command.emit(self.controls.command(
                self._number, self.run_id, self.picture.of if self.picture else "trained"))

    def _choose(self, run_id: int, cycle: int) -> None:
        if run_id != self.run_id:
            self.point_wanted.emit(run_id, cycle)
            return
        self.choose_cycle(cycle)
        self.plot.show_cycle(run_id, cycle)

    # -- showing

    def sizeHint(self) -> QSize:
        """Wide enough for a plot."""
        return QSize(640, 360)

    def draw(self) -> None:
        """Draw what was read, or say why there is nothing."""
        picture = self.picture
        if picture is None or self.run_id is None or not (picture.tracks or picture.best):
            self._pages.say(
                _NO_RUN if self.run_id is None
                else _NO_POLICY if picture is not None and not picture.trains_policy
                else _NO_CYCLE if self.alive and self._reward == "trained"
                else "" if picture is None
                else self.why_no_cycle() if self._reward == "trained" and not picture.complete
                else _NOTHING[self._reward])
            return
        self._pages.make()
        self.plot.show_picture(
            picture, self.controls.cost, self.run_id, self.wanted,
            self.controls.band.isChecked())
        self._draw_legend()
        self._point_at(None)
        self._pages.show_whole()

    def _draw_legend(self) -> None:
        theme, plot = themes().theme, self.plot
        within = {i for band in plot.bands for i in band.runs}
        parts = [f"{stroke(t.run_id, theme)}&nbsp;{_whole(t.name)}" for t in plot.tracks
                 if t.run_id not in within]
        parts += [f"<span style='color:{run_colour(b.runs[0], theme)}'>━━</span>&nbsp;"
                  f"{_whole(b.name)}" for b in plot.bands]
        shown = dict.fromkeys(find_metric(t.metric).label for t in plot.tracks)
        parts.insert(0, escape(", ".join(shown)))
        of = "" if self.picture is None else self.picture.of
        parts += [f"╍╍&nbsp;{escape(name_of(best, of))}" for best in plot.best]
        if self.picture is not None and (out := self.picture.left_out):
            parts.append(escape(f"Not drawn, for another reward scores it: {', '.join(out)}"
                                if len(out) == 1 else
                                f"Not drawn, for other rewards score them: {', '.join(out)}"))
        self._legend.setText(" &nbsp; ".join(parts))
        self._legend.setToolTip(" <br> ".join(parts))

    def _point_at(self, point: Point | None) -> None:
        if self._asked_best:
            return  # how far it is stands there
        self._said.setText(self._say(point) if point else _TELL)
        if not self._pages.is_made:
            return
        self.plot.setToolTip(plain_tip(self._say(point) if point else ""))
        self.plot.setAccessibleDescription(self._say(point) if point else self._summary())

    def _say(self, point: Point) -> str:
        reward = find_metric(SCORES)
        if point.best is not None:
            far = point.best.kl[point.index]
            return (f"Best of {point.n} ({point.best.writer}, {_prompts(point.best)}): "
                    f"reward {reward.text(point.best.rewards[point.index])} at a KL of at most "
                    f"{far:.3g}{_START if point.n == 1 else ''}")
        track, i = point.track, point.index
        assert track is not None
        costs = ", ".join(cost_text(x, float(track.costs[x][i]))
                          for x in ("kl", "samples", "steps", "seconds"))
        below = (", which has no root and is drawn at 0"
                 if self.controls.cost == "root" and track.costs["kl"][i] < 0 else "")
        start = _START if not track.cycles[i] and self.plot.best else ""
        return (f"{track.name}, cycle {int(track.cycles[i]):,}: "
                f"{find_metric(track.metric).label.lower()} "
                f"{reward.text(float(track.reward[i]))}; {costs}{below}{start}")

    def _summary(self) -> str:
        """Say where each run has come to."""
        found = [self._say(Point(t, len(t.cycles) - 1)) for t in self.plot.tracks]
        found += [self._say(Point(None, len(b.rewards) - 1, b)) for b in self.plot.best]
        return ". ".join(found)

    def _allow(self) -> None:
        self.controls.allow(self._state, self.run_id, bool(self._asked_best))

    def _build(self) -> None:
        self.controls = Controls()
        self.controls.changed.connect(self.draw)
        self.controls.reread.connect(self.load_now)
        self.controls.asked.connect(self.sample_best_of)
        self.controls.cut.connect(lambda most: self.message.emit(
            "info", f"n is {most}, the most completions of a prompt that are written."))
        self._legend = label(rich=True, wrap=True, name="frontier_legend", title="Legend")
        self._said = named(QElidingLabel(textFormat=Qt.TextFormat.PlainText), "frontier_said",
                           "The point pointed at", "")
        self._said.setProperty("role", "muted")
        self._said.setMinimumWidth(1)
        self._pages = PicturePages("frontier", self._make_plot)
        vbox(self, self.controls, (self._pages, 1), margins=8, spacing=6)

    def _make_plot(self) -> QWidget:
        self.plot = named(FrontierPlot(), "frontier_plot", "Frontier", "")
        explain_by(self.plot, lambda: _ABOUT)
        self.plot.pointed.connect(self._point_at)
        self.plot.chosen.connect(self._choose)
        whole = QWidget()
        vbox(whole, self._legend, (self.plot, 1), self._said, spacing=4)
        return whole


def name_of(best: BestOf, of: str = "") -> str:
    """Return what a line of the best of n is called, where runs are drawn by the reward ``of`` some
    prompts; a line of others does not begin where they do."""
    writer = best.writer if best.cycle else f"{best.writer[:1].lower()}{best.writer[1:]}"
    other = f"; the runs' reward is of {_PROMPTS[of]}, so sample anew to compare" if (
        of and best.of != of) else ""
    return f"Best of n, {writer} ({_prompts(best)}{other})"


def _prompts(best: BestOf) -> str:
    return f"{best.prompts:,} {_PROMPTS[best.of]}"


def _whole(name: str) -> str:
    """Return a name as rich text that is not broken into two lines."""
    return escape(name).replace(" ", "&nbsp;")
