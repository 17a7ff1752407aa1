"""The line that says what an algorithm learns from beside its prompts, and lets the person choose
something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu

from workbench.formatting import counted
from workbench.gui.widgets.button_line import ButtonLine
from workbench.gui.widgets.controls import describe, enable, label
from workbench.gui.widgets.dialog import choose_file
from workbench.gui.widgets.plain_text import plain_tip
from workbench.records import PairData, RunData, ScoredData
from workbench.store.records import RunRecord
from workbench.store.run_pairs import may_make_pairs
from workbench.training.commands import LoadModels
from workbench.training.pair_data import (
    DataError,
    bundled_pairs,
    pairs_from_run,
    pairs_of_file,
    pairs_of_judgements,
)
from workbench.training.scored_data import (
    runs_of,
    runs_to_choose,
    scored_from_runs,
    scored_of_file,
    scored_of_judgements,
)

if TYPE_CHECKING:
    from workbench.store.store import Store

_RUNS = 12
"""So many of the last runs are offered."""
_FILTERS = "{} (*.jsonl *.json *.csv *.tsv *.parquet *.gz);;All files (*)"
_FILE, _OF_RUN, _JUDGED = "file:", "run:", "judgements:"
_BY_PEOPLE = "judgements by people:"
_TOLD = 3
"""Lines that were left out are told of one by one up to so many."""
Found = tuple[RunData, Sequence[str]]
"""What was read, and a sentence for each line that was left out."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a kind of data is spoken of."""

    noun: str
    default: str
    tip: str


_KINDS = {
    PairData.kind: _Kind(
        "Pairs", "Bundled pairs",
        "Choose what is learned from: the bundled pairs, a file of pairs, your judgements, or "
        "those that a run makes"),
    ScoredData.kind: _Kind(
        "Completions", "All finished runs of these models",
        "Choose what is learned from: all that finished runs of the same models wrote, the "
        "completions of some runs, or a file of completions with scores"),
}


class DataLine(ButtonLine):
    """Hidden where an algorithm needs nothing. What is chosen is read in the background."""

    message = Signal(str, str)
    changed = Signal()
    """Something else is learned from."""

    def __init__(self) -> None:
        self._menu = QMenu()
        super().__init__("learns_from", "Learns from", "muted", "choose_pairs", "Choose…",
                         _KINDS[PairData.kind].tip, self._choose)
        self.setContentsMargins(8, 0, 8, 0)
        title = label("Data")
        title.setBuddy(self.button)
        self.row.insertWidget(0, title)
        self._store: Store | None = None
        self._run: Callable[[Callable[[], Any], Callable[[Any], None]], None] | None = None
        self._models: Callable[[], LoadModels | None] = lambda: None
        self._chosen: dict[str, RunData] = {}
        self.sources: dict[str, str] = {}
        """What was chosen, to be remembered, by kind."""
        self._being_read = 0
        self._of_run: RunRecord | None = None
        self._wanted = ""

    def attach(self, store: Store,
               run: Callable[[Callable[[], Any], Callable[[Any], None]], None],
               models: Callable[[], LoadModels | None]) -> None:
        """Read runs from ``store``, and files, by ``run``, which works in the background;
        ``models`` tells those of the next run."""
        self._store, self._run, self._models = store, run, models
        self.restore(self.sources)

    @property
    def data(self) -> RunData | None:
        """What the person chose; None: what there is without."""
        return self._chosen.get(self._wanted)

    @property
    def choices(self) -> dict[str, RunData | tuple[int, ...]]:
        """What runs are to begin with, by what their algorithm learns from: completions of runs by
        the numbers of these, for only the models in memory tell whether they are the same."""
        of_runs = {kind: runs for kind in (ScoredData.kind,) if (runs := self._runs(kind))}
        return {**self._chosen, **of_runs}

    @property
    def reading(self) -> bool:
        """Whether what was chosen is still being read."""
        return self._being_read > 0

    def twin(self, models: LoadModels | None) -> DataLine:
        """Return a line that stands elsewhere, with what is chosen here, for a run with these
        ``models``."""
        line = DataLine()
        line._store, line._run, line._models = self._store, self._run, lambda: models
        line._chosen, line.sources = dict(self._chosen), dict(self.sources)
        return line

    @property
    def shows_run(self) -> bool:
        """Whether it says what a run learns from, and not what is chosen."""
        return self._of_run is not None and self._wanted in self._of_run.data

    def taken(self) -> RunData | tuple[int, ...]:
        """Return what is learned from, also where nothing was chosen."""
        if (chosen := self.choices.get(self._wanted)) is not None:
            return chosen
        return bundled_pairs() if self._wanted == PairData.kind else tuple(
            run.id for run in self._finished())

    def show_for(self, learns_from: str, alive: bool, why: str = "") -> None:
        """Show what an algorithm learns from, if it needs something; while a run is ``alive``
        nothing can be chosen, and ``why`` may say another reason for that."""
        self._wanted = learns_from
        if not alive:
            self._of_run = None
        if learns_from:
            kind = _KINDS[learns_from]
            describe(self.button, kind.tip)
            enable(self.button, not alive, why or (
                f"A run is on; other {kind.noun.lower()} can be chosen when it has ended."))
        self._say()

    def show_run(self, run: RunRecord | None) -> None:
        """Say what the run that is on learns from."""
        self._of_run = run if run is not None and run.data else None
        self._say()

    def open_file(self, path: Path) -> None:
        """Learn from what a file holds."""
        self._read(self._wanted, f"{_FILE}{path}")

    def say_kept(self, title: str, before: str) -> None:
        """Say that what was chosen for one algorithm is what another one learns from as well."""
        if self.data is not None:
            self.message.emit("info", f"{title} learns from {self.data.what}, as was chosen for "
                                      f"{before}; Choose… has something else.")

    def take_judgements(self, name: str) -> None:
        """Learn from what a person said, in the set of that name."""
        self._read(self._wanted, f"{_JUDGED}{name}")

    def take_own_judgements(self, name: str) -> None:
        """Learn from what people said in the set of that name, and not from what judges did."""
        self._read(self._wanted, f"{_BY_PEOPLE}{name}")

    def take_run(self, run_id: int) -> None:
        """Learn from the pairs that a run makes, or from its completions alone."""
        self._read(self._wanted, f"{_OF_RUN}{run_id}")

    def take_runs(self, run_ids: Sequence[int]) -> None:
        """Learn from the completions of some runs; none: of what there is."""
        if run_ids:
            self._read(self._wanted, f"{_OF_RUN}{','.join(map(str, run_ids))}")
        else:
            self.take_default()

    def take_default(self) -> None:
        """Learn from what there is without a choice."""
        self._chosen.pop(self._wanted, None)
        self.sources.pop(self._wanted, None)
        self._say()
        self.changed.emit()

    def restore(self, sources: object) -> None:
        """Choose again what :attr:`sources` told; earlier, pairs alone were remembered."""
        told = {PairData.kind: sources} if isinstance(sources, str) else sources
        self.sources = {kind: source for kind, source in told.items() if kind in _KINDS
                        and isinstance(source, str)} if isinstance(told, dict) else {}
        for kind, source in list(self.sources.items()):
            self._read(kind, source)

    def _runs(self, kind: str) -> tuple[int, ...]:
        """The runs of a choice."""
        source = self.sources.get(kind, "") if kind in self._chosen else ""
        return tuple(map(int, source.removeprefix(_OF_RUN).split(","))) if (
            source.startswith(_OF_RUN)) else ()

    def _read(self, kind: str, source: str) -> None:
        store = self._store
        if self._run is None or store is None:
            return

        def attempt() -> Found | DataError:
            try:
                return _read(store, kind, source)
            except DataError as error:
                return error
        self._being_read += 1
        self._run(attempt, lambda found: self._done(kind, source, found))

    def _done(self, kind: str, source: str, found: Found | DataError) -> None:
        self._being_read -= 1
        again = source == self.sources.get(kind)
        if isinstance(found, DataError):
            if again and kind not in self._chosen:  # what was chosen before the window was closed
                self.sources.pop(kind)
            self.message.emit("warning", str(found))
            return
        (data, problems), self.sources[kind] = found, source
        self._chosen[kind] = data
        more = f" Left out: {' '.join(problems[:_TOLD])}" if problems else ""
        if len(problems) > _TOLD:
            more += f" And {len(problems) - _TOLD:,} more."
        if source.startswith((_JUDGED, _BY_PEOPLE)):
            more += " Press Start to learn from it."
        if not again:
            self.message.emit("info", f"{data.what}: {data.summary}{more}")
        self._say()
        self.changed.emit()

    def _choose(self) -> None:
        menu, kind = self._menu, _KINDS[self._wanted]
        menu.clear()
        menu.setToolTipsVisible(True)
        several, chosen = self._wanted == ScoredData.kind, self._runs(self._wanted)
        default = menu.addAction(kind.default)
        default.triggered.connect(self.take_default)
        if several:
            finished = self._finished()
            default.setEnabled(bool(finished))
            default.setText(f"{kind.default} ({counted(len(finished), 'run')})")
        menu.addAction(f"{kind.noun} of a file…").triggered.connect(self._ask_file)
        for name, tip in self._judged():
            action = menu.addAction(f"Judgements “{name}”".replace("&", "&&"))
            action.setToolTip(plain_tip(tip))
            action.triggered.connect(lambda _=False, name=name: self.take_judgements(name))
            if self._wanted == PairData.kind and self._has_judges(name):
                own = menu.addAction(
                    f"Judgements “{name}”, without judges".replace("&", "&&"))
                own.setToolTip(plain_tip("Only what people said in Judge, and not what a judge "
                                         "that was asked did"))
                own.triggered.connect(lambda _=False, name=name: self.take_own_judgements(name))
        menu.addSeparator()
        runs = self._offered()
        for run in runs:
            action = menu.addAction(f"{kind.noun} of {run.name}".replace("&", "&&"))
            if several:
                action.setCheckable(True)
                action.setChecked(run.id in chosen)
                others = tuple(number for number in chosen if number != run.id)
                action.toggled.connect(lambda on, number=run.id, others=others: self.take_runs(
                    (*others, number) if on else others))
            else:
                action.triggered.connect(lambda _=False, number=run.id: self.take_run(number))
        if not runs:
            menu.addAction(
                f"{kind.noun} of a run: there is none that makes any yet" if not several else
                f"{kind.noun} of a run: none of these models has written any yet"
            ).setEnabled(False)
        menu.popup(self.button.mapToGlobal(self.button.rect().bottomLeft()))

    def _offered(self) -> list[RunRecord]:
        """Return the last runs that give something to learn from."""
        store = self._store
        if store is None:
            return []
        if self._wanted == ScoredData.kind:
            found = runs_to_choose(store, self._models())
        else:
            found = (run for run in store.runs() if run.cycles and may_make_pairs(store, run))
        return list(islice(found, _RUNS))

    def _judged(self) -> list[tuple[str, str]]:
        """Return the sets in which something was said, each with what that is."""
        sets = self._store.judgements.sets() if self._store else []
        return [(each.name, f"What was said in Judge: {counted(each.marks, 'mark')} and "
                            f"{counted(each.thumbs, 'thumb')}") for each in sets
                if (each.preferences if self._wanted == PairData.kind
                    else each.verdicts or each.thumbs)]

    def _has_judges(self, name: str) -> bool:
        store = self._store
        found = store.judgements.set(name) if store is not None else None
        return store is not None and found is not None and any(
            mark.judge for _, mark in store.judgements.marked(found.id))

    def _ask_file(self) -> None:
        noun = _KINDS[self._wanted].noun
        choose_file(self, f"{noun.lower()}_file", f"{noun} to learn from",
                    lambda paths: self.open_file(paths[0]), filters=_FILTERS.format(noun))

    def told_ahead(self, kind: str) -> str:
        """Return in a few words what a run that begins later would learn from, and how much that
        is."""
        if kind == PairData.kind or kind in self._chosen:
            return self._told(kind)[0]
        runs = self._finished()
        return ("what runs of these models that have finished by then wrote "
                f"(now {counted(len(runs), 'run')})")

    def is_there(self, kind: str) -> bool:
        """Return whether a run that begins now would find something to learn from."""
        return kind == PairData.kind or kind in self._chosen or bool(self._finished())

    def _finished(self) -> list[RunRecord]:
        """The runs that are learned from without a choice."""
        models = self._models()
        return runs_of(self._store, models) if self._store and models else []

    def _say(self) -> None:
        told = self._of_run.data if self._of_run is not None else {}
        if not self._wanted:
            self.say("", "")
        elif self._wanted in told:
            self.say(*_in_words(
                self._wanted, str(told["what"]), int(told[self._wanted]), str(told["summary"])))
        else:
            self.say(*self._told(self._wanted))

    def _told(self, kind: str) -> tuple[str, str]:
        """Return in a few words and in full what a new run would learn from."""
        data = self._chosen.get(kind)
        if data is None and kind == PairData.kind:
            data = bundled_pairs()
        if data is not None:
            return _in_words(kind, data.what, len(data.items), data.summary)
        runs = self._finished()
        if not runs:
            return ("No completions of finished runs of these models yet",
                    "Learns from what finished runs of the same models wrote, and there are none: "
                    "train with PPO first, or choose a file of completions with scores.")
        named = ", ".join(run.name for run in runs[:_RUNS])
        return (f"{_KINDS[kind].default} ({counted(len(runs), 'run')})",
                f"Learns from what the finished runs of these models wrote: {named}"
                + ("." if len(runs) <= _RUNS else ", …"))


def _in_words(kind: str, what: str, count: int, summary: str) -> tuple[str, str]:
    """Return in a few words and in full what is learned from."""
    return (f"{what} ({counted(count, kind.removesuffix('s'))})",
            f"Learns from {what}: {summary}")


def _read(store: Store, kind: str, source: str) -> Found:
    """Return what a source holds.

    Raises:
        DataError: nothing to learn from.
    """
    if source.startswith(_FILE):
        path = Path(source.removeprefix(_FILE))
        data, found = pairs_of_file(path) if kind == PairData.kind else scored_of_file(path)
        return data, found.problems
    if source.startswith(_BY_PEOPLE):
        return pairs_of_judgements(store, source.removeprefix(_BY_PEOPLE), judges=False), ()
    if source.startswith(_JUDGED):
        of_judgements = (
            pairs_of_judgements if kind == PairData.kind else scored_of_judgements)
        return of_judgements(store, source.removeprefix(_JUDGED)), ()
    runs = [int(number) for number in source.removeprefix(_OF_RUN).split(",")
            if number.isdecimal()]
    if not runs:
        raise DataError("What was to be learned from is not known any more; choose it again.")
    if kind == PairData.kind:
        return pairs_from_run(store, runs[0]), ()
    return scored_from_runs(store, runs), ()
