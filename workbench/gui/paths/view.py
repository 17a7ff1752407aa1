"""The view of paths not taken: from the token chosen in Tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, QSize, Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QPushButton,
    QSpinBox,
    QStackedWidget,
    QToolButton,
    QWidget,
)
from superqt import QElidingLabel, QFlowLayout

from workbench.algorithms import algorithm_of_cycle, algorithm_of_run
from workbench.formatting import difference, number, percent, signed, visible
from workbench.gui.background import Background
from workbench.gui.paths.groups import has_siblings
from workbench.gui.paths.layout import Node
from workbench.gui.paths.siblings import SiblingsView
from workbench.gui.paths.tree import PathTree
from workbench.gui.place_view import Place, PlaceView
from workbench.gui.widgets.controls import enable, label, named, tool_button
from workbench.gui.widgets.layouts import hbox, vbox
from workbench.gui.widgets.place_text import place_text
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import themes
from workbench.records import Crossroads
from workbench.store.store import Store
from workbench.training.commands import StopTrying, TrySource, WriteOn
from workbench.training.events import State, WritingOn, WritingOnFailed, WroteOn
from workbench.training.states import WHEN, allowed

PathEvent = WritingOn | WroteOn | WritingOnFailed
_EMPTY = ("Choose a token in Tokens. Write on then continues the likeliest tokens at its place, "
          "with the same random numbers each, and draws what the reward gives: which path was "
          "better than the alternatives, and by how much.")
_NOTHING = "Nothing was written on from here yet."
_ELSEWHERE = ("Nothing was written on from here yet. The tree is of {} of this completion; Left "
              "and Right in it go there.")
_SOURCES = {"Policy as it is now": TrySource("current"), "Start policy": TrySource("start")}


_FROM_TOKEN, _SIBLINGS = "token", "siblings"


class PathsView(PlaceView):
    """Shows the tree of all places of a completion that were written on from, or the completion
    beside its :attr:`siblings`."""

    def __init__(self, store: Store, background: Background, parent: QWidget | None = None) -> None:
        super().__init__("paths_view", store, parent)
        self.siblings = SiblingsView(store, background, self)
        self._found: list[Crossroads] = []  # of the completion
        self._trees: dict[str, list[Crossroads]] = {}  # the same by who wrote them
        self._asked: dict[int, Place] = {}
        self._number = 0
        self._run_id: int | None = None
        self._chosen_by_hand = False
        self._build()
        self._show()

    # -- what the window tells

    def show_place(self, run_id: int, cycle: int, position: int, at: int) -> None:
        """Show what is known of a place of a completion."""
        if (run_id, cycle, position, at) != self._place:
            super().show_place(run_id, cycle, position, at)

    def show_run(self, run_id: int | None) -> None:
        """Let go of a place of another run. One with siblings begins with them, unless the person
        has said what is to be shown."""
        super().show_run(run_id)
        if run_id != self._run_id:
            self._run_id = run_id
            siblings = run_id is not None and has_siblings(self.store, run_id)
            if not self._chosen_by_hand:
                self.choose_mode(_SIBLINGS if siblings else _FROM_TOKEN)
            run = None if run_id is None else self.store.run(run_id)
            algorithm = None if run is None else algorithm_of_run(run)
            there = algorithm is None or (
                algorithm.tokens is not None and algorithm.tokens.siblings is not None)
            if not there:
                self.choose_mode(_FROM_TOKEN)
            enable(self._modes[_SIBLINGS], there, f"{algorithm.title if algorithm else ''} learns "
                   "from no completions of its own, which could be held against one another.")

    def leave(self) -> None:
        """Show nothing: there is no place any more."""
        self._found, self._trees = [], {}
        self.writer.clear()
        self._show()
        self._enable()

    def set_state(self, state: State) -> None:
        """Take note of what can be asked for."""
        self._state = state
        self._enable()

    def handle(self, event: PathEvent) -> None:
        """Take note of what came of writing on."""
        place = self._asked.get(event.id)
        if isinstance(event, WritingOn):
            self._said.setText(f"Writing on: {event.done} of at most {event.total} tokens")
            return
        self._asked.pop(event.id, None)
        if isinstance(event, WroteOn):
            if place is not None and self._place is not None and place[:3] == self._place[:3]:
                self._read(event.found.writer)
        else:
            if event.sentence:
                self.message.emit("warning", event.sentence)
            self._show()
        self._enable()

    def refused(self) -> None:
        """A command was refused, as the person is told elsewhere."""
        self._asked.clear()
        self._show()
        self._enable()

    def save_state(self) -> dict[str, object]:
        """Return which of the two is shown, where the person has said it."""
        return {"shows": self.shows()} if self._chosen_by_hand else {}

    def restore_state(self, state: dict[str, object]) -> None:
        """Show as :meth:`save_state` told."""
        if state.get("shows") in self._modes:
            self._choose_by_hand(str(state["shows"]))

    # -- what the person does

    def shows(self) -> str:
        """Return what is shown: paths from a "token", or "siblings"."""
        return next(name for name, button in self._modes.items() if button.isChecked())

    def choose_mode(self, name: str) -> None:
        """Show paths from a "token", or "siblings"."""
        self._modes[name].setChecked(True)
        siblings = name == _SIBLINGS
        self._both.setCurrentWidget(self.siblings if siblings else self._pages)
        self.siblings.controls.setVisible(siblings)
        self._where.setVisible(not siblings)

    def _choose_by_hand(self, name: str) -> None:
        self._chosen_by_hand = True
        self.choose_mode(name)

    def write_on(self) -> None:
        """Write on from the place on display, or end that."""
        if self._asked:
            self.wanted.emit(StopTrying())
        elif self._place is not None:
            self._number += 1
            self._asked[self._number] = self._place
            run_id, cycle, position, at = self._place
            self._enable()
            self.wanted.emit(WriteOn(
                self._number, run_id, cycle, position, at,
                list(_SOURCES.values())[self.source.currentIndex()],
                self.branches.value(), self.times.value()))

    def go_to_prompt(self) -> None:
        """Show what was written on from the prompt, and write on from there if nothing was."""
        if self._place is not None:
            self.go_to(0)
            if self._chosen() is None and self._state in allowed(WriteOn):
                self.write_on()

    def go_to(self, at: int) -> None:
        """Show another place of the completion."""
        if self._place is not None:
            self.show_place(*self._place[:3], at)

    # -- showing

    def sizeHint(self) -> QSize:
        """Wide enough for a tree."""
        return QSize(640, 400)

    def load(self) -> None:
        """Show what is known of the place."""
        if self._place is not None:
            self._read()

    def _read(self, writer: str = "") -> None:
        """Read what is known of the completion, and show what ``writer`` wrote, or the last to
        write at the place."""
        assert self._place is not None
        found = self.store.crossroads(*self._place[:3])
        if found != self._found:  # else the tree stays as it is
            self._found, self._trees = found, {}
            for one in found:
                self._trees.setdefault(one.writer, []).append(one)
            with QSignalBlocker(self.writer):
                self.writer.clear()
                self.writer.addItems(list(self._trees))
                self.writer.setCurrentIndex(len(self._trees) - 1)
        if writer:
            with QSignalBlocker(self.writer):
                self.writer.setCurrentIndex(self.writer.findText(writer))
        self._choose_writer()

    def _choose_writer(self) -> None:
        """Show another's tree where the one on display has nothing from the place."""
        able = [row for row, places in enumerate(self._trees.values())
                if any(c.at == self._at() for c in places)]
        if able and self.writer.currentIndex() not in able:
            with QSignalBlocker(self.writer):
                self.writer.setCurrentIndex(able[-1])
        self._show()
        self._enable()

    def _at(self) -> int:
        return -1 if self._place is None else self._place[3]

    def _shown(self) -> Sequence[Crossroads]:
        """Return the places of the tree on display."""
        return self._trees.get(self.writer.currentText(), ())

    def _chosen(self) -> Crossroads | None:
        return next((c for c in self._shown() if c.at == self._at()), None)

    def _show(self) -> None:
        place, found, shown = self._place, self._chosen(), self._shown()
        self._pages.setCurrentWidget(self._empty if place is None else self._whole)
        if place is None:
            self._where.setText("")
        self.writer.setVisible(len(self._trees) > 1)
        self._by.setVisible(len(self._trees) > 1)
        self.tree.show_places(shown, self._at())
        self._draw_legend()
        self._show_leaf(None)
        said = _NOTHING
        if found is not None:
            said = f"{say(found)} {self._say_tokens(found)}".rstrip()
        elif shown:
            said = _ELSEWHERE.format(f"{len(shown):,} other places" if len(shown) > 1
                                     else "another place")
        if place is not None:
            self._where.setText(self._describe(place))
            self._said.setText(said)
        which = (f"Place {shown.index(found) + 1:,} of {len(shown):,}. "
                 if found is not None and len(shown) > 1 else "")
        self.tree.setAccessibleDescription(f"{which}{said}")

    def _describe(self, place: Place) -> str:
        run_id, cycle, position, at = place
        return place_text(self.store.trace(run_id, cycle, position), cycle, at)

    def _say_tokens(self, found: Crossroads) -> str:
        """Say the advantage that Tokens has of the same token, and why it is another one."""
        assert self._place is not None
        run_id, cycle, position, at = self._place
        run, trace = self.store.run(run_id), self.store.trace(run_id, cycle, position)
        column = None if trace is None else trace.numbers.get("advantage")
        if run is None or column is None or at >= len(column) or math.isnan(column[at]):
            return ""
        settings = self.store.settings_after(run_id, cycle)
        tokens = algorithm_of_cycle(run, cycle, settings).tokens
        line = tokens.line if tokens is not None else None
        by_head, unit = line is not None and line.of_value_head, line.unit(settings) if line else ""
        return (f"In Tokens it has {f'{signed(float(column[at]))} {unit}'.rstrip()}: there "
                + ("against the value head's estimate (GAE)" if by_head
                   else "against the other completions")
                + f", by the policy before the update of cycle {cycle:,}; here against what else "
                f"could be written, by {_who(found.writer)}.")

    def _show_leaf(self, leaf: Node | None) -> None:
        pointed = leaf is not None and leaf.branch is not None
        if pointed and self._legend.isVisible():
            self._text.setFixedHeight(self._legend.height())  # so that the tree keeps its own
        self._legend.setVisible(not pointed and self.tree.root is not None)
        self._text.setVisible(pointed)
        if leaf is None or leaf.branch is None:
            self._text.setText("")
            return
        ends = [n.continuation for n in leaf.leaves() if n.continuation is not None]
        best = max(ends, key=lambda c: c.score)
        text = leaf.branch.piece + "".join(best.pieces)
        many = (f" on average of {len(ends):,}, the best {number(best.score)}"
                if len(ends) > 1 else "")
        self._text.setText(f"{number(leaf.worth)}{many}: …{' '.join(text.split())}")
        self._text.setToolTip(plain_tip(text))

    def _draw_legend(self) -> None:
        theme = themes().theme
        legend = (
            f"<span style='color: {theme.good}'>━</span> worth more than where it comes from, "
            f"<span style='color: {theme.bad}'>━</span> less, "
            f"<span style='color: {theme.muted}'>━</span> about as much; thick: taken. "
            "Point at an end to read it"
            + ("; Left, Right or a click goes to another place"
               if len(self.tree.places) > 1 else ""))
        self._legend.setText(legend)
        self._legend.setToolTip(legend)  # where there is no room for all of it

    def _enable(self) -> None:
        busy = bool(self._asked)
        self.button.setText("Stop" if busy else "Write on from here")
        self.button.setAccessibleName(self.button.text())
        enable(self.button, busy or self._state in allowed(WriteOn), WHEN[WriteOn][1])
        for widget in (self.source, self.branches, self.times):
            enable(widget, not busy, "Paths are being written.")
        first, can = self._at() == 0, self._state in allowed(WriteOn)
        written = first and self._chosen() is not None
        enable(self.from_prompt, not (busy or written) and (can or not first),
               "Paths are being written." if busy else
               "What was written on from the prompt is on display." if written else
               WHEN[WriteOn][1])

    def _build(self) -> None:
        self._where = named(QElidingLabel(textFormat=Qt.TextFormat.PlainText), "paths_where",
                            "Place", "The place in a completion from which is written on")
        self._where.setElideMode(Qt.TextElideMode.ElideMiddle)
        controls = QWidget()
        flow = QFlowLayout(controls)
        flow.setContentsMargins(0, 0, 0, 0)
        flow.setSpacing(6)
        self.button = named(QPushButton("Write on from here"), "write_on", "Write on from here",
                            "Continue the likeliest tokens at this place, score what comes of it, "
                            "and keep it with the run")
        self.button.clicked.connect(lambda _=False: self.write_on())
        self.from_prompt = tool_button(
            "From the prompt", "paths_from_prompt", "From the prompt",
            "Go to the first token, in place of which anything could have been answered, and write "
            "on from there if nothing was written yet",
            role="compact")
        self.from_prompt.clicked.connect(self.go_to_prompt)
        self.source = named(QComboBox(), "paths_source", "Written by", "Which policy writes on")
        self.source.addItems(list(_SOURCES))
        self.branches = self._spin("paths_branches", "Tokens", 2, 20, 5,
                                   "How many of the likeliest tokens are written on from")
        self.times = self._spin("paths_times", "Times", 1, 32, 4,
                                "How many times each is, the n-th with the same random numbers "
                                "for all")
        self.writer = named(QComboBox(), "paths_writer", "Tree of", "Whose paths are shown")
        self.writer.currentIndexChanged.connect(lambda _: self._show())
        self._by = label("Tree of")
        for widgets in ((self.button, self.from_prompt), (self.source,),
                        (self.branches, label("tokens", "muted")),
                        (self.times, label("times", "muted")), (self._by, self.writer)):
            group = QWidget()
            hbox(group, *widgets, spacing=4)
            flow.addWidget(group)
        self._said = label("", wrap=True, name="paths_said", title="The tree in words")
        self.tree = PathTree()
        self.tree.pointed.connect(self._show_leaf)
        self.tree.place_chosen.connect(self.go_to)
        self._legend = label(rich=True, wrap=True, name="paths_legend")
        self._legend.setMinimumWidth(1)
        self._draw_legend()
        themes().changed.connect(self._draw_legend)
        self._text = named(QElidingLabel(textFormat=Qt.TextFormat.PlainText), "paths_text",
                           "The path pointed at", "")
        self._empty = label(_EMPTY, "muted", wrap=True, name="paths_empty")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._whole = QWidget()
        vbox(self._whole, self.behind, controls, self._said, (self.tree, 1), self._legend,
             self._text, spacing=6)
        self._pages = QStackedWidget()
        for page in (self._empty, self._whole):
            self._pages.addWidget(page)
        self._both = QStackedWidget()
        self._both.addWidget(self._pages)
        self._both.addWidget(self.siblings)
        vbox(self, self._make_head(), (self._both, 1), margins=8)
        self.choose_mode(_FROM_TOKEN)

    def _make_head(self) -> QWidget:
        """Return the choice between the two, and beside it what belongs to each."""
        head, self._chooser = QWidget(), QButtonGroup(self)
        row = hbox(head, spacing=4)
        self._modes: dict[str, QToolButton] = {}
        for name, title, tip in (
                (_FROM_TOKEN, "Token", "What else could have come at a token, written on"),
                (_SIBLINGS, "Siblings", "The completions of one prompt side by side, as a cycle "
                                        "learned from them")):
            button = tool_button(title, f"paths_{name}", title, tip, role="compact", checkable=True)
            button.clicked.connect(lambda _=False, name=name: self._choose_by_hand(name))
            self._chooser.addButton(button)
            self._modes[name] = button
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        row.addSpacing(8)
        row.addWidget(self._where, 1)
        row.addWidget(self.siblings.controls, 1)
        return head

    def _spin(self, name: str, title: str, least: int, most: int, value: int, tip: str) -> QSpinBox:
        spin = named(QSpinBox(), name, title, tip)
        spin.setRange(least, most)
        spin.setValue(value)
        spin.setFixedWidth(spin.fontMetrics().averageCharWidth() * 9)
        return spin


def _who(writer: str) -> str:
    """Return who wrote, within a sentence."""
    return "the start policy" if writer == "Start policy" else writer


def say(found: Crossroads) -> str:
    """Say in a sentence what a tree shows."""
    others: Sequence[str] = [visible(b.piece) for b in found.branches if b.token != found.taken]
    path = found.path
    chance = (f"“{visible(path.piece)}” has a chance of {percent(path.chance)} by "
              f"{_who(found.writer)} (start policy {percent(path.start_chance)}). ")
    if not others:
        return chance
    worth, against = number(path.worth), number(found.others)
    return (f"{chance}This path is worth {worth}, the others {against} "
            f"on average: advantage {difference(against, worth)} of reward, against the other "
            f"paths. All together {number(found.worth)} (●)"
            + (f"; the value head foresaw {number(found.value)} (◇)."
               if math.isfinite(found.value) else "."))
