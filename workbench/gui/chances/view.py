"""The view of chances: what could stand at the token chosen in Tokens, and what changes that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QSignalBlocker, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QPushButton,
    QSlider,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel, QFlowLayout

from workbench.algorithms import algorithm_of_cycle, default_algorithm, variety_of
from workbench.formatting import number
from workbench.gui.chances.bars import ChanceBars, say_row
from workbench.gui.chances.over_cycles import MetricLine
from workbench.gui.chances.reading import Picture, Row, Whole, read_kept
from workbench.gui.place_view import Place, PlaceView
from workbench.gui.widgets.controls import enable, label, named
from workbench.gui.widgets.form_scroll import FormScroll
from workbench.gui.widgets.layouts import hbox, vbox
from workbench.gui.widgets.place_text import place_text
from workbench.gui.widgets.still_label import StillLabel
from workbench.records import TokenTrace
from workbench.store.store import Store
from workbench.training.commands import ReadDistribution
from workbench.training.events import DistributionRead, ReadingDistributionFailed, State
from workbench.training.states import WHEN, allowed

ChanceEvent = DistributionRead | ReadingDistributionFailed
_COLDEST, _HOTTEST, _STEPS = 0.1, 3.0, 100  # temperatures, and steps of the slider for each 1
_BESIDE = 640  # pixels from which on the small plots have room beside the bars
_ROOMY = 360  # pixels of height from which on bars may take more than they need
_HIGHEST = 1.8  # times
_EMPTY = ("Choose a token in Tokens. Here are the tokens that could have come in its place, with "
          "their chances by the start policy and before and after the update, and what temperature "
          "and the entropy term make of them.")
_GONE = "The tokens of this completion are not kept any more; choose one of a later cycle."
_NOT_KEPT = "The likeliest tokens of this cycle were not kept."
_HOW = ("Whole distribution reads how likely every token is by the policy as it is now; then the "
        "slider reshapes it.")
_SLIDER_OFF = ("A temperature reshapes a whole distribution, and only the likeliest tokens are "
               "kept: press Whole distribution first.")


class ChancesView(PlaceView):
    """How likely tokens were at a place, and what temperature and entropy make of that."""

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__("chances_view", store, parent)
        self._trace: TokenTrace | None = None
        self._algorithm = default_algorithm()
        self._settings: Mapping[str, Any] = {}
        self._found: Whole | None = None
        self._known: tuple[int, int, int, int] | None = None
        self._temperature = 1.0
        self._asked: tuple[int, Place] | None = None
        self._number = 0
        self.lines: list[MetricLine] = []
        self._build()
        self._show()

    # -- what the window tells

    def leave(self) -> None:
        """Show nothing: there is no place any more."""
        self._trace = self._found = self._asked = None
        self._show()

    def set_state(self, state: State) -> None:
        """Take note of what can be asked for."""
        self._state = state
        if state not in allowed(ReadDistribution):
            self._found = self._asked = None  # the policy is on its way to another
        self._show()
        self._ask()

    def handle(self, event: ChanceEvent) -> None:
        """Take note of what came of reading a distribution."""
        if self._asked is None or event.id != self._asked[0]:
            return  # another was asked for since
        place, self._asked = self._asked[1], None
        if isinstance(event, DistributionRead):
            self._found = None if place != self._place else Whole(
                event.found, self._algorithm.entropy, self._settings, place[1])
        else:
            self.whole.setChecked(False)
            if event.sentence:
                self.message.emit("warning", event.sentence)
        self._show()

    def refused(self) -> None:
        """A command was refused, as the person is told elsewhere."""
        self._asked = None
        self.whole.setChecked(False)
        self._show()

    # -- what the person does

    def read_whole(self, on: bool) -> None:
        """Read the whole distribution here and at every place to come, or show what is kept."""
        self._found = self._asked = None
        if on:
            self._ask()
        else:
            self._temperature = self._sampled()
        self._show()

    def set_temperature(self, temperature: float) -> None:
        """Show the distribution as it is at another temperature."""
        self._temperature = temperature
        self._show()

    # -- showing

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the small plots beside the bars, or below where the view is narrow."""
        super().resizeEvent(event)
        self.bars.highest = _HIGHEST if self.height() >= _ROOMY else 1.0
        beside = self.width() >= _BESIDE
        self._parts.setDirection(QBoxLayout.Direction.LeftToRight if beside
                                 else QBoxLayout.Direction.TopToBottom)
        self._parts.setStretch(0, 3 if beside else 0)

    def sizeHint(self) -> QSize:
        """Wide enough for bars and plots."""
        return QSize(640, 400)

    def load(self) -> None:
        """Read what the store has of the place, unless it has been read."""
        if self._place is None:
            return
        run_id, cycle, position, _ = self._place
        run = self.store.run(run_id)
        known = run_id, cycle, position, 0 if run is None else run.cycles
        # Of a cycle in hand more becomes known.
        if known != self._known or run is None or cycle > run.cycles:
            self._known = known
            self._trace = self.store.trace(run_id, cycle, position)
            self._settings = self.store.settings_after(run_id, cycle)
            self._algorithm = default_algorithm() if run is None else (
                algorithm_of_cycle(run, cycle, self._settings))
            self._read_metrics(run_id, cycle)
        if not self.whole.isChecked():
            self._temperature = self._sampled()
        self._found = self._asked = None
        self._ask()
        self._show()

    def _read_metrics(self, run_id: int, cycle: int) -> None:
        metrics = variety_of(self._algorithm)
        if [line.of_metric for line in self.lines] != list(metrics):
            for line in self.lines:
                self._plots.removeWidget(line)
                line.deleteLater()
            self.lines = [MetricLine(metric) for metric in metrics]
            for line in self.lines:
                self._plots.addWidget(line)
        found = self.store.metrics(run_id, [metric.name for metric in metrics])
        for line in self.lines:
            series = found.get(line.of_metric.name)
            line.show_values([] if series is None else series.cycles,
                             [] if series is None else series.values, cycle)

    def _sampled(self) -> float:
        """Return the temperature that the run samples at."""
        return float(self._settings.get("temperature", 1.0))

    def _ask(self) -> None:
        """Ask for the whole distribution, where it is wanted and can be had."""
        if (self.whole.isChecked() and self._place is not None and self._found is None
                and not self._stale and self._asked is None and self._trace is not None
                and self._state in allowed(ReadDistribution)
                and self.is_seen()):
            self._number += 1
            self._asked = self._number, self._place
            self.wanted.emit(ReadDistribution(self._number, *self._place))

    def _picture(self) -> Picture:
        if self._place is None or self._trace is None:
            return Picture()
        _, cycle, _, at = self._place
        term = self._algorithm.entropy
        if self._found is not None:
            return self._found.at(self._temperature)
        return read_kept(self._trace, at, term, self._settings, cycle)

    def _show(self) -> None:
        place = self._place
        self._pages.setCurrentWidget(self._empty if place is None else self._scroll)
        enable(self.whole, self._state in allowed(ReadDistribution), WHEN[ReadDistribution][1])
        for widget in (self.slider, self._degrees, self._slider_name):
            enable(widget, self._found is not None, _SLIDER_OFF)
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(self._temperature * _STEPS))
        self._degrees.setText(number(self._temperature))
        if place is None or self._stale:
            return
        picture = self._picture()
        term = self._algorithm.entropy
        self._where.setText(place_text(self._trace, place[1], place[3]))
        self._said.setText(self._say(picture))
        self._idea.setText(self._say_idea(place[1]))
        self.bars.setVisible(bool(picture.rows))
        self.bars.show_picture(picture, "" if term is None else term.symbol)

    def _say(self, picture: Picture) -> str:
        """Say what is on display, and its entropy."""
        if self._trace is None:
            return _GONE
        at = self._sampled()
        if self._found is not None:
            said = f"Entropy {number(picture.entropy)} nats at temperature {number(at)}"
            if self._temperature == at:
                return f"{said}."
            shown = number(self._temperature)
            return (f"{said}, {number(picture.reshaped)} nats at {shown}. All bars are at "
                    f"temperature {shown}, those of the start policy too.")
        if self._asked is not None:
            return "Reading…"
        if not picture.rows:
            how = _HOW if self.whole.isEnabled() else (
                "Whole distribution reads how likely every token is by a policy in memory: "
                f"{WHEN[ReadDistribution][1][0].lower()}{WHEN[ReadDistribution][1][1:]}")
            return f"{self._not_kept()} {how}"
        known = (f"Entropy before the update {number(picture.entropy)} nats at temperature "
                 f"{number(at)}. " if picture.entropy == picture.entropy else "")
        return f"{known}{_HOW}"

    def _not_kept(self) -> str:
        """Say why there are no bars."""
        if self._algorithm.entropy is None and self._algorithm.learns_from:
            return (f"{self._algorithm.title} keeps no likeliest tokens of the completions that it "
                    "learns from.")
        return _NOT_KEPT

    def _say_idea(self, cycle: int) -> str:
        """Say what temperature does and what entropy does."""
        term = self._algorithm.entropy
        said = "Temperature changes how a token is drawn and leaves the policy as it is"
        if term is None:
            return f"{said}."
        why = term.off(self._settings, cycle)
        if why:
            return (f"{said}. The entropy term would change the policy itself; it is off in this "
                    f"cycle ({why}).")
        coefficient = self._settings[term.coefficient]
        whose = ("by the chances of the policy as it is now, so that they may turn from those "
                 "before the update" if self._found is not None else
                 "by the chances before the update")
        return (f"{said}. The entropy term ({term.symbol} = {coefficient:g}) changes the policy "
                f"itself: the arrows say which tokens it pushes up and which down, {whose}, "
                "whatever the slider shows.")

    def _show_row(self, row: Row | None) -> None:
        self._pointed.setText("" if row is None else say_row(row, self.bars.picture))

    # -- making it

    def _build(self) -> None:
        outer = vbox(self, margins=8)
        self._empty = label(_EMPTY, "muted", wrap=True, name="chances_empty")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        whole = QWidget()
        column = vbox(whole, spacing=6)
        self._where = named(QElidingLabel(textFormat=Qt.TextFormat.PlainText), "chances_where",
                            "Place", "The place in a completion that is looked at")
        self._where.setElideMode(Qt.TextElideMode.ElideMiddle)
        column.addWidget(self._where)
        column.addWidget(self.behind)
        column.addWidget(self._make_controls())
        self._said = self._sentence("chances_said", "Entropy, and what is shown", column)
        self._parts = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._parts.setSpacing(12)
        self.bars = ChanceBars()
        self.bars.pointed.connect(self._show_row)
        beside = QWidget()
        self._plots = vbox(beside)
        self._idea = self._sentence("chances_idea", "Temperature and entropy", self._plots)
        self._parts.addWidget(self.bars, 3)
        self._parts.addWidget(beside, 2)
        column.addLayout(self._parts, 1)
        self._pointed = named(QElidingLabel(textFormat=Qt.TextFormat.PlainText), "chances_pointed",
                              "The token pointed at", "")
        column.addWidget(self._pointed)
        self._scroll = FormScroll(whole)
        self._pages = QStackedWidget()
        self._pages.addWidget(self._empty)
        self._pages.addWidget(self._scroll)
        outer.addWidget(self._pages)

    def _make_controls(self) -> QWidget:
        controls = QWidget()
        flow = QFlowLayout(controls)
        flow.setContentsMargins(0, 0, 0, 0)
        self.whole = named(QPushButton("Whole distribution"), "chances_whole",
                           "Whole distribution",
                           "Read how likely every token is at this place, by the policy as it is "
                           "now and by the start policy; it changes nothing of the run")
        self.whole.setCheckable(True)
        self.whole.toggled.connect(self.read_whole)
        flow.addWidget(self.whole)
        self.slider = named(QSlider(Qt.Orientation.Horizontal), "chances_temperature",
                            "Temperature (sampling)",
                            "Shows the distribution as it is drawn from at another temperature: "
                            "below 1 the likeliest tokens gain, above it the others. Nothing else "
                            "changes")
        self.slider.setRange(round(_COLDEST * _STEPS), round(_HOTTEST * _STEPS))
        self.slider.setSingleStep(5)
        self.slider.setPageStep(25)
        self.slider.setMinimumWidth(160)
        self.slider.valueChanged.connect(lambda value: self.set_temperature(value / _STEPS))
        self._degrees = label(number(_HOTTEST))
        self._degrees.setFixedWidth(self._degrees.sizeHint().width() + 4)
        group = QWidget()
        group.setMinimumHeight(self.whole.sizeHint().height())  # side by side with it
        self._slider_name = label("Temperature (sampling)")
        hbox(group, self._slider_name, self.slider, self._degrees, spacing=6)
        flow.addWidget(group)
        return controls

    def _sentence(self, name: str, title: str, column: QVBoxLayout) -> Any:
        made = label("", wrap=True, name=name, title=title)
        column.addWidget(StillLabel(made))
        return made
