"""The completions of one prompt, drawn: height is the worth, colour the advantage, and the dashed
line what they were held against."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from workbench.algorithm import Siblings
from workbench.formatting import number, signed
from workbench.gui.paths.groups import Group, Sibling
from workbench.gui.paths.layout import spread
from workbench.gui.what_is import explain_by, of_picture
from workbench.gui.widgets.controls import describe, named
from workbench.gui.widgets.theme import Theme, mix, themes

_SCALE, _EDGE = 44, 6  # pixels for the numbers of the scale, and at the other edges
_PROMPT, _PROMPT_SHARE = 170, 0.2  # pixels that the prompt takes at most, and of the width
_FAN = 0.24  # of what is left of the width, for the paths; the texts have the rest
_LEADER, _GAP = 18, 12  # pixels from a path's end to its line, and between columns
_LINES = 3  # of the prompt
_TICKS = 4
_FAINT = 0.35  # the least of a colour: what is hardly better still is
_EVEN = 1e-6


class SiblingTree(QWidget):
    """Shows a :class:`Group`. ``pointed`` carries the row that is pointed at or gone to with Up and
    Down, the best first, -1: none; ``opened`` the row that was clicked or entered; ``turned``
    whether the next prompt is wanted (1) or the one before (-1)."""

    pointed = Signal(int)
    opened = Signal(int)
    turned = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        named(self, "sibling_tree", "Siblings", "")
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._about: Siblings | None = None
        explain_by(self, lambda: of_picture(self._about) if self._about else None)
        self.group: Group | None = None
        self.row = -1
        """Which is pointed at."""
        self.read_row = -1
        """Which is read in Tokens."""
        self._rows: list[float] = []  # the middle of each line
        themes().changed.connect(self.update)

    def show_group(self, group: Group | None, about: Siblings | None, read: int = -1) -> None:
        """Draw a group, of which the completion in row ``read`` is read elsewhere."""
        same = group is not None and self.group is not None and (
            [m.record.position for m in group.members]
            == [m.record.position for m in self.group.members])
        self.group, self._about, self.read_row = group, about, read
        describe(self, f"{about.help}. A click or Enter opens a completion in Tokens; Up and Down "
                       "go from one to another, Left and Right to another prompt." if about else "")
        if not same:
            self._point_at(-1)
        self.setMinimumHeight(self.minimumSizeHint().height())
        self._lay_out()

    def sizeHint(self) -> QSize:
        """Room for some ten completions."""
        return QSize(560, 240)

    def minimumSizeHint(self) -> QSize:
        """A line for each."""
        count = len(self.group.members) if self.group else 4
        return QSize(240, max(96, round((count + 1) * self._high + 2 * _EDGE)))

    # -- where things are

    @property
    def _high(self) -> float:
        return self.fontMetrics().height() + 2

    @property
    def _top(self) -> float:
        return self._high + _EDGE  # below the heads of the columns

    @property
    def _prompt_end(self) -> float:
        return _SCALE + min(_PROMPT, _PROMPT_SHARE * self.width())

    @property
    def _fan_end(self) -> float:
        return self._prompt_end + _FAN * (self.width() - self._prompt_end)

    def height_of(self, worth: float) -> float:
        """Return the height of a number."""
        low, high = self.span()
        bottom = self.height() - _EDGE - self._high / 2
        top = self._top + self._high / 2
        return top + (high - worth) / (high - low) * (bottom - top)

    def span(self) -> tuple[float, float]:
        """Return the least and the largest number drawn, a little apart."""
        members = self.group.members if self.group else ()
        numbers = [m.worth for m in members] + ([self.group.mean] if self.group else [])
        known = [worth for worth in numbers if math.isfinite(worth)]
        low, high = min(known, default=0.0), max(known, default=1.0)
        return (low, high) if high - low > _EVEN else (low - 0.5, high + 0.5)

    def end(self, row: int) -> QPointF:
        """Return where a path ends."""
        assert self.group is not None
        worth, mean = self.group.members[row].worth, self.group.mean
        return QPointF(self._fan_end, self.height_of(worth if math.isfinite(worth) else mean))

    def line(self, row: int) -> QRectF:
        """Return where a completion's numbers and text stand."""
        left = self._fan_end + _LEADER
        return QRectF(left, self._rows[row] - self._high / 2, self.width() - _EDGE - left,
                      self._high)

    def colour(self, row: int, theme: Theme) -> QColor:
        """Return the colour of a path: the stronger, the further its advantage is from 0."""
        assert self.group is not None
        known = [abs(m.advantage) for m in self.group.members if math.isfinite(m.advantage)]
        most, gained = max(known, default=0.0), self.group.members[row].advantage
        if not math.isfinite(gained) or abs(gained) <= _EVEN:
            return QColor(theme.muted)
        share = _FAINT + (1 - _FAINT) * abs(gained) / most
        return QColor(mix(theme.good if gained > 0 else theme.bad, theme.border, share))

    def columns(self) -> list[tuple[str, float, list[str]]]:
        """Return the columns of numbers, with their heads and widths: the score, what it was worth
        where that is another number, and the advantage."""
        members = self.group.members if self.group else ()
        found = [("Score", [number(m.record.score) for m in members])]
        if any(m.priced for m in members):
            found.append(("Worth", [number(m.worth) for m in members]))
        if any(math.isfinite(m.advantage) for m in members):
            found.append(("Advantage", [signed(m.advantage) for m in members]))
        wide = self.fontMetrics().horizontalAdvance
        return [(head, float(max(map(wide, (head, *texts)))), texts) for head, texts in found]

    def _lay_out(self) -> None:
        rows = range(len(self.group.members) if self.group else 0)
        self._rows = spread([self.end(row).y() for row in rows], [self._high] * len(rows),
                            self._top + self._high / 2,
                            max(self._top + self._high, self.height() - _EDGE - self._high / 2))
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Stand the lines clear of one another anew."""
        super().resizeEvent(event)
        self._lay_out()

    def changeEvent(self, event: QEvent) -> None:
        """A larger font needs more room."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.setMinimumHeight(self.minimumSizeHint().height())
            self._lay_out()

    # -- pointing

    def row_at(self, at: QPointF) -> int:
        """Return whose line or path's end is at a place; -1 where there is none."""
        rows = range(len(self._rows))
        if at.x() >= self._fan_end + _LEADER:
            return next((row for row in rows if self.line(row).contains(at)), -1)
        near = min(rows, default=-1, key=lambda row: abs(self.end(row).y() - at.y()))
        there = near >= 0 and at.x() >= (self._prompt_end + self._fan_end) / 2
        return near if there and abs(self.end(near).y() - at.y()) <= self._high else -1

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Point at a completion."""
        self._point_at(self.row_at(event.position()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Open one."""
        row = self.row_at(event.position())
        if row >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self._point_at(row)
            self.opened.emit(row)
        super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go from completion to completion, best first, and from prompt to prompt."""
        key, last = Qt.Key(event.key()), len(self._rows) - 1
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(key)
        end = {Qt.Key.Key_Home: 0, Qt.Key.Key_End: last}.get(key)
        turn = {Qt.Key.Key_Right: 1, Qt.Key.Key_Left: -1}.get(key)
        if turn is not None:
            self.turned.emit(turn)
        elif last >= 0 and end is not None:
            self._point_at(end)
        elif last >= 0 and step is not None:
            self._point_at(0 if self.row < 0 else max(0, min(self.row + step, last)))
        elif self.row >= 0 and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.opened.emit(self.row)
        else:
            super().keyPressEvent(event)

    def _point_at(self, row: int) -> None:
        if row != self.row:
            self.row = row
            self.pointed.emit(row)
            self.update()

    # -- drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        if self.group is None:
            return
        theme, painter = themes().theme, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = QFont(self.font())
        font.setFeature(QFont.Tag("tnum"), 1)
        painter.setFont(font)
        self._draw_scale(painter, theme)
        rows = range(len(self.group.members))
        for row in sorted(rows, key=lambda row: (row == self.row, row == self.read_row)):
            self._draw_path(painter, theme, row)
        self._draw_prompt(painter, theme, self.group)
        self._draw_lines(painter, theme, self.group.members)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme.accent), 1))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)

    def _draw_scale(self, painter: QPainter, theme: Theme) -> None:
        low, high = self.span()
        count = max(1, min(_TICKS, int((self.height_of(low) - self.height_of(high)) / self._high)))
        for value in (low + (high - low) * i / count for i in range(count + 1)):
            y = self.height_of(value)
            painter.setPen(QPen(QColor(theme.border), 1))
            painter.drawLine(QPointF(_SCALE, y), QPointF(self._fan_end, y))
            painter.setPen(QColor(theme.muted))
            painter.drawText(QRectF(0, y - 10, _SCALE - 6, 20), Qt.AlignmentFlag.AlignRight
                             | Qt.AlignmentFlag.AlignVCenter, number(value, 1))

    def _draw_path(self, painter: QPainter, theme: Theme, row: int) -> None:
        assert self.group is not None
        start, end = QPointF(self._prompt_end, self.height_of(self.group.mean)), self.end(row)
        bend = (end.x() - start.x()) / 2
        path = QPainterPath(start)
        path.cubicTo(QPointF(start.x() + bend, start.y()), QPointF(end.x() - bend, end.y()), end)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        wide = 2.0 + 1.2 * (row == self.row) + 2.0 * (row == self.read_row)
        painter.setPen(QPen(self.colour(row, theme), wide))
        painter.drawPath(path)
        painter.setPen(QPen(QColor(theme.accent if row == self.row else theme.border), 1))
        painter.drawLine(end, QPointF(end.x() + _LEADER - 3, self._rows[row]))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.accent if row == self.row else theme.text))
        painter.drawEllipse(end, 3.0, 3.0)

    def _draw_prompt(self, painter: QPainter, theme: Theme, group: Group) -> None:
        """Draw the prompt, where all begin, with what they were held against below it, and the
        dashed line of that."""
        y, accent = self.height_of(group.mean), QColor(theme.accent)
        painter.setPen(QPen(accent, 1.6, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(_SCALE, y), QPointF(self._fan_end, y))
        wide = self._prompt_end - _SCALE - 4
        inside = int(wide) - 12
        texts = wrapped(" ".join(group.text.split()), inside, self)
        line = self._about.line if self._about else ""
        below = wrapped(f"{line} {number(group.mean)}", inside, self)
        high = (len(texts) + len(below)) * self._high + 8
        top = max(1.0, min(y - high / 2, self.height() - high - 1))
        painter.setPen(QPen(accent, 1))
        painter.setBrush(QColor(theme.base))
        painter.drawRoundedRect(QRectF(_SCALE, top, wide, high), 4, 4)
        for i, text in enumerate([*texts, *below]):
            painter.setPen(QColor(theme.text) if i < len(texts) else accent)
            painter.drawText(QRectF(_SCALE + 6, top + 4 + i * self._high, inside, self._high),
                             Qt.AlignmentFlag.AlignVCenter, text)

    def _draw_lines(
        self, painter: QPainter, theme: Theme, members: Sequence[Sibling]
    ) -> None:
        right, left = Qt.AlignmentFlag.AlignRight, Qt.AlignmentFlag.AlignLeft
        middle, columns = Qt.AlignmentFlag.AlignVCenter, self.columns()
        for row in range(len(members)):
            box = self.line(row)
            if row in (self.row, self.read_row):
                ground = QColor(theme.accent)
                ground.setAlphaF(0.22 if row == self.row else 0.1)
                painter.fillRect(box, ground)
        at = self._fan_end + _LEADER + 4
        for head, wide, texts in columns:
            painter.setPen(QColor(theme.muted))
            painter.drawText(QRectF(at, _EDGE / 2, wide, self._high), right | middle, head)
            for row, text in enumerate(texts):
                gained = members[row].advantage if head == "Advantage" else 0.0
                painter.setPen(QColor(theme.text if not abs(gained) > _EVEN else
                                      theme.good if gained > 0 else theme.bad))
                painter.drawText(QRectF(at, self.line(row).top(), wide, self._high),
                                 right | middle, text)
            at += wide + _GAP
        room = self.width() - _EDGE - at - 2
        painter.setPen(QColor(theme.muted))
        painter.drawText(QRectF(at, _EDGE / 2, room, self._high), left | middle, "Completion")
        painter.setPen(QColor(theme.text))
        for row, member in enumerate(members):
            text = self.fontMetrics().elidedText(
                one_line(member.record.text), Qt.TextElideMode.ElideRight, int(max(0, room)))
            painter.drawText(QRectF(at, self.line(row).top(), room, self._high), left | middle,
                             text)


def one_line(text: str) -> str:
    """Return the beginning of a text, which may be long, in one line."""
    return " ".join(text[:400].split())


def wrapped(text: str, wide: int, widget: QWidget) -> list[str]:
    """Return a text in lines of at most ``wide`` pixels: its end, where it is long."""
    metrics = widget.fontMetrics()
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and metrics.horizontalAdvance(longer) <= wide:
            lines[-1] = longer
        else:
            lines.append(metrics.elidedText(word, Qt.TextElideMode.ElideRight, wide))
    if len(lines) > _LINES:
        lines = lines[-_LINES:]
        lines[0] = metrics.elidedText(f"…{lines[0]}", Qt.TextElideMode.ElideRight, wide)
    return lines
