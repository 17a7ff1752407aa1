"""The workbench's icons: line drawings in ``resources/icons``, drawn in the theme's colours."""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QByteArray, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from workbench.gui.widgets.theme import ICONS, themes

# Drawn at each size so that lines stay crisp at 100 %, 150 % and 200 %.
_SIZES = (16, 20, 32, 40)


def icon(name: str, colour: str = "") -> QIcon:
    """Return an icon in ``colour`` (the theme's text by default), dimmed when disabled."""
    text = themes().theme.text
    return _drawn(name, colour or text, text)


@cache  # the form alone shows one of them at every setting
def _drawn(name: str, colour: str, dimmed: str) -> QIcon:
    drawing = (ICONS / f"{name}.svg").read_text(encoding="utf-8")
    result = QIcon()
    for mode, stroke, opacity in ((QIcon.Mode.Normal, colour, 1.0),
                                  (QIcon.Mode.Disabled, dimmed, 0.4)):
        renderer = QSvgRenderer(QByteArray(drawing.replace("currentColor", stroke).encode()))
        for size in _SIZES:
            result.addPixmap(_draw(renderer, size, opacity), mode)
    return result


def _draw(renderer: QSvgRenderer, size: int, opacity: float) -> QPixmap:
    pixmap = QPixmap(QSize(size, size))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setOpacity(opacity)
    renderer.render(painter)
    painter.end()
    return pixmap
