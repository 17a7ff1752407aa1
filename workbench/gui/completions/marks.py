"""How words that changed are marked: one hue of their own, since better and worse have colours."""

from __future__ import annotations

from PySide6.QtGui import QColor, QTextCharFormat, QTextCursor, QTextLayout
from PySide6.QtWidgets import QTextEdit

from workbench.gui.completions.diff import Span, split
from workbench.gui.widgets.theme import themes


def changed_format() -> QTextCharFormat:
    """Return the look of changed words. Colour is never the only cue."""
    theme, style = themes().theme, QTextCharFormat()
    style.setBackground(QColor(theme.changed))
    style.setUnderlineStyle(QTextCharFormat.UnderlineStyle.SingleUnderline)
    style.setUnderlineColor(QColor(theme.accent))
    return style


def fill(text: QTextEdit, written: str, changed: tuple[Span, ...]) -> None:
    """Show ``written``, with the words in ``changed`` marked."""
    text.clear()
    plain, marked = QTextCharFormat(), changed_format()
    cursor = QTextCursor(text.document())
    cursor.beginEditBlock()
    for piece, is_changed in split(written, changed):
        cursor.insertText(piece, marked if is_changed else plain)
    cursor.endEditBlock()
    text.moveCursor(QTextCursor.MoveOperation.Start)


def ranges(text: str, changed: tuple[Span, ...]) -> list[QTextLayout.FormatRange]:
    """Return the same marks for a text that is laid out by hand."""
    style = changed_format()
    result, position = [], 0
    for piece, is_changed in split(text, changed):
        length = len(piece.encode("utf-16-le")) // 2  # Qt counts in UTF-16
        if is_changed:
            part = QTextLayout.FormatRange()
            part.start, part.length, part.format = position, length, style
            result.append(part)
        position += length
    return result
