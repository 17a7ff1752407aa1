"""The row of controls above the completions: which cycles, a filter, copy and export."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QToolButton, QWidget
from superqt import QFlowLayout

from workbench.gui.completions.cycles import LEAST, MOST, ComparedCycles
from workbench.gui.completions.filter_field import FilterField
from workbench.gui.widgets.controls import enable, named, tool_button
from workbench.gui.widgets.cycle_picker import CyclePicker
from workbench.gui.widgets.flow import line_width
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.theme import themes

_ONE_CYCLE = "There is only one comparison so far, or none."
_FILTER = 22  # letters


class Controls(QWidget):
    """Emits what the person chooses; :meth:`show_cycles` keeps it in step."""

    picked = Signal(int, int)  # column, cycle
    added = Signal()
    removed = Signal(int)
    mode_chosen = Signal(str)
    stepped = Signal(int)
    copy_chosen = Signal(str)
    export_clicked = Signal()

    def __init__(self, view: QWidget, head: QWidget) -> None:
        """What is wrong with the filter lies over ``view``, below its ``head``."""
        super().__init__()
        layout = QFlowLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(6)
        layout.setVerticalSpacing(4)
        self._copy()  # stands beside the headline
        self.filter = FilterField("completions_filter", view, head)
        for widget in (*self._cycles(), self._modes(), self.filter):
            layout.addWidget(widget)
        height = max(w.sizeHint().height() for w in (self.pickers[0], self.previous, self.menu))
        for widget in self.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly):
            widget.setMinimumHeight(height)
        self._fit_filter()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Let the filter be narrower rather than begin a line of its own."""
        super().resizeEvent(event)
        self._fit_filter()

    def _fit_filter(self) -> None:
        left = self.width() - line_width(self, without=self.filter)
        letter = self.fontMetrics().averageCharWidth()
        least, most = self.filter.minimumWidth(), letter * _FILTER
        self.filter.setMaximumWidth(left if least <= left < most else most)

    def show_cycles(
        self, cycles: Sequence[int], shown: Sequence[int], chosen: ComparedCycles,
        forked_after: int | None = None,
    ) -> None:
        """Offer ``cycles`` and show which of them are compared and why; the last that a fork
        shares is marked."""
        several = len(cycles) > 1
        for i, picker in enumerate(self.pickers):
            picker.show_cycles(cycles, shown[i] if i < len(shown) else None, forked_after)
            picker.setVisible(i < max(LEAST, len(shown)))
            enable(picker, several, _ONE_CYCLE)
            self.removers[i].setVisible(len(shown) > LEAST and i < len(shown))
        self._more.setVisible(len(shown) > LEAST)
        for name, button in self.modes.items():
            button.setChecked(name == chosen.mode)
            enable(button, several, _ONE_CYCLE)
        places = [cycles.index(c) for c in shown]
        enable(self.previous, several and min(places) > 0,
               "There is no earlier comparison." if several else _ONE_CYCLE)
        enable(self.next, several and max(places) < len(cycles) - 1,
               "There is no later comparison." if several else _ONE_CYCLE)
        enable(self.add, chosen.another(cycles) is not None,
               _ONE_CYCLE if not several else
               f"There is room for {MOST} cycles." if len(shown) >= MOST else
               "Every cycle that is compared is shown already.")
        latest = bool(shown) and chosen.mode == "chosen" and cycles[-1] > max(shown)
        self.news.setText(f"cycle {cycles[-1]:,} is there" if latest else "")
        self.news.setVisible(latest)
        enable(self.menu, bool(cycles), "There is nothing to export yet.")

    def offer(self, copy_row: QAction) -> None:
        """Offer to copy a row, beside all of them."""
        self.menu.menu().insertAction(self.menu.menu().actions()[0], copy_row)

    def _cycles(self) -> list[QWidget]:
        """Return the controls in the groups that stay in a line."""
        self.previous = _button("cycle_previous", "‹", "All cycles one back")
        self.next = _button("cycle_next", "›", "All cycles one on")
        self.add = _button("cycle_add", "+", "Show another cycle beside these, up to four")
        self.previous.clicked.connect(lambda: self.stepped.emit(-1))
        self.next.clicked.connect(lambda: self.stepped.emit(1))
        self.add.clicked.connect(lambda: self.added.emit())
        self.pickers: list[CyclePicker] = []
        self.removers: list[QToolButton] = []
        groups = [_row(2) for _ in range(3)]
        groups[0][1].addWidget(self.previous)
        for i in range(MOST):
            picker = CyclePicker(f"completions_cycle_{i + 1}", f"Cycle of column {i + 1}",
                                 "The policy after this cycle wrote the completions of this column")
            picker.picked.connect(partial(self.picked.emit, i))
            remover = tool_button("×", f"cycle_remove_{i + 1}", f"Remove column {i + 1}",
                                  "Show this cycle no longer", role="mini")
            remover.clicked.connect(partial(self._remove, i))
            remover.hide()
            self.pickers.append(picker)
            self.removers.append(remover)
            for widget in (picker, remover):
                groups[0 if i < LEAST else 1][1].addWidget(widget)
        for button in (self.next, self.add):
            groups[2][1].addWidget(button)
        self._more = groups[1][0]
        self._more.hide()
        return [box for box, _ in groups]

    def _remove(self, column: int, _checked: bool = False) -> None:
        self.removed.emit(column)

    def _modes(self) -> QWidget:
        box, row = _row(0)
        self.modes = {
            "latest": _button("mode_latest", "Latest", "Follow the run: always compare the latest "
                              "cycle with the one before it"),
            "start": _button("mode_start", "From start", "Always compare the start policy "
                             "with the latest cycle"),
        }
        for name, button in self.modes.items():
            button.setCheckable(True)
            button.clicked.connect(lambda _=False, name=name: self.mode_chosen.emit(name))
            row.addWidget(button)
        self.news = tool_button("", "completions_news", "Show the latest cycle",
                                "Show the latest cycle, and follow the run again", role="flat")
        self.news.clicked.connect(lambda: self.mode_chosen.emit(""))
        self.news.hide()
        row.addWidget(self.news)
        box.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        return box

    def _copy(self) -> QWidget:
        self.menu = named(QToolButton(), "completions_export", "Export",
                          "Export: copy or save what is compared")
        self._draw_icon()
        themes().changed.connect(self._draw_icon)
        self.menu.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.menu)
        for text, what in (("Copy completions as Markdown", "all"),
                           ("Copy completions as CSV", "csv")):
            action = menu.addAction(text)
            action.setObjectName(f"completions_copy_{what}")
            action.triggered.connect(lambda _=False, what=what: self.copy_chosen.emit(what))
        menu.addSeparator()
        save = menu.addAction("Save completions as CSV…")
        save.setObjectName("completions_save")
        save.triggered.connect(lambda: self.export_clicked.emit())
        self.menu.setMenu(menu)
        return self.menu

    def _draw_icon(self) -> None:
        self.menu.setIcon(icon("export"))


def _row(spacing: int) -> tuple[QWidget, QHBoxLayout]:
    box = QWidget()
    row = QHBoxLayout(box)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(spacing)
    return box, row


def _button(name: str, text: str, tip: str) -> QToolButton:
    return tool_button(text, name, text if len(text) > 1 else tip, tip, role="compact")
