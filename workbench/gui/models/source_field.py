"""Where a model comes from, and what was loaded from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QMenu,
    QSizePolicy,
    QToolButton,
    QWidget,
)
from superqt import QElidingLabel

from workbench.gui.widgets.controls import describe, label, named, tool_button
from workbench.gui.widgets.dialog import choose_file
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.layouts import STRETCH, hbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import set_look, themes
from workbench.known_models import KnownPolicy, known_policy
from workbench.training.events import ModelFacts

BUNDLED = "Bundled model"
_REMEMBERED = 8


def count(number: int) -> str:
    """Return a large number as people say it: 1.4 M."""
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def facts_line(facts: ModelFacts) -> str:
    """Return what a person wants to know of a loaded model, in one short line."""
    if facts.sha256 or not facts.parameters:  # a program
        kind = facts.architecture
        return f"{kind}: {facts.summary}" if facts.summary else kind
    score = ""
    if facts.label is not None and len(facts.labels) > 1:
        score = f", score: {facts.labels[facts.label]}"
    return (f"{count(facts.parameters)} parameters, {facts.dtype} on {facts.device.upper()}"
            f"{score}")


def facts_in_full(facts: ModelFacts) -> str:
    """Return the rest, for a tooltip."""
    if facts.sha256:
        return f"Loaded from {facts.source}\nContent (sha256): {facts.sha256}"
    return (f"{facts.architecture}, {facts.vocabulary:,} tokens ({facts.tokenizer})\n"
            f"Loaded from {facts.source}")


class SourceField(QWidget):
    """A folder, a file or a hub name: typed, chosen from recent ones, or browsed for.

    ``examples`` are more sources that are always there, by title; ``known`` are policies known by
    a short name; ``files`` is a kind of file to browse for beside folders, as a file dialog's
    filter. ``edited`` tells that it names something else now,
    ``chosen`` that this was picked from the list, ``entered`` that Enter was pressed.
    """

    edited = Signal()
    entered = Signal()
    chosen = Signal()

    def __init__(
        self, name: str, title: str, bundled: Path, examples: Mapping[str, str] | None = None,
        files: str = "", known: Sequence[KnownPolicy] = (),
    ) -> None:
        super().__init__()
        self._title, self._files, self._known = title, files, known
        self._shipped = {BUNDLED: str(bundled)} | dict(examples or {})
        self._made: dict[str, str] = {}
        kinds = "a folder with a model, " + (f"a {files.partition(' (')[0]}, " if files else "")
        self.combo = named(QComboBox(editable=True), name, title,
                           f"{title}: {kinds}or a name on the Hugging Face hub")
        self.combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.combo.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(8)
        self._fill([])
        self.combo.activated.connect(lambda _: self.chosen.emit())
        line = self.combo.lineEdit()
        assert line is not None
        line.returnPressed.connect(self.entered)
        self._make_heading()
        self.button = tool_button("", f"browse_{name}", f"Browse for the {title.lower()}",
                                   f"Choose the folder of the {title.lower()}")
        if files:
            self.button.setMenu(self._make_menu())
            self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
            describe(self.button, f"Choose the folder or the file of the {title.lower()}")
        else:
            self.button.clicked.connect(lambda: self._browse())
        self._draw()
        themes().changed.connect(self._draw)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.heading, 0, 0, 1, 2)
        layout.addWidget(self.combo, 1, 0)
        layout.addWidget(self.button, 1, 1)
        self.facts = named(QElidingLabel(textFormat=Qt.TextFormat.PlainText), f"{name}_facts",
                           f"{title}, loaded", "What is loaded")
        self.facts.setProperty("role", "muted")
        self.facts.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.facts.hide()
        self.notes = named(label(role="muted", wrap=True), f"{name}_notes", f"{title}, notes",
                           "What of it is not used, or may surprise")
        self.notes.hide()
        self._loaded: ModelFacts | None = None
        self.combo.currentTextChanged.connect(self._edited)
        layout.addWidget(self.facts, 2, 0, 1, 2)
        layout.addWidget(self.notes, 3, 0, 1, 2)
        layout.setColumnStretch(0, 1)
        self._show(BUNDLED)

    def source(self) -> str:
        """Return what to load: a path or a hub name. Where a known policy is found is looked up
        each time, so that a package installed since counts."""
        text = self.combo.currentText().strip()
        known = self._find_known(text)
        return known.source() if known else self._always.get(text, text)

    def name(self) -> str:
        """Return what to remember: as :meth:`source`, but a known policy by its name."""
        text = self.combo.currentText().strip()
        known = self._find_known(text)
        return known.hub if known else self._always.get(text, text)

    def set_source(self, source: str) -> None:
        """Show ``source``."""
        known = self._find_known(source)
        self._show(known.title if known else next(
            (text for text, path in self._always.items() if path == source), source))

    def set_made(self, made: Mapping[str, str]) -> None:
        """Offer what was made here, by title, beside what is shipped."""
        if dict(made) == self._made:
            return
        source = self.source()
        recent = [each for each in self.recent() if each not in made.values()]
        self._made = dict(made)
        with QSignalBlocker(self.combo):
            self._fill(recent)
            self.set_source(source)

    @property
    def _always(self) -> dict[str, str]:
        """What is offered whatever was used before, by title."""
        return self._shipped | self._made

    def show_facts(self, facts: ModelFacts | None) -> None:
        """Show what is loaded, if it is what is named here."""
        self._loaded = facts
        self._describe()

    def mark(self, wrong: bool) -> None:
        """Frame the field in red, or no longer."""
        set_look(self.combo, state="invalid" if wrong else "")

    def mark_unloaded(self, unloaded: bool) -> None:
        """Say beside the title that what is named is not loaded, or no longer."""
        self._unloaded.setVisible(unloaded)

    def put_beside_title(self, widget: QWidget) -> None:
        """Put a widget at the end of the title's line, where it moves nothing."""
        self._title_line.addWidget(widget)
        widget.ensurePolished()
        self.heading.setFixedHeight(max(
            self.heading.sizeHint().height(), widget.sizeHint().height()))

    def share_line(self, line: QWidget) -> None:
        """Let ``line`` stand where the facts stand while there are none. Its room is kept, so that
        nothing moves when one takes the place of the other."""
        for part in (line, *line.findChildren(QWidget)):
            part.ensurePolished()  # the style makes it higher
        box = QWidget()
        hbox(box, self.facts, line)
        box.setFixedHeight(max(self.facts.sizeHint().height(), line.sizeHint().height()))
        layout = self.layout()
        assert isinstance(layout, QGridLayout)
        layout.addWidget(box, 2, 0, 1, 2)

    def set_below(self, widget: QWidget) -> None:
        """Put a widget under the field."""
        layout = self.layout()
        assert isinstance(layout, QGridLayout)
        layout.addWidget(widget, 4, 0, 1, -1)

    def recent(self) -> list[str]:
        """Return the recent sources, latest first; what is shipped is always there."""
        always = len(self._always) + len(self._known)
        return [self.combo.itemText(i) for i in range(always, self.combo.count())]

    def remember(self, source: str) -> None:
        """Put ``source`` first among the recent ones."""
        if source in self._always.values() or self._find_known(source):
            return
        others = [s for s in self.recent() if s != source]
        current = self.combo.currentText()
        with QSignalBlocker(self.combo):
            self._fill([source, *others][:_REMEMBERED])
            self._show(current)

    def _make_heading(self) -> None:
        self.heading = QWidget()
        heading = label(self._title, "heading")
        heading.setBuddy(self.combo)
        self._unloaded = label("not loaded", "warning")
        self._unloaded.hide()
        self._title_line = hbox(self.heading, heading, self._unloaded, STRETCH, spacing=8)

    def _find_known(self, text: str) -> KnownPolicy | None:
        known = known_policy(text) if self._known else None
        return known if known in self._known else None

    def _fill(self, recent: list[str]) -> None:
        self.combo.clear()
        self.combo.addItems([*self._always, *(known.title for known in self._known), *recent])
        for place, known in enumerate(self._known, start=len(self._always)):
            self.combo.setItemData(place, plain_tip(known.about), Qt.ItemDataRole.ToolTipRole)

    def _edited(self) -> None:
        self._describe()
        self.edited.emit()

    def _describe(self) -> None:
        loaded = self._loaded
        shown = loaded is not None and same_source(loaded.source, self.source())
        if loaded and shown:
            self.facts.setText(facts_line(loaded))
            self.notes.setText("\n".join(loaded.notes))
            self.notes.setToolTip(plain_tip("\n".join(loaded.notes)))
            self.facts.setToolTip(plain_tip(f"{facts_line(loaded)}\n{facts_in_full(loaded)}"))
        self.facts.setVisible(shown)
        self.notes.setVisible(bool(loaded and shown and loaded.notes))

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


def same_source(source: str, other: str) -> bool:
    """Return whether both name the same folder, file or model."""
    return source == other or (
        Path(source).expanduser().absolute() == Path(other).expanduser().absolute())
