"""The runs as a table whose rows stand in the order of the tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QWidget

from workbench.algorithm import Metric
from workbench.algorithms import (
    find_metric,
    headline_of,
    headline_title,
    headlines_by_run,
    way_of_run,
)
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.run_colours import draw_together, swatch
from workbench.gui.widgets.theme import themes
from workbench.learning.metrics import COMPARED
from workbench.store.records import RunRecord

_REWARD = 1
COLUMNS = ("Run", "Reward", "Cycles", "Status", "Started")
_TIPS = ("Tick a run to draw it over the one on display; double-click to show it; F2 renames it",
         "What the first and the last cycle had on average, the same of every run that trains a "
         "policy; a compared reward begins with the start policy's",
         "Cycles completed", "Where the run stands", "When the run was started")
BRANCH_ROLE = Qt.ItemDataRole.UserRole + 1
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class Branch:
    """Where a row stands in the tree: which of the lines at its left go on below it."""

    lines: tuple[bool, ...] = ()

    @property
    def depth(self) -> int:
        """How many forks lie between the run and the first one."""
        return len(self.lines)


def elsewhere(run: RunRecord) -> str:
    """Say that another process trains ``run``."""
    return (f"Trained by {run.owner or 'another process'}, without this window; show it to watch "
            "and steer it.")


def in_tree_order(runs: Sequence[RunRecord]) -> list[tuple[RunRecord, Branch]]:
    """Return the runs with their place: newest first, each followed by what was forked from it."""
    known = {run.id for run in runs}
    children: dict[int | None, list[RunRecord]] = {}
    for run in sorted(runs, key=lambda r: -r.id):
        children.setdefault(run.parent if run.parent in known else None, []).append(run)
    result: list[tuple[RunRecord, Branch]] = []
    stack: list[tuple[RunRecord, tuple[bool, ...]]] = [
        (run, ()) for run in reversed(children.get(None, []))]
    while stack:
        run, lines = stack.pop()
        result.append((run, Branch(lines)))
        below = children.get(run.id, [])
        stack += [(child, (*lines, place > 0)) for place, child in enumerate(reversed(below))]
    return result


class RunsModel(QAbstractTableModel):
    """The runs in the order of the tree. Names can be edited in place; a tick draws a run over the
    one on display. ``ticked`` carries the numbers of the ticked runs."""

    renamed = Signal(object, str)
    ticked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.runs: list[RunRecord] = []
        self._branches: list[Branch] = []
        self._names: dict[int, str] = {}
        self._rewards: dict[int, tuple[float, float]] = {}
        self._title = headline_title(())
        self._metrics: dict[int, str] = {}
        self._ways: dict[int, str] = {}
        self._column = headline_of(())
        self._brief = False
        self._shown: int | None = None
        self._elsewhere: frozenset[int] = frozenset()
        self._ticks: set[int] = set()
        self._lent: set[int] = set()
        """Those that nobody ticked."""
        draw_together(())
        themes().changed.connect(self._repaint)

    def fill(
        self, runs: list[RunRecord], rewards: Mapping[int, tuple[float, float]],
        elsewhere: frozenset[int] = frozenset(),
    ) -> None:
        """Show these runs; rows that were there already stay. Those of ``elsewhere`` are trained
        by another process."""
        placed = in_tree_order(runs)
        ordered, branches = [run for run, _ in placed], [branch for _, branch in placed]
        # Rows that come are asked for what they show as soon as they are there.
        self._metrics |= headlines_by_run(runs)
        self._make_room(ordered, branches)
        self.runs, self._branches = ordered, branches
        self._rewards, self._elsewhere = dict(rewards), elsewhere
        self._names = {run.id: run.name for run in runs}
        self._column = headline_of(runs)
        ways = {run.id: way_of_run(run) for run in runs}
        self._ways = ways if len(set(ways.values())) > 1 else {}
        if self._title != headline_title(runs):
            self._title = headline_title(runs)
            self.headerDataChanged.emit(Qt.Orientation.Horizontal, _REWARD, _REWARD)
        self._repaint()
        self.set_ticked(self._ticks & set(self._names))

    def _make_room(self, ordered: Sequence[RunRecord], branches: Sequence[Branch]) -> None:
        """Take rows away and add some, so that the others, and what is selected, stay."""
        known, wanted = [run.id for run in self.runs], [run.id for run in ordered]
        head = _common(known, wanted)
        tail = _common(known[head:][::-1], wanted[head:][::-1])
        gone, new = len(known) - head - tail, len(wanted) - head - tail
        if gone:
            self.beginRemoveRows(QModelIndex(), head, head + gone - 1)
            del self.runs[head:head + gone], self._branches[head:head + gone]
            self.endRemoveRows()
        if new:
            self.beginInsertRows(QModelIndex(), head, head + new - 1)
            self.runs[head:head] = ordered[head:head + new]
            self._branches[head:head] = branches[head:head + new]
            self.endInsertRows()

    def update(
        self, run: RunRecord, reward: tuple[float, float] | None, elsewhere: bool = False
    ) -> bool:
        """Show where a run stands now, and return whether a text got longer. Its name and its
        place in the tree stay."""
        row = next(i for i, known in enumerate(self.runs) if known.id == run.id)
        before = self._texts(self.runs[row])
        self.runs[row] = run
        self._rewards.pop(run.id, None)
        if reward is not None:
            self._rewards[run.id] = reward
        self._elsewhere = self._elsewhere - {run.id} | ({run.id} if elsewhere else frozenset())
        # Not the name, which may be being edited.
        self.dataChanged.emit(self.index(row, 1), self.index(row, len(COLUMNS) - 1))
        return any(len(now) > len(then)
                   for now, then in zip(self._texts(run)[1:], before[1:], strict=True))

    def set_brief(self, brief: bool) -> None:
        """Show of the reward the last number alone, where there is no room; its tip has both."""
        if brief != self._brief:
            self._brief = brief
            self._repaint()

    @property
    def shown(self) -> int | None:
        """The run on display."""
        return self._shown

    def set_shown(self, run_id: int | None) -> None:
        """Mark the run that is on display."""
        if run_id != self._shown:
            self._shown = run_id
            self._draw_together()

    @property
    def ticks(self) -> frozenset[int]:
        """The ticked runs."""
        return frozenset(self._ticks)

    def set_ticked(self, run_ids: Iterable[int]) -> None:
        """Tick exactly these runs."""
        wanted = set(run_ids)
        self._lent &= wanted  # one that is ticked again is ticked by the person
        if wanted != self._ticks:
            self._ticks = wanted
            self._draw_together()
            self.ticked.emit(self.ticks)

    @property
    def lent(self) -> frozenset[int]:
        """The ticked runs that nobody ticked."""
        return frozenset(self._lent)

    def lend_ticks(self, run_ids: Iterable[int]) -> None:
        """Tick these runs too, until :meth:`take_back_ticks`."""
        wanted = set(run_ids)
        self._lent |= wanted - self._ticks
        self.set_ticked(self._ticks | wanted)

    def take_back_ticks(self) -> None:
        """Untick what was lent, unless the person has ticked it since."""
        lent, self._lent = self._lent, set()
        self.set_ticked(self._ticks - lent)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Return the number of runs."""
        return 0 if parent.isValid() else len(self.runs)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Return the number of columns."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, number: int, orientation: Qt.Orientation, role: int = 0) -> object:
        """Return a column's title and tooltip."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if number == _REWARD and role == Qt.ItemDataRole.DisplayRole:
            return self._title.replace(" ", "\n")  # it is a narrow one
        return {Qt.ItemDataRole.DisplayRole: COLUMNS, Qt.ItemDataRole.ToolTipRole: _TIPS}.get(
            Qt.ItemDataRole(role), (None,) * len(COLUMNS))[number]

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Let names be edited and ticked."""
        flags = super().flags(index)
        if index.column():
            return flags
        return flags | Qt.ItemFlag.ItemIsEditable | Qt.ItemFlag.ItemIsUserCheckable

    def data(self, index: Index, role: int = 0) -> object:
        """Return what a cell shows."""
        if not index.isValid():
            return None
        run, column = self.runs[index.row()], index.column()
        if role == Qt.ItemDataRole.ToolTipRole and column == _REWARD:
            metric = self._metric(run)
            # What was scored by an earlier reward is not held against this one's.
            begins = ("the start policy" if metric.name == COMPARED and not run.reward_since
                      else "the first")
            span = f": {self._span(run)}" if run.id in self._rewards else ""
            return plain_tip(f"{metric.label} of {begins} and of the last cycle{span}")
        if role == Qt.ItemDataRole.DisplayRole:
            return self._texts(run)[column]
        if role == Qt.ItemDataRole.ToolTipRole and column == 3:
            return plain_tip(elsewhere(run) if run.id in self._elsewhere else self._status(run))
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{self.data(index)}{self._spoken(run) if column == 0 else ''}"
        return self._of_name(run, index.row(), role) if column == 0 else None

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Rename a run, or tick it."""
        run = self.runs[index.row()]
        if role == Qt.ItemDataRole.CheckStateRole:
            self._lent.discard(run.id)
            checked = Qt.CheckState(value) == Qt.CheckState.Checked
            self.set_ticked(self._ticks | {run.id} if checked else self._ticks - {run.id})
            return True
        name = str(value).strip()
        if not name or role != Qt.ItemDataRole.EditRole:
            return False
        self.renamed.emit(run.id, name)
        return True

    def origin(self, run: RunRecord) -> str:
        """Say where a run was forked from: "from Run 3, cycle 10"; "" for one that was not."""
        name = self._names.get(run.parent or 0)
        return f"from {name}, cycle {run.parent_cycle}" if name else ""

    def _of_name(self, run: RunRecord, row: int, role: int) -> object:
        drawn = run.id == self._shown or run.id in self._ticks
        if role == Qt.ItemDataRole.EditRole:
            return run.name
        if role == Qt.ItemDataRole.CheckStateRole:
            return Qt.CheckState.Checked if run.id in self._ticks else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.DecorationRole:
            return swatch(run.id, themes().theme, drawn)
        if role == Qt.ItemDataRole.ToolTipRole:
            origin = self.origin(run)
            cycles = f"{run.cycles:,} {'cycle' if run.cycles == 1 else 'cycles'}"
            metric = self._metric(run)
            reward = (f"{metric.label[0].lower()}{metric.label[1:]} {self._span(run)}"
                      if run.id in self._rewards else "")
            about = ", ".join(
                part for part in (way_of_run(run), run.status, cycles, reward, origin) if part)
            own = (" It is on display and drawn without a tick; a tick draws another run over it."
                   if run.id == self._shown else "")
            return plain_tip(f"{run.name}: {about}.{own} {run.note}".strip())
        if role == Qt.ItemDataRole.FontRole and run.id == self._shown:
            font = QFont()
            font.setBold(True)
            return font
        return self._branches[row] if role == BRANCH_ROLE else None

    def _spoken(self, run: RunRecord) -> str:
        parts = ["on display" if run.id == self._shown else "",
                 "drawn over it" if run.id in self._ticks else "", self.origin(run)]
        return "".join(f", {part}" for part in parts if part)

    def _texts(self, run: RunRecord) -> tuple[str, ...]:
        """Return what the columns show of a run."""
        return (self._named(run), self._reward(run), str(run.cycles), self._status(run),
                _when(run.created_at))

    def _status(self, run: RunRecord) -> str:
        return f"{run.status} elsewhere" if run.id in self._elsewhere else run.status

    def _named(self, run: RunRecord) -> str:
        """Return the name of a run, with the way that it learns by where there are several."""
        way = self._ways.get(run.id, "")
        return f"{run.name} · {way}" if way and way not in run.name else run.name

    def _metric(self, run: RunRecord) -> Metric:
        """Return what a run is compared by."""
        return find_metric(self._metrics[run.id])

    def _reward(self, run: RunRecord) -> str:
        """Return a run's numbers, named where they are others than the column has."""
        if run.id not in self._rewards:
            return "–"
        metric = self._metric(run)
        own = "" if metric.name == self._column else f"{metric.short or metric.label} "
        last = metric.text(self._rewards[run.id][1])
        return own + (f"→ {last}" if self._brief else self._span(run))

    def _span(self, run: RunRecord) -> str:
        return " → ".join(self._metric(run).text(value) for value in self._rewards[run.id])

    def _draw_together(self) -> None:
        draw_together(self._ticks | ({self._shown} if self._shown is not None else set()))
        self._repaint()

    def _repaint(self) -> None:
        if self.runs:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.runs) - 1,
                                                               len(COLUMNS) - 1))


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many numbers both begin with."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y),
                min(len(a), len(b)))


@lru_cache(4096)  # as many as there may be runs; the list is filled again and again
def _when(created: str) -> str:
    try:
        return datetime.fromisoformat(created).astimezone().strftime("%d %b %H:%M")
    except ValueError:
        return created
