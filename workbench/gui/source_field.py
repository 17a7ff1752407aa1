"""Where a model comes from, and what was loaded from there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QGridLayout, QMenu, QToolButton, QWidget

from workbench.gui.controls import label, named, tool_button
from workbench.gui.dialog import choose_file
from workbench.gui.icons import icon
from workbench.gui.plain_text import plain_tip
from workbench.gui.theme import themes
from workbench.known_models import known_policy
from workbench.training.events import ModelFacts

BUNDLED = "Bundled model"
_REMEMBERED = 8


def count(number: int) -> str:
    """Return a large number as people say it: 1.4 M."""
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def facts_sentence(facts: ModelFacts) -> str:
    """Return what a person wants to know of a loaded model, in one line."""
    if facts.sha256:
        return f"Python file: {facts.summary}" if facts.summary else "Python file"
    score = ""
    if facts.label is not None and len(facts.labels) > 1:
        score = f", score: {facts.labels[facts.label]}"
    return (f"{facts.architecture}, {count(facts.parameters)} parameters, "
            f"{facts.vocabulary:,} tokens ({facts.tokenizer}), {facts.dtype} on "
            f"{facts.device}{score}")


class SourceField(QWidget):
    """A folder, a file or a hub name: typed, chosen from recent ones, or browsed for.

    ``examples`` are more sources that are always there, by title; ``files`` is a kind of file to
    browse for beside folders, as a file dialog's filter.
    """

    chosen = Signal()

    def __init__(
        self, name: str, title: str, bundled: Path, examples: Mapping[str, str] | None = None,
        files: str = "",
    ) -> None:
        super().__init__()
        self._title, self._files = title, files
        self._shipped = {BUNDLED: str(bundled)} | dict(examples or {})
        kinds = "a folder with a model, " + (f"a {files.partition(' (')[0]}, " if files else "")
        self.combo = named(QComboBox(editable=True), name, title,
                           f"{title}: {kinds}or a name on the Hugging Face hub")
        self.combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.combo.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(8)
        self._fill([])
        self.combo.activated.connect(lambda _: self.chosen.emit())
        heading = self.heading = label(title, "heading")
        heading.setBuddy(self.combo)
        self.button = tool_button("", f"browse_{name}", f"Browse for the {title.lower()}",
                                   f"Choose the folder of the {title.lower()}")
        if files:
            self.button.setMenu(self._make_menu())
            self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
            self.button.setToolTip(plain_tip(
                f"Choose the folder or the file of the {title.lower()}"))
        else:
            self.button.clicked.connect(lambda: self._browse())
        self._draw()
        themes().changed.connect(self._draw)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(heading, 0, 0, 1, 2)
        layout.addWidget(self.combo, 1, 0)
        layout.addWidget(self.button, 1, 1)
        self.facts = named(label(role="muted", wrap=True), f"{name}_facts", f"{title}, loaded",
                           "What is loaded")
        self.facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.facts.hide()
        self._loaded: ModelFacts | None = None
        self.combo.currentTextChanged.connect(self._describe)
        layout.addWidget(self.facts, 2, 0, 1, 2)
        layout.setColumnStretch(0, 1)
        self._show(BUNDLED)

    def source(self) -> str:
        """Return what to load: a path or a hub name."""
        text = self.combo.currentText().strip()
        return self._shipped.get(text, text)

    def set_source(self, source: str) -> None:
        """Show ``source``."""
        self._show(next((text for text, path in self._shipped.items() if path == source), source))

    def show_facts(self, facts: ModelFacts) -> None:
        """Show what is loaded."""
        self._loaded = facts
        self._describe()

    def set_loading(self, loading: bool) -> None:
        """Leave room for the progress while something is loaded."""
        if loading:
            self.facts.hide()
        else:
            self._describe()

    def recent(self) -> list[str]:
        """Return the recent sources, latest first; what is shipped is always there."""
        return [self.combo.itemText(i) for i in range(len(self._shipped), self.combo.count())]

    def remember(self, source: str) -> None:
        """Put ``source`` first among the recent ones."""
        if source in self._shipped.values():
            return
        others = [s for s in self.recent() if s != source]
        current = self.combo.currentText()
        self._fill([source, *others][:_REMEMBERED])
        self._show(current)

    def _fill(self, recent: list[str]) -> None:
        self.combo.clear()
        self.combo.addItems([*self._shipped, *recent])
        for place, title in enumerate(self._shipped):
            known = known_policy(title)
            if known:
                self.combo.setItemData(place, plain_tip(known.about), Qt.ItemDataRole.ToolTipRole)

    def _describe(self) -> None:
        """Say what is loaded, or that what is named here is not."""
        loaded, source = self._loaded, self.source()
        if loaded and _same(loaded.source, source):
            digest = f"\nContent (sha256): {loaded.sha256}" if loaded.sha256 else ""
            self.facts.setText(facts_sentence(loaded))
            self.facts.setToolTip(plain_tip(f"Loaded from {loaded.source}{digest}"))
        else:
            known = known_policy(source)
            self.facts.setText((f"{known.about}. " if known else "") + "Press Load to use it.")
            self.facts.setToolTip(plain_tip(
                f"Loaded now: {loaded.source}" if loaded else "Nothing is loaded yet"))
        self.facts.setVisible(loaded is not None and bool(source))

    def _show(self, text: str) -> None:
        self.combo.setCurrentText(text)
        line = self.combo.lineEdit()
        if line:
            line.setCursorPosition(0)  # its beginning, where there is little room

    def _draw(self) -> None:
        self.button.setIcon(icon("open"))

    def _make_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        kind = self._files.partition(" (")[0]
        for text, tip, call in (
            ("Choose a folder…", "A folder with config.json, weights and tokenizer",
             self._browse),
            (f"Choose a {kind}…", f"A {kind} that holds the whole model", self._browse_files),
        ):
            action = menu.addAction(text)
            action.setToolTip(plain_tip(tip))
            action.triggered.connect(lambda _checked=False, call=call: call())
        return menu

    def _browse(self) -> None:
        choose_file(self, "model_folder_dialog", f"Folder of the {self._title.lower()}",
                    self._chose, folder=True)

    def _browse_files(self) -> None:
        choose_file(self, "model_file_dialog", f"File of the {self._title.lower()}",
                    self._chose, filters=f"{self._files};;All files (*)")

    def _chose(self, paths: list[Path]) -> None:
        self.set_source(str(paths[0]))


def _same(source: str, other: str) -> bool:
    """Return whether both name the same folder, file or model."""
    return source == other or (
        Path(source).expanduser().absolute() == Path(other).expanduser().absolute())
