"""What the menus of the Judge view offer, and what is asked for first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from PySide6.QtWidgets import QLineEdit, QWidget

from workbench.formatting import counted
from workbench.gui.judge.bar import Source
from workbench.gui.judge.cycles_dialog import CyclesDialog
from workbench.gui.widgets.dialog import ask, ask_for, choose_file, choose_new_file
from workbench.store.prompt_files import ENDINGS

if TYPE_CHECKING:
    from workbench.gui.judge.adding import Adding
    from workbench.gui.judge.asking import Asking
    from workbench.gui.judge.bar import Bar
    from workbench.gui.judge.queue import Queue
    from workbench.gui.judge.sets import Sets
    from workbench.store.store import Store

_FILTERS = f"Pairs ({' '.join(f'*{ending}' for ending in ENDINGS)});;All files (*)"
_WRITTEN = "TRL preferences (*.jsonl);;Every mark (*.csv)"
_LINE = Source("", "", "", lambda: None)


class Judging(Protocol):
    """What the menus are about: the view."""

    store: Store
    run_id: int | None
    person: str
    queue: Queue
    adding: Adding
    asking: Asking
    sets: Sets
    bar: Bar

    @property
    def set_name(self) -> str: ...
    @property
    def guidelines_shown(self) -> bool: ...
    def toggle_guidelines(self) -> None: ...
    def learn(self) -> None: ...
    def score(self) -> None: ...
    def rename_person(self, name: str) -> None: ...


class Menus:
    """Those of one view, which is also the parent of its dialogs."""

    def __init__(self, parent: QWidget, view: Judging) -> None:
        self._parent, self._view = parent, view

    def sources(self) -> list[Source]:
        """Return what pairs can be made of."""
        return self._view.adding.sources(self._ask_cycles, self._ask_cycle, self._ask_file)

    def more(self) -> list[Source]:
        """Return what else can be done."""
        view = self._view
        found, name = view.store.judgements.set(view.set_name), view.set_name
        no_set = "" if found is not None else "Add pairs first."
        no_thumb = "" if found is not None and found.thumbs else (
            "Give a completion a thumb in Completions or Try first.")
        no_mark = no_set or ("" if view.queue.done else "Mark a pair first.")
        return [
            Source("Nearest scores first", "The most useful next: pairs whose scores are nearest "
                   "to each other come first, for of these the reward is least sure", "",
                   view.bar.turn_nearest, view.bar.nearest),
            Source("Score by the present reward", "Have the reward in memory score the pairs of "
                   "this set that another one scored, or none: for Nearest scores first, and for "
                   "where you and it disagree", no_set or view.adding.why_not_score(),
                   view.score),
            Source("Ask a judge…", "Have an AI say which is better: a model, or one at a server; "
                   "see how far it can be trusted, and mix its marks with yours",
                   no_set or view.asking.why_not(), view.asking.choose),
            Source("Guidelines", "Your own words on what is good, beside the pair; each mark keeps "
                   "which were there", "", view.toggle_guidelines, view.guidelines_shown),
            Source(f"Judging as {view.person}…", "Under which name your marks are kept", "",
                   self._ask_person),
            _LINE,
            Source("New set…", "Begin another set of pairs", "", self._ask_new),
            Source("Rename set…", f"Give “{name}” another name", no_set, self._ask_name),
            Source("Delete set…", f"Remove “{name}” with its pairs and marks", no_set,
                   self._ask_delete),
            _LINE,
            Source("Export…", "Write this set as pairs that others learn from, or with every mark",
                   no_set, self._ask_export),
            Source("Export thumbs…", "Write what was said of single completions, for KTO",
                   no_thumb, self._ask_export_thumbs),
            Source("Learn from them", "Choose DPO in Hyperparameters, with these judgements as "
                   "what it learns from", no_mark, view.learn),
        ]

    # -- asking

    def _ask_cycles(self) -> None:
        cycles = self._view.adding.cycles()
        if len(cycles) > 1:
            CyclesDialog(
                self._parent, "Pairs of two cycles", "What each compared prompt was completed with "
                "after two cycles makes a pair.", ("First", "Second"), cycles,
                (cycles[0], cycles[-1]), self._view.adding.add_cycles).open()

    def _ask_cycle(self) -> None:
        view = self._view
        run = None if view.run_id is None else view.store.run(view.run_id)
        if run is not None and run.cycles:
            CyclesDialog(
                self._parent, "Pairs of one cycle", "What a cycle wrote to the same prompt stands "
                "two and two.", ("Cycle",), range(1, run.cycles + 1), (run.cycles,),
                view.adding.add_siblings).open()

    def _ask_file(self) -> None:
        choose_file(self._parent, "judge_file", "Pairs to judge",
                    lambda paths: self._view.adding.add_file(paths[0]), filters=_FILTERS)

    def _ask_person(self) -> None:
        self._ask_text("judge_person", "Your name", "Under which name are your marks kept?",
                       self._view.person, "Judge under this name", self._view.rename_person)

    def _ask_new(self) -> None:
        self._ask_text("judge_new_set", "New set", "What is the new set called?", "",
                       "Make the set", self._view.sets.choose)

    def _ask_name(self) -> None:
        self._ask_text("judge_rename_set", "Rename set", "What is the set called?",
                       self._view.set_name, "Rename the set", self._view.sets.rename)

    def _ask_text(self, name: str, title: str, question: str, text: str, tip: str,
                  then: Callable[[str], object]) -> None:
        field = QLineEdit(text)
        ask_for(self._parent, name, title, question, field, "OK", tip, lambda: then(field.text()))

    def _ask_delete(self) -> None:
        found = self._view.store.judgements.set(self._view.set_name)
        if found is not None:
            ask(self._parent, "judge_delete", "Delete set",
                f"Delete “{found.name}” with {counted(found.pairs, 'pair')} and "
                f"{counted(found.marks, 'mark')}?", "This cannot be undone. Runs that learned from "
                "it keep what they learned from.",
                (("Delete", "judge_delete_accept", "Remove it for good",
                  self._view.sets.delete),), destroys=True)

    def _ask_export(self) -> None:
        name = self._file_name()
        choose_new_file(self._parent, "judge_export", "Export judgements",
                        f"{name or 'pairs'}.jsonl", _WRITTEN, self._view.sets.export)

    def _ask_export_thumbs(self) -> None:
        choose_new_file(self._parent, "judge_export_thumbs", "Export thumbs",
                        f"{self._file_name() or 'thumbs'}-thumbs.jsonl",
                        "KTO completions (*.jsonl)", self._view.sets.export_thumbs)

    def _file_name(self) -> str:
        return "".join(c if c.isalnum() else "-" for c in self._view.set_name.lower()).strip("-")
