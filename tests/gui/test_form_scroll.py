"""A form that scrolls has the same width whatever its height."""

from PySide6.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from workbench.gui.widgets.form_scroll import FormScroll


def test_its_width_does_not_depend_on_whether_there_is_something_to_scroll(qtbot: QtBot) -> None:
    form = QWidget()
    column = QVBoxLayout(form)
    for number in range(4):
        column.addWidget(QLabel("a text that wraps into more or fewer lines " * number,
                                wordWrap=True))
    scroll = FormScroll(form)
    # With a width that depended on the bar some of these sizes had no end.
    scroll.setStyleSheet("QScrollBar:vertical { width: 31px; }")
    qtbot.addWidget(scroll)
    scroll.show()
    beside, ways = set(), set()
    for height in range(60, 400, 7):
        for width in (160, 211, 290):
            scroll.resize(width, height)
            QApplication.processEvents()
            beside.add(scroll.width() - scroll.viewport().width())
            ways.add(scroll.verticalScrollBar().maximum() > 0)
    assert len(beside) == 1
    assert ways == {False, True}
