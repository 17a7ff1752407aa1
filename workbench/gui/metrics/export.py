"""Writes the plots as a picture and their numbers as a table."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from PySide6.QtCore import QPoint, QRect, QSize
from PySide6.QtGui import QPainter, QPixmap
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QWidget

from workbench.gui.metrics.data import RunData

FILTERS = {"png": "PNG picture (*.png)", "svg": "SVG drawing (*.svg)", "csv": "CSV table (*.csv)"}


def export(path: Path, plots: QWidget, run: RunData) -> None:
    """Write ``plots`` (.png, .svg) or every number of ``run`` (.csv), by the file's ending.

    Raises:
        OSError: the file could not be written.
    """
    if path.suffix == ".csv":
        _write_csv(path, run)
    elif path.suffix == ".svg":
        _write_svg(path, plots)
    else:
        picture = QPixmap(plots.size() * 2)  # sharp in print and on dense screens
        picture.setDevicePixelRatio(2)
        plots.render(picture)
        if not picture.save(str(path), "PNG"):
            raise OSError(f"{path} could not be written")


def _write_svg(path: Path, plots: QWidget) -> None:
    path.touch()  # QSvgGenerator only warns when it cannot write
    # The tiny profile has no clipping: an outlier would be drawn across the other plots.
    generator = QSvgGenerator(QSvgGenerator.SvgVersion.Svg11)
    generator.setResolution(plots.logicalDpiX())
    generator.setFileName(str(path))
    generator.setSize(QSize(plots.width(), plots.height()))
    generator.setViewBox(QRect(0, 0, plots.width(), plots.height()))
    generator.setTitle("Metrics of a PPO run")
    painter = QPainter(generator)
    plots.render(painter, QPoint())
    painter.end()


def _write_csv(path: Path, run: RunData) -> None:
    names = list(run.traces)
    tables = [dict(zip(t.cycles.tolist(), t.values.tolist(), strict=True))
              for t in run.traces.values()]
    cycles = sorted(set().union(*tables))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["cycle", *names])
        for cycle in cycles:
            cells = (table.get(cycle, math.nan) for table in tables)
            writer.writerow([int(cycle), *("" if math.isnan(v) else repr(v) for v in cells)])
