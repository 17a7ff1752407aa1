"""Draws the lines of the tree before a run's name."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QLine,
    QModelIndex,
    QPersistentModelIndex,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QIcon, QImage, QPainter, QPen, QPixmap
from PySide6.QtWidgets import (
    QLineEdit,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from workbench.gui.runs.model import BRANCH_ROLE, Branch
from workbench.gui.widgets.theme import themes

STEP = 14
# What a style sheet adds to a tick box and Qt leaves out of a cell's size.
_BOX = 6
Index = QModelIndex | QPersistentModelIndex


class TreeDelegate(QStyledItemDelegate):
    """Moves a name to the right by its depth and joins it to the run it was forked from."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw the lines, then the cell beside them."""
        lines = _branch(index).lines
        if lines:
            # The row's own background first, under the lines.
            style = option.widget.style()
            style.drawPrimitive(
                QStyle.PrimitiveElement.PE_PanelItemViewItem, option, painter, option.widget)
            painter.setPen(QPen(QColor(themes().theme.muted), 1))
            painter.drawLines(_lines(option, lines))
        super().paint(painter, _beside(option, index), index)

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        """Show the swatch in its own colour in the selected row too."""
        super().initStyleOption(option, index)
        picture = index.data(Qt.ItemDataRole.DecorationRole)
        if isinstance(picture, QImage):
            icon, drawn = QIcon(), QPixmap.fromImage(picture)
            for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):
                icon.addPixmap(drawn, mode)
            option.icon = icon
            option.decorationSize = drawn.deviceIndependentSize().toSize()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Leave room for the lines."""
        return super().sizeHint(option, index) + QSize(indent(index) + _BOX, 0)

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        """Show the name, unless it is being changed: a cycle may end meanwhile."""
        if not (isinstance(editor, QLineEdit) and editor.isModified()):
            super().setEditorData(editor, index)

    def updateEditorGeometry(
        self, editor: QWidget, option: QStyleOptionViewItem, index: Index
    ) -> None:
        """Edit the name where it stands."""
        super().updateEditorGeometry(editor, _beside(option, index), index)

    def editorEvent(
        self, event: QEvent, model: QAbstractItemModel, option: QStyleOptionViewItem,
        index: Index,
    ) -> bool:
        """Tick where the box stands."""
        return super().editorEvent(event, model, _beside(option, index), index)


def indent(index: Index) -> int:
    """Return how many pixels a name stands to the right."""
    return STEP * _branch(index).depth


def _branch(index: Index) -> Branch:
    found = index.data(BRANCH_ROLE)
    return found if isinstance(found, Branch) else Branch()


def _beside(option: QStyleOptionViewItem, index: Index) -> QStyleOptionViewItem:
    moved = QStyleOptionViewItem(option)
    moved.rect.setLeft(option.rect.left() + indent(index))
    return moved


def _lines(option: QStyleOptionViewItem, lines: tuple[bool, ...]) -> list[QLine]:
    """Return a line down for every level that goes on below, and the corner of the last."""
    rect, found = option.rect, []
    for level, goes_on in enumerate(lines):
        x = rect.left() + STEP * level + STEP // 2 + 2
        last = level == len(lines) - 1
        if goes_on or last:
            bottom = rect.bottom() if goes_on else rect.center().y()
            found.append(QLine(x, rect.top(), x, bottom))
        if last:
            found.append(QLine(x, rect.center().y(), x + STEP // 2, rect.center().y()))
    return found
