"""Rows and columns of widgets, made in one call."""

from __future__ import annotations

from typing import Any, TypeVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLayout, QVBoxLayout, QWidget

B = TypeVar("B", bound=QBoxLayout)
Part = (QWidget | QLayout | int | tuple[QWidget | QLayout, int]
        | tuple[QWidget | QLayout, int, Qt.AlignmentFlag])
"""What stands in a row or column, with its stretch and alignment; a number is a stretch alone."""
STRETCH = 1
"""Room between two parts that takes up what is left."""


def hbox(on: QWidget | None, *parts: Part, margins: int | tuple[int, int, int, int] | None = 0,
         spacing: int | None = None) -> QHBoxLayout:
    """Return a row of ``parts`` from left to right, that lays out ``on``; None: for another layout.

    Args:
        margins: pixels around it, or left, above, right and below; None: the style's.
        spacing: pixels between two parts; None: the style's.
    """
    return _filled(QHBoxLayout(on), parts, margins, spacing)  # type: ignore[arg-type]


def vbox(on: QWidget | None, *parts: Part, margins: int | tuple[int, int, int, int] | None = 0,
         spacing: int | None = None) -> QVBoxLayout:
    """Return a column of ``parts``, as :func:`hbox` a row."""
    return _filled(QVBoxLayout(on), parts, margins, spacing)  # type: ignore[arg-type]


def _filled(box: B, parts: tuple[Part, ...], margins: int | tuple[int, int, int, int] | None,
            spacing: int | None) -> B:
    if margins is not None:
        left, above, right, below = margins if isinstance(margins, tuple) else (margins,) * 4
        box.setContentsMargins(left, above, right, below)
    if spacing is not None:
        box.setSpacing(spacing)
    for part in parts:
        if isinstance(part, int):
            box.addStretch(part)
            continue
        how: list[Any]
        what, *how = part if isinstance(part, tuple) else (part,)
        if isinstance(what, QWidget):
            box.addWidget(what, *how)
        else:
            box.addLayout(what, *how[:1])
    return box
