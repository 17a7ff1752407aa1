"""Where prompts come from and go to: files, and sets in the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from workbench.assets import DEFAULT_PROMPTS
from workbench.formatting import counted
from workbench.gui.background import Background
from workbench.gui.prompts.model import PromptsModel
from workbench.gui.widgets.plain_text import shortened
from workbench.store.home import StoreError
from workbench.store.prompt_files import PromptFile, read_prompts, write_prompts
from workbench.store.prompt_readers import PromptFileError
from workbench.store.records import Prompt, PromptSet
from workbench.store.store import Store

WORKING_SET = "working set"
_SAVE_MS = 600


class Library(QObject):
    """Brings prompts into the model and out of it. The working set is saved a moment after each
    edit; ``message`` carries a level and a sentence, ``undoable`` what undoes it as well, ``saved``
    a file that was written and what is to be said of it."""

    message = Signal(str, str)
    saved = Signal(object, str)
    undoable = Signal(str, str, object)
    _saved = Signal(object)

    def __init__(self, store: Store, model: PromptsModel, parent: QObject) -> None:
        super().__init__(parent)
        self._store, self._model = store, model
        self._source = ""
        self._dirty = False
        self._timer = QTimer(self, singleShot=True, interval=_SAVE_MS)
        self._timer.timeout.connect(self.save)
        self._saved.connect(self._tell_saved, Qt.ConnectionType.QueuedConnection)

    def load(self) -> None:
        """Begin with the working set, at first with the prompts that come with the workbench."""
        kept = self._store.prompt_set(WORKING_SET)
        if kept:
            self._source = kept.source
            self._model.load(kept.prompts)
        else:
            first = _read(DEFAULT_PROMPTS)
            self._model.load(first.prompts if isinstance(first, PromptFile) else ())

    def open_files(self, paths: Sequence[Path]) -> None:
        """Replace the list by the prompts of files (undo brings it back); bad lines are
        reported."""
        reader = Background(self)

        def take(results: list[PromptFile | PromptFileError]) -> None:
            reader.close()
            reader.deleteLater()
            self._take(paths, results)

        reader.run(lambda: [_read(path) for path in paths], take)

    def save_file(self, path: Path) -> None:
        """Write every prompt to a file, in the format of its ending."""
        prompts = self._model.prompts()
        try:
            write_prompts(path, prompts)
        except PromptFileError as error:
            self.message.emit("error", str(error))
            return
        lost = path.suffix.lower() == ".txt" and any(
            p.pinned or not p.enabled or p.columns for p in prompts)
        self.saved.emit(path, "Plain text does not keep what is off or pinned, nor other columns."
                        if lost else "")

    def edited(self) -> None:
        """Save the working set in a moment."""
        self._dirty = True
        self._timer.start()

    def save(self) -> None:
        """Save the working set to the store now, without waiting for it."""
        self._timer.stop()
        if self._dirty:
            self._dirty = False
            self._store_set(WORKING_SET)

    def save_set(self, name: str) -> None:
        """Save the list in the store under a name, replacing what had it."""
        name = name.strip()
        if name and name != WORKING_SET:
            self._store_set(name)
            self.message.emit("info", f"Saved as “{name}”.")

    def load_set(self, name: str) -> None:
        """Replace the list by a set saved in the store (undo brings it back)."""
        found = self._store.prompt_set(name)
        if found is None:
            self.message.emit("error", f"There is no prompt set “{name}” any more.")
            return
        self._source = found.source
        self.replace(f"load “{name}”", found.prompts, "info",
                     f"“{name}” opened: {counted(len(found.prompts), 'prompt')}.")

    def replace(
        self, text: str, rows: Sequence[Prompt], level: str, sentence: str,
        among: Collection[str] | None = None,
    ) -> None:
        """Make ``rows`` the list, say so, and offer to undo it. Prompts that are there twice,
        of those ``among``, are named."""
        stack = self._model.undo_stack
        known = stack.index()
        self._model.edit(text, rows)
        said = f"{sentence} {repeated(rows, among)}".rstrip()
        if stack.index() == known:
            self.message.emit(level, said)
        else:
            self.undoable.emit(level, said, lambda: stack.setIndex(known))

    def delete_set(self, name: str) -> None:
        """Remove a set from the store; the list on screen stays."""
        try:
            self._store.delete_prompt_set(name).result()
        except StoreError as error:
            self.message.emit("error", str(error))
        else:
            self.message.emit("info", f"Deleted the saved set “{name}”.")

    def saved_sets(self) -> list[str]:
        """Return the names of the sets saved in the store."""
        return [name for name in self._store.prompt_set_names() if name != WORKING_SET]

    def _take(self, paths: Sequence[Path], results: list[PromptFile | PromptFileError]) -> None:
        files = [r for r in results if isinstance(r, PromptFile)]
        for error in results:
            if isinstance(error, PromptFileError):
                self.message.emit("error", str(error))
        if files:
            names = ", ".join(path.name for path in paths)
            self._source = str(paths[0])
            level = "warning" if any(file.problems for file in files) else "info"
            self.replace(f"open {names}", [p for file in files for p in file.prompts], level,
                         " ".join(file.summary for file in files))

    def _store_set(self, name: str) -> None:
        kept = PromptSet(name, self._model.prompts(), self._source)
        try:
            future = self._store.save_prompt_set(kept)
        except StoreError as error:
            self.message.emit("error", str(error))
        else:
            future.add_done_callback(self._hand_over)

    def _hand_over(self, future: Future[None]) -> None:
        """Called on the store's thread; the window may be gone by then."""
        with suppress(RuntimeError):
            self._saved.emit(future)

    def _tell_saved(self, future: Future[None]) -> None:
        error = future.exception()
        if error:
            self.message.emit("error", f"The prompts could not be saved: {error}")


def _read(path: Path) -> PromptFile | PromptFileError:
    try:
        return read_prompts(path)
    except PromptFileError as error:
        return error


def repeated(prompts: Iterable[Prompt], among: Collection[str] | None = None) -> str:
    """Name the prompts, of those ``among``, that stand in a list more than once; "" for none."""
    counts = Counter(prompt.text for prompt in prompts)
    found = [text for text, number in counts.items()
             if number > 1 and (among is None or text in among)]
    if not found:
        return ""
    first = shortened(" ".join(found[0][:200].split()), 60)
    more = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
    return f"More than once in the list: “{first}”{more}."
