"""Choosing what is exported of the plots, how wide and as what."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from workbench.gui.metrics.data import RunData
from workbench.gui.metrics.export import (
    FILTERS,
    ONE_COLUMN,
    TWO_COLUMNS,
    Width,
    picture,
    write,
)
from workbench.gui.metrics.figure import Figure
from workbench.gui.widgets.controls import describe, enable, label, named
from workbench.gui.widgets.dialog import Dialog, choose_new_file
from workbench.gui.widgets.layouts import hbox
from workbench.gui.widgets.theme import themes

_SIZE = (860, 460)
_FORMATS = {"png": "PNG picture", "svg": "SVG drawing", "pdf": "PDF page", "csv": "CSV table"}
_NO_PICTURE = "A table has neither title nor width."


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to export: what it is called, its figure, and the metrics of its table."""

    name: str
    figure: Figure
    metrics: tuple[str, ...]
    width: Width = TWO_COLUMNS


class FigureDialog(Dialog):
    """Which plots, title, width and format, with a picture of what comes out.

    ``told`` is given a level and a sentence, ``saved`` a file that was written.
    """

    def __init__(self, parent: QWidget, choices: Sequence[Choice], chosen: int,
                 runs: Sequence[RunData], told: Callable[[str, str], object],
                 saved: Callable[[Path, str], object]) -> None:
        super().__init__(parent, "figure_dialog", "Export figure")
        self._choices, self._runs, self._told, self._saved = choices, runs, told, saved
        self.plots = named(QComboBox(), "figure_plots", "Plots", "All plots on screen, or one")
        self.plots.addItems([choice.name for choice in choices])
        self.plots.setCurrentIndex(chosen)
        self.title = named(QLineEdit(choices[chosen].figure.title), "figure_title", "Title", "")
        self.title.setPlaceholderText("No title")
        self.width_ = named(QComboBox(), "figure_width", "Width", "")
        for text, width in (("85 mm, one column", ONE_COLUMN), ("170 mm, a page", TWO_COLUMNS),
                            ("In pixels", None)):
            self.width_.addItem(text, width)
        self.width_.setCurrentIndex(0 if choices[chosen].width == ONE_COLUMN else 1)
        self.pixels = named(QSpinBox(), "figure_pixels", "Pixels", "")
        self.pixels.setRange(300, 8000)
        self.pixels.setValue(1600)
        self.pixels.setSuffix(" px")
        self.format = named(QComboBox(), "figure_format", "Format", "PNG has 300 dots an inch; "
                            "SVG and PDF are sharp at any size; CSV has the numbers")
        for kind, text in _FORMATS.items():
            self.format.addItem(text, kind)
        self._preview = named(_Preview(), "figure_preview", "Preview", "What will be saved")
        self._fill()
        self.add_action("Copy", "figure_copy", "Put the figure on the clipboard as a picture",
                        self.copy)
        save = self.add_accept("Save…", "figure_save", "Choose where to save it")
        self.buttons.accepted.disconnect()
        save.clicked.connect(lambda _checked=False: self._ask_where())
        self.finish("Cancel", "Leave without saving", *_SIZE)
        for change in (self.plots.currentIndexChanged, self.title.textChanged,
                       self.width_.currentIndexChanged, self.pixels.valueChanged,
                       self.format.currentIndexChanged):
            change.connect(self._show)
        self._show()

    @property
    def figure(self) -> Figure:
        """The figure as it is chosen."""
        return replace(self._choice.figure, title=self.title.text().strip())

    @property
    def width_chosen(self) -> Width:
        """The width chosen."""
        found = self.width_.currentData()
        return found if isinstance(found, Width) else Width(self.pixels.value(), "px")

    def copy(self) -> None:
        """Put the figure on the clipboard."""
        QGuiApplication.clipboard().setImage(picture(self.figure, self.width_chosen))
        self._told("info", "Copied the figure.")

    def save(self, path: Path) -> None:
        """Write what is chosen, and close."""
        try:
            write(path, self.figure, self.width_chosen, self._runs, self._choice.metrics)
        except OSError as error:
            self._told("error", f"{path} could not be written "
                                f"({error.strerror or 'unknown reason'}).")
            return
        self._saved(path, "")
        self.accept()

    @property
    def _choice(self) -> Choice:
        return self._choices[self.plots.currentIndex()]

    def _ask_where(self) -> None:
        kind = str(self.format.currentData())
        choose_new_file(self, "export_dialog", "Export figure",
                        f"{_file_name(self._choice)}.{kind}", FILTERS[kind],
                        self.save)

    def _show(self) -> None:
        """Offer what the format has, and draw the preview."""
        table = self.format.currentData() == "csv"
        sized = self.width_.currentData() is None
        for field, tip in ((self.title, "Stands above the figure; empty for none"),
                           (self.width_, "As wide as a column or a page of print, or in pixels")):
            describe(field, tip)
            enable(field, not table, _NO_PICTURE)
        describe(self.pixels, "How many pixels wide")
        enable(self.pixels, sized and not table,
               _NO_PICTURE if table else "Choose a width in pixels first.")
        self._preview.show_picture(picture(self.figure, self.width_chosen))

    def _fill(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        width = hbox(None, (self.width_, 1), self.pixels)
        for text, field in (("Plots", self.plots), ("Title", self.title), ("Width", width),
                            ("Format", self.format)):
            title = label(text)
            title.setBuddy(field if isinstance(field, QWidget) else self.width_)
            form.addRow(title, field)
        both = hbox(None, form, (self._preview, 1), spacing=16)
        self.body.addLayout(both, 1)


def _file_name(choice: Choice) -> str:
    """Return a name for the file that says of which run and what the figure is."""
    said = f"{choice.figure.title} {choice.name}".lower()
    return re.sub(r"[^\w.]+", "-", said).strip("-.") or "metrics"


class _Preview(QWidget):
    """A picture as large as there is room."""

    def __init__(self) -> None:
        super().__init__()
        self._picture = QImage()
        self.setMinimumSize(160, 120)

    def show_picture(self, picture: QImage) -> None:
        """Show another picture."""
        self._picture = picture
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it whole, in the middle."""
        room = self.rect().adjusted(0, 0, -1, -1)
        place = QRect(QPoint(), self._picture.size().scaled(
            room.size(), Qt.AspectRatioMode.KeepAspectRatio))
        place.moveCenter(room.center())
        painter = QPainter(self)
        ratio = self.devicePixelRatioF()
        painter.drawImage(place, self._picture.scaled(
            place.size() * ratio, Qt.AspectRatioMode.IgnoreAspectRatio,
            Qt.TransformationMode.SmoothTransformation))
        painter.setPen(QColor(themes().theme.border))
        painter.drawRect(place)
