"""Which set of pairs is judged: another one, a new name, away with it, and out to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from workbench.gui.judge.adding import FIRST_SET
from workbench.gui.judge.bar import without_newlines
from workbench.store.home import StoreError
from workbench.store.judged import JudgedSet
from workbench.store.judged_files import write_judged, write_thumbs
from workbench.store.prompt_readers import PromptFileError

if TYPE_CHECKING:
    from workbench.gui.background import Background
    from workbench.store.store import Store


class Sets(QObject):
    """``left`` says that the set is about to be left, ``turned`` that another one, or one of
    another name, is to be read; ``message`` carries what to tell, ``saved`` a file that was
    written."""

    left = Signal()
    turned = Signal()
    message = Signal(str, str)
    saved = Signal(object, str)

    def __init__(self, parent: QObject, store: Store, background: Background,
                 settle: Callable[[], object]) -> None:
        """``settle`` waits until all marks that were made are kept."""
        super().__init__(parent)
        self._store, self._background, self._settle = store, background, settle
        self.wanted = ""
        """The name of the set to be judged."""
        self.current: JudgedSet | None = None
        """The set that is judged, once it is read."""

    @property
    def name(self) -> str:
        """The set that is judged, and that thumbs are put into."""
        return self.current.name if self.current else self.wanted or FIRST_SET

    def turn_to(self, name: str) -> None:
        """Have the set of a name read, or the first where there is none."""
        self.wanted, self.current = name, None
        self.turned.emit()

    def choose(self, name: str) -> None:
        """Judge another set, which is made if there is none of that name."""
        self.left.emit()
        name = without_newlines(name)
        if not name:
            return
        try:
            self._store.judgements.make_set(name).result()
        except StoreError as error:
            self.message.emit("error", str(error))
            return
        self.turn_to(name)

    def rename(self, name: str) -> None:
        """Give the set another name."""
        name = without_newlines(name)
        if self.current is None or not name or name == self.current.name:
            return
        if self._store.judgements.set(name) is not None:
            self.message.emit("warning", f"There is a set “{name}” already; choose another name.")
            return
        self.left.emit()
        self._store.judgements.rename_set(self.current.id, name).result()
        self.turn_to(name)

    def delete(self) -> None:
        """Remove the set with all that was said of its pairs."""
        if self.current is not None:
            self._store.judgements.delete_set(self.current.id).result()
            self.turn_to("")

    def export(self, path: Path) -> None:
        """Write the set to a file, in the background."""
        found, judgements = self.current, self._store.judgements
        if found is not None:
            self._settle()
            self._write(path, lambda: write_judged(
                path, judgements.pairs(found.id), judgements.marks(found.id)))

    def export_thumbs(self, path: Path) -> None:
        """Write what was said of single completions to a file, in the background."""
        found, judgements = self.current, self._store.judgements
        if found is not None:
            self._write(path, lambda: write_thumbs(path, judgements.thumbs(found.id)))

    def _write(self, path: Path, write: Callable[[], str]) -> None:
        def work() -> str | PromptFileError:
            try:
                return write()
            except PromptFileError as error:
                return error

        def tell(said: str | PromptFileError) -> None:
            if isinstance(said, PromptFileError):
                self.message.emit("error", str(said))
            else:
                self.saved.emit(path, said)
        self._background.run(work, tell)
