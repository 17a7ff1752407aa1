"""The row of controls above the completions: which cycles, in which order, copy and export."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QMenu, QToolButton, QWidget
from superqt import QFlowLayout

from workbench.gui.completions.model import SORTS
from workbench.gui.widgets.controls import enable, label, named, tool_button
from workbench.gui.widgets.cycle_picker import CyclePicker
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.theme import themes

_ONE_CYCLE = "There is only one comparison so far, or none."


class Controls(QWidget):
    """Emits what the person chooses; :meth:`show_cycles` keeps it in step."""

    chosen = Signal(int, int)  # cycles before and after
    mode_chosen = Signal(str)
    stepped = Signal(int)
    sort_chosen = Signal(str, bool)
    copy_chosen = Signal(str)
    export_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QFlowLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(6)
        layout.setVerticalSpacing(4)
        self._copy()  # stands beside the headline
        for widget in (self._cycles(), self._modes(), self._sort()):
            layout.addWidget(widget)
        height = max(w.sizeHint().height() for w in (self.before, self.previous, self.menu))
        for widget in self.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly):
            widget.setMinimumHeight(height)

    def sorting(self) -> tuple[str, bool]:
        """Return by what and whether descending."""
        name, descending = self.sort.currentData()
        return name, descending

    def show_sorting(self, name: str, descending: bool) -> None:
        """Choose a sorting, as if the person had."""
        found = [self.sort.itemData(i) for i in range(self.sort.count())]
        if (name, descending) in found:
            self.sort.setCurrentIndex(found.index((name, descending)))

    def show_cycles(
        self, cycles: Sequence[int], before: int, after: int | None, mode: str,
        forked_after: int | None = None,
    ) -> None:
        """Offer ``cycles`` and show which two are compared and why; the last that a fork shares
        is marked."""
        for picker, cycle in ((self.before, before), (self.after, after)):
            picker.show_cycles(cycles, cycle, forked_after)
            enable(picker, len(cycles) > 1, _ONE_CYCLE)
        for name, button in self.modes.items():
            button.setChecked(name == mode)
            enable(button, len(cycles) > 1, _ONE_CYCLE)
        places = [cycles.index(c) for c in (before, after) if c in cycles]
        both = after is not None and len(places) == 2
        enable(self.previous, both and min(places) > 0,
               "There is no earlier comparison." if both else _ONE_CYCLE)
        enable(self.next, both and max(places) < len(cycles) - 1,
               "There is no later comparison." if both else _ONE_CYCLE)
        enable(self.menu, bool(cycles), "There is nothing to export yet.")

    def _cycles(self) -> QWidget:
        box, row = _row(4)
        self.previous = _button("cycle_previous", "‹", "Both cycles one back")
        self.next = _button("cycle_next", "›", "Both cycles one on")
        self.before = CyclePicker("cycle_before", "Cycle before",
                                  "The policy after this cycle wrote the left completions")
        self.after = CyclePicker("cycle_after", "Cycle after",
                                 "The policy after this cycle wrote the right completions")
        self.previous.clicked.connect(lambda: self.stepped.emit(-1))
        self.next.clicked.connect(lambda: self.stepped.emit(1))
        for picker in (self.before, self.after):
            picker.picked.connect(self._choose)
        for widget in (self.previous, self.before, label("→"), self.after, self.next):
            row.addWidget(widget)
        return box

    def _choose(self) -> None:
        before, after = self.before.currentData(), self.after.currentData()
        if before is not None and after is not None:
            self.chosen.emit(before, after)

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
        return box

    def _sort(self) -> QWidget:
        box, row = _row(4)
        self.sort = named(QComboBox(), "completions_sort", "Sort",
                          "Sort the rows by the order of the prompts, or by what the completion "
                          "after shows")
        self.sort.setProperty("role", "compact")
        self.sort.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        for name, (_, orders) in SORTS.items():
            for descending, order in orders.items():
                self.sort.addItem(f"{name}, {order}", (name, descending))
        self.sort.currentIndexChanged.connect(lambda: self.sort_chosen.emit(*self.sorting()))
        title = label("Sort:")
        title.setBuddy(self.sort)
        for widget in (title, self.sort):
            row.addWidget(widget)
        return box

    def _copy(self) -> QWidget:
        self.menu = named(QToolButton(), "completions_export", "Export",
                          "Export: copy or save what is compared")
        self._draw_icon()
        themes().changed.connect(self._draw_icon)
        self.menu.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.menu)
        for text, what in (("Copy this completion as Markdown", "row"),
                           ("Copy completions as Markdown", "all"),
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
