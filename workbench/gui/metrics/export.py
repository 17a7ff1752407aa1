"""Writes a figure as a picture, a drawing or a page, and the numbers behind it as a table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice, QMarginsF, QRect, QSize, QSizeF, Qt
from PySide6.QtGui import QImage, QPageSize, QPainter, QPdfWriter
from PySide6.QtSvg import QSvgGenerator

from workbench.gui.metrics.data import RunData
from workbench.gui.metrics.figure import Figure
from workbench.store.csv_cells import as_text

FILTERS = {"png": "PNG picture (*.png)", "svg": "SVG drawing (*.svg)", "pdf": "PDF page (*.pdf)",
           "csv": "CSV table (*.csv)"}
_DPI = 300
_PDF_DPI = 1200
_WIDEST = 170 * 72 / 25.4  # letters grow with what is wider than a page


@dataclass(frozen=True, slots=True)
class Width:
    """How wide a figure is, in millimetres (a PNG has 300 dots an inch) or in pixels (of which
    96 are an inch)."""

    size: float
    unit: str = "mm"

    @property
    def points(self) -> float:
        """The width on paper, in 1/72 inch."""
        return self.size * 72 / (25.4 if self.unit == "mm" else 96)

    @property
    def pixels(self) -> int:
        """How many pixels wide a PNG is."""
        return round(self.size if self.unit == "px" else self.points * _DPI / 72)

    @property
    def drawn(self) -> float:
        """At which width the figure is laid out, in points, before it is scaled to its own."""
        return min(self.points, _WIDEST)


ONE_COLUMN, TWO_COLUMNS = Width(85), Width(170)


def picture(figure: Figure, width: Width) -> QImage:
    """Return the figure as an image."""
    scale = width.pixels / width.drawn
    image = QImage(width.pixels, math.ceil(figure.height(width.drawn) * scale),
                   QImage.Format.Format_RGB32)
    dots = round(width.pixels / (width.points / 72) / 0.0254)
    image.setDotsPerMeterX(dots)
    image.setDotsPerMeterY(dots)
    image.fill(Qt.GlobalColor.white)
    painter = QPainter(image)
    painter.scale(scale, scale)
    figure.paint(painter, width.drawn)
    painter.end()
    return image


def write(path: Path, figure: Figure, width: Width, runs: Sequence[RunData],
          names: Sequence[str]) -> None:
    """Write ``figure`` (.png, .svg, .pdf) or the metrics ``names`` of ``runs`` (.csv), by the
    file's ending.

    Raises:
        OSError: the file could not be written.
    """
    kind = path.suffix.lower()
    if kind == ".csv":
        path.write_text(table(runs, names), encoding="utf-8", newline="")
        return
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if kind == ".svg":
        _draw_svg(figure, width, buffer)
    elif kind == ".pdf":
        _draw_pdf(figure, width, buffer)
    else:
        picture(figure, width).save(buffer, "PNG")  # type: ignore[call-overload]
    path.write_bytes(bytes(buffer.data().data()))


def table(runs: Sequence[RunData], names: Sequence[str]) -> str:
    """Return the numbers as CSV: a row for each cycle of each run, which has its number and its
    name; empty where there is none."""
    text = io.StringIO()
    # A companion that no run has, as held-out prompts, is no column.
    names = [name for name in names if any(name in run.curves for run in runs)]
    writer = csv.writer(text)
    writer.writerow(["run", "name", "cycle", *map(as_text, names)])
    for run in runs:
        known = [run.curves[name] for name in names if name in run.curves]
        columns = [dict(zip(run.curves[name].cycles.tolist(), run.curves[name].values.tolist(),
                            strict=True)) if name in run.curves else {} for name in names]
        cycles = sorted({cycle for curve in known for cycle in curve.cycles.tolist()})
        for cycle in cycles:
            cells = (column.get(cycle, math.nan) for column in columns)
            writer.writerow([run.run_id, as_text(run.name), int(cycle),
                             *("" if math.isnan(v) else repr(v) for v in cells)])
    return text.getvalue()


def _draw_svg(figure: Figure, width: Width, device: QIODevice) -> None:
    scale = width.points / width.drawn
    size = QSize(round(width.points), math.ceil(figure.height(width.drawn) * scale))
    # The tiny profile has no clipping: an outlier would be drawn across the other plots.
    generator = QSvgGenerator(QSvgGenerator.SvgVersion.Svg11)
    generator.setResolution(72)
    generator.setOutputDevice(device)
    generator.setSize(size)
    generator.setViewBox(QRect(0, 0, size.width(), size.height()))
    generator.setTitle(figure.title or "Metrics of a run")
    painter = QPainter(generator)
    painter.scale(scale, scale)
    figure.paint(painter, width.drawn)
    painter.end()


def _draw_pdf(figure: Figure, width: Width, device: QIODevice) -> None:
    scale = width.points / width.drawn
    page = QSizeF(width.points, math.ceil(figure.height(width.drawn) * scale))
    writer = QPdfWriter(device)
    writer.setPageSize(QPageSize(page, QPageSize.Unit.Point, "figure",
                                 QPageSize.SizeMatchPolicy.ExactMatch))
    writer.setPageMargins(QMarginsF(0, 0, 0, 0))
    writer.setResolution(_PDF_DPI)
    writer.setTitle(figure.title or "Metrics of a run")
    writer.setCreator("PPO Workbench")
    painter = QPainter(writer)
    painter.scale(scale * _PDF_DPI / 72, scale * _PDF_DPI / 72)
    figure.paint(painter, width.drawn)
    painter.end()
