"""A titled part of a form that folds away."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSizePolicy, QWidget

from workbench.gui.widgets.controls import tool_button
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.layouts import vbox


class Section(QWidget):
    """A heading that shows or hides what is below it.

    superqt's QCollapsible animates a maximum height: that cuts off a problem's sentence when it
    appears, and Tab still walks through the fields of a closed section. Hiding does neither.
    """

    toggled = Signal(bool)

    def __init__(self, title: str, margin: int = 0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.header = tool_button(title, f"section_{title}", f"{title}, section",
                                  "Show or hide this section", "section")
        self.header.setCheckable(True)
        self.header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.header.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.header.setMinimumWidth(1)  # a long title must not widen what is below it
        self.header.toggled.connect(self._toggle)
        self.content = QWidget()
        self.body = vbox(self.content, margins=(8, 0, 0, 8), spacing=2)
        vbox(self, self.header, self.content, margins=(margin, 0, margin, 0), spacing=0)
        self._toggle(False)

    @property
    def is_open(self) -> bool:
        """Whether what is below the heading shows."""
        return self.header.isChecked()

    def set_open(self, opened: bool) -> None:
        """Show or hide what is below the heading."""
        self.header.setChecked(opened)

    def _toggle(self, opened: bool) -> None:
        self.header.setIcon(icon("chevron-down" if opened else "chevron-right"))
        self.content.setVisible(opened)
        self.toggled.emit(opened)
