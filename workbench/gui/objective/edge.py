"""What the band holds, in a sentence; and what another one would have held."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from workbench.algorithm import Algorithm, TrustRegion
from workbench.formatting import format_value
from workbench.gui.objective.reading import Picture, count_tokens
from workbench.gui.widgets.controls import describe, enable, label, named, push_button
from workbench.gui.widgets.layouts import hbox
from workbench.gui.widgets.number_field import NumberField
from workbench.gui.widgets.still_label import StillLabel

_NOT_KEPT = ("The tokens of cycle {:,} were not kept, so that the curves stand alone. Set Token "
             "details kept, under Run in Hyperparameters, higher before the next run.")


class Edge(QWidget):
    """``moved`` tells that another edge is tried; ``wanted`` that it is to be used: a setting's
    name and its value."""

    moved = Signal()
    wanted = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self._picture: Picture | None = None
        self._run: tuple[int, str] | None = None
        self._tried: float | None = None
        self.said = label(wrap=True, name="objective_said", title="The trust region in words")
        self._symbol = label()
        self.field: NumberField | None = None
        self.use = push_button(
            "Use", "objective_use", "Put what is tried into Hyperparameters", self._use)
        self._row = hbox(self, (StillLabel(self.said), 1), self._symbol, self.use, spacing=6)

    def settings(self) -> Mapping[str, object]:
        """Return the settings of the cycle, with the edge that is tried."""
        picture = self._picture
        assert picture is not None
        assert picture.settings is not None
        tried = {} if self._tried is None else {self._region().edge: self._tried}
        return {**picture.settings, **tried}

    def show_picture(self, picture: Picture) -> None:
        """Tell of the cycle on display; an edge that is tried stays within a run."""
        self._picture = picture
        if self._run != (run := (picture.run_id, picture.algorithm.name)):
            self._make_field(picture.algorithm)
            self._run, self._tried = run, None
        self._say()

    def drag_to(self, ratio: float) -> None:
        """Try the edge that is at this ratio, to two decimals."""
        if self.field is not None:
            self.field.take(max(0.01, round(self._region().edge_at(ratio), 2)))

    def _region(self) -> TrustRegion:
        assert self._picture is not None
        assert self._picture.algorithm.objective is not None
        region = self._picture.algorithm.objective.region
        assert region is not None
        return region

    def _make_field(self, algorithm: Algorithm) -> None:
        if self.field is not None:
            self._row.removeWidget(self.field)
            self.field.deleteLater()
        region = self._region()
        spec = algorithm.settings.specs()[region.edge]
        self.field = named(
            NumberField(spec), "objective_edge", f"Try {spec.label}",
            f"Another {region.symbol}: what this update would have held with it. Dragging an edge "
            "of the band does the same")
        self.field.setMinimumWidth(self.fontMetrics().averageCharWidth() * 10)
        self.field.edited.connect(self._try)
        self._symbol.setText(f"Try {region.symbol}")
        self._symbol.setBuddy(self.field)
        self._row.insertWidget(2, self.field)

    def _try(self, value: float) -> None:
        self._tried = float(value)
        self._say()
        self.moved.emit()

    def _say(self) -> None:
        picture, region, field = self._picture, self._region(), self.field
        assert picture is not None
        assert picture.settings is not None
        assert field is not None
        spec = picture.algorithm.settings.specs()[region.edge]
        used = picture.settings[region.edge]
        if self._tried == used:
            self._tried = None
        settings = self.settings()
        tried = settings[region.edge]
        assert isinstance(tried, int | float)
        field.set_value(tried)
        shown = f"{region.symbol} = {format_value(spec, tried)}"
        self.use.setText(f"Use {shown}")
        self.use.setAccessibleName(self.use.text())
        describe(self.use, f"Put {shown} into Hyperparameters, as if it were typed")
        enable(self.use, self._tried is not None,
               "Drag an edge of the band, or type another number, first.")
        if picture.tokens is None:
            self.said.setText(_NOT_KEPT.format(picture.cycle))
            return
        outside, held = count_tokens(region, settings, picture.tokens)
        total = len(picture.tokens.ratio)
        low, high = region.band(settings)
        would = self._tried is not None
        count = f"{outside:,} of {total:,} tokens" if outside else f"none of {total:,} tokens"
        count += f" {'of this update would be' if would else 'are'} outside the band"
        text = f"With {shown}, {count}" if would else f"{count[:1].upper()}{count[1:]}"
        text += f" {low:.3g} to {high:.3g}"
        if outside:
            be = "would be" if would else "are"
            text += (f"; all of these {be} held by the clip" if held == outside else
                     f"; {held:,} of these {be} held by the clip, the others "
                     "moved against their advantage, carried by other tokens")
        self.said.setText(f"{text}.")

    def _use(self) -> None:
        if self._tried is not None:
            self.wanted.emit(self._region().edge, self._tried)
