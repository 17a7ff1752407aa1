"""The view of siblings: the completions of one prompt that a cycle learned from, side by side."""

from __future__ import annotations

import math

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QStackedWidget,
    QStyleOptionComboBox,
    QWidget,
)
from superqt import QElidingLabel, QFlowLayout

from workbench.algorithms import find_spec
from workbench.formatting import number, signed
from workbench.gui.background import Background
from workbench.gui.paths.groups import Group, Picture, Sibling, read_groups
from workbench.gui.paths.sibling_tree import SiblingTree, one_line
from workbench.gui.run_view import PictureView
from workbench.gui.widgets.controls import enable, label, named, tool_button
from workbench.gui.widgets.cycle_controls import CycleControls
from workbench.gui.widgets.form_scroll import FormScroll
from workbench.gui.widgets.layouts import hbox, vbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.store.store import Store

_SHOWN = 60  # letters of a prompt
_NO_RUN = ("Press Start: where a cycle writes several completions of each prompt, here they stand "
           "side by side: which is better than its siblings, and by how much.")
_NO_CYCLE = "The completions of the first cycle appear here when they are written."
_NONE = "{} does not hold the completions of a prompt against one another."
_SINGLE = ("This cycle wrote each prompt's completions without siblings. Set {} in "
           "Hyperparameters to 2 or more, and start a run: here they then stand side by side.")
_ALIKE = "All of them are worth {}: none is better than its siblings, so they teach nothing."
_NOT_TOLD = ("Their tokens are not kept, or not judged yet, so that heights are scores and the "
             "dashed line is their mean.")


class SiblingsView(PictureView[Picture]):
    """One group of a cycle. ``token_wanted`` carries cycle, row in the batch and token of what is
    to be opened in Tokens; :attr:`controls` are to be placed by who shows the view."""

    token_wanted = Signal(int, int, int)

    def __init__(self, store: Store, background: Background, parent: QWidget | None = None) -> None:
        super().__init__("siblings_view", store, background, parent)
        self._place = 0  # which group
        self._prompt: int | None = None  # whose group was chosen
        self._read: tuple[int, int, int] | None = None  # what Tokens shows
        self._build()
        self.draw()

    # -- what the window tells

    def read(self, run_id: int, wanted: int | None) -> Picture | None:
        """Read the groups of a cycle."""
        return read_groups(self.store, run_id, wanted)

    def show_run(self, run_id: int | None) -> None:
        """Show a run, or none; another one from its latest cycle on."""
        if run_id != self.run_id:
            self._place, self._prompt = 0, None
        super().show_run(run_id)

    def show_place(self, run_id: int, cycle: int, position: int, at: int) -> None:
        """Take note of what Tokens shows: its group comes forward, if it is of this cycle."""
        if (run_id, cycle, position) != self._read:
            self._read = run_id, cycle, position
            picture = self.picture
            if picture and (run_id, cycle) == (picture.run_id, picture.cycle):
                place = picture.group_of(position)
                self._place = place if place >= 0 else self._place
                self._note_prompt()
                self.draw()

    # -- what the person does

    def choose_group(self, place: int) -> None:
        """Show another prompt's completions, and stay with the cycle."""
        picture = self.picture
        if picture is None or not 0 <= place < len(picture.groups) or place == self._place:
            return
        self._place = place
        self._note_prompt()
        if self.wanted is None:
            self.wanted = picture.cycle
        self.draw()

    def group(self) -> Group | None:
        """Return the group on display, if there is one."""
        groups = self.picture.groups if self.picture else ()
        return groups[self._place] if self._place < len(groups) else None

    def _note_prompt(self) -> None:
        group = self.group()
        self._prompt = None if group is None else group.prompt

    def _open(self, row: int) -> None:
        group, picture = self.group(), self.picture
        if group is not None and picture is not None:
            self.token_wanted.emit(picture.cycle, group.members[row].record.position, 0)

    # -- showing

    def sizeHint(self) -> QSize:
        """Wide enough for paths and texts."""
        return QSize(640, 320)

    def draw(self) -> None:
        """Draw what was read, or say why there is nothing."""
        picture = self.picture
        siblings = picture.siblings if picture else None
        there = picture is not None and bool(picture.groups)
        self._pages.setCurrentWidget(self._whole if there else self._empty)
        for widget in (self.cycles, self._of_prompt):
            widget.setVisible(there or (widget is self.cycles and bool(picture and picture.cycles)))
        if picture is not None and picture.cycles:
            self.cycles.show_cycles(picture.cycles, picture.cycle, self.wanted is None)
        if picture is None or siblings is None or not picture.groups:
            self._empty.setText(self._why_empty(picture))
            self.tree.show_group(None, None)
            return
        self._find_group(picture)
        self._offer(picture)
        group = picture.groups[self._place]
        read = -1
        if self._read is not None and self._read[:2] == (picture.run_id, picture.cycle):
            read = next((row for row, m in enumerate(group.members)
                         if m.record.position == self._read[2]), -1)
        self.tree.show_group(group, siblings, read)
        self._said.setText(self._say(group, picture))
        self._show_row(self.tree.row)

    def _why_empty(self, picture: Picture | None) -> str:
        if picture is None:
            return _NO_RUN if self.run_id is None else ""
        if picture.siblings is None:
            return _NONE.format(picture.algorithm.title)
        if not picture.cycles:
            return _NO_CYCLE if self.alive else self.why_no_cycle()
        spec = find_spec(picture.siblings.count)
        return _SINGLE.format(spec.label if spec else picture.siblings.count)

    def _find_group(self, picture: Picture) -> None:
        """Stay with the prompt that was chosen, where this cycle drew it."""
        groups = picture.groups
        if self._prompt is not None and not (
                self._place < len(groups) and groups[self._place].prompt == self._prompt):
            self._place = next((place for place, group in enumerate(groups)
                                if group.prompt == self._prompt), self._place)
        self._place = min(self._place, len(groups) - 1)

    def _offer(self, picture: Picture) -> None:
        texts = [self._name(group) for group in picture.groups]
        if [self.prompt.itemText(i) for i in range(self.prompt.count())] != texts:
            with QSignalBlocker(self.prompt):
                self.prompt.clear()
                for text, group in zip(texts, picture.groups, strict=True):
                    self.prompt.addItem(text, one_line(group.text)[:_SHOWN])
        with QSignalBlocker(self.prompt):
            self.prompt.setCurrentIndex(self._place)
        self.prompt.setToolTip(plain_tip(picture.groups[self._place].text[:2000]))
        enable(self.previous, self._place > 0, "This is the first prompt of the cycle.")
        enable(self.next, self._place < len(texts) - 1, "This is the last prompt of the cycle.")

    def _name(self, group: Group) -> str:
        text = one_line(group.text)
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        worth = [m.worth for m in group.members if math.isfinite(m.worth)]
        if not worth:
            return shown
        return f"{shown}  ({'all ' if group.alike else ''}{number(min(worth))}" + (
            ")" if group.alike else f" to {number(max(worth))})")

    def _say(self, group: Group, picture: Picture) -> str:
        """Say in words what the picture shows."""
        best, siblings = group.members[0], picture.siblings
        assert siblings is not None
        many = f"{len(group.members)} completions. "
        if not math.isfinite(best.worth):
            return f"{many}They are not scored yet."
        told = any(math.isfinite(m.advantage) for m in group.members)
        if group.alike and len(group.members) > 1:
            return many + _ALIKE.format(number(best.worth))
        worst = group.members[-1]
        line = siblings.line if told else "mean"
        said = (f"{many}The best is worth {number(best.worth)}, the worst "
                f"{number(worst.worth)}; {line} {number(group.mean)}.")
        return said if told else f"{said} {_NOT_TOLD}"

    def _show_row(self, row: int) -> None:
        """Say what is pointed at."""
        group, picture = self.group(), self.picture
        there = group is not None and 0 <= row < len(group.members)
        self._text.setVisible(there)
        self._hint.setVisible(not there)
        if not there or group is None or picture is None or picture.siblings is None:
            self.tree.setAccessibleDescription(self._said.text())
            return
        member = group.members[row]
        text = f"{say(member, picture.siblings.gained)} {one_line(member.record.text)}"
        self._text.setText(text)
        self._text.setToolTip(plain_tip(member.record.text[:4000]))
        self.tree.setAccessibleDescription(
            f"Completion {row + 1} of {len(group.members)}: {text}")
        line = self.tree.line(row)
        self._scroll.ensureVisible(0, round(line.center().y()), 0, round(line.height()))

    # -- making it

    def _build(self) -> None:
        self.controls = QWidget()
        flow = QFlowLayout(self.controls)
        flow.setContentsMargins(0, 0, 0, 0)
        flow.setSpacing(6)
        self.cycles = CycleControls("siblings", "The cycle that learned from these completions",
                                    "Choosing a cycle or a prompt lets go of it")
        self.cycles.picked.connect(self.choose_cycle)
        self.cycles.following.connect(self.follow)
        self.previous = tool_button("‹", "siblings_previous_prompt", "Previous prompt",
                                    "The prompt before", role="compact")
        self.next = tool_button("›", "siblings_next_prompt", "Next prompt", "The prompt after",
                                role="compact")
        self.previous.clicked.connect(lambda: self.choose_group(self._place - 1))
        self.next.clicked.connect(lambda: self.choose_group(self._place + 1))
        self.prompt = named(_PromptPicker(), "siblings_prompt", "Prompt",
                            "Whose completions are shown, with what they were worth")
        self.prompt.setProperty("role", "compact")
        self.prompt.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.prompt.setMinimumContentsLength(14)
        self.prompt.currentIndexChanged.connect(self.choose_group)
        self._of_prompt = QWidget()
        hbox(self._of_prompt, self.previous, self.prompt, self.next, spacing=4)
        for group in (self.cycles, self._of_prompt):
            flow.addWidget(group)
        self._said = label("", wrap=True, name="siblings_said", title="The picture in words")
        self.tree = SiblingTree()
        self.tree.pointed.connect(self._show_row)
        self.tree.opened.connect(self._open)
        self.tree.turned.connect(lambda by: self.choose_group(self._place + by))
        self._scroll = FormScroll(self.tree)
        self._text = named(QElidingLabel(textFormat=Qt.TextFormat.PlainText), "siblings_text",
                           "The completion pointed at", "")
        self._hint = named(
            QElidingLabel("Height: what a completion was worth; colour: its advantage; dashed: "
                          "what they are held against. A click opens one in Tokens"),
            "siblings_legend", "What the picture means", "")
        self._hint.setProperty("role", "muted")
        self._whole = QWidget()
        vbox(self._whole, self._said, (self._scroll, 1), self._text, self._hint, spacing=6)
        self._empty = label("", "muted", wrap=True, name="siblings_empty")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedWidget()
        self._pages.addWidget(self._empty)
        self._pages.addWidget(self._whole)
        vbox(self, self._pages)


class _PromptPicker(QComboBox):
    """Shows, closed, the prompt alone: there is no room for what its completions were worth."""

    def initStyleOption(self, option: QStyleOptionComboBox) -> None:
        """Leave out all but the prompt."""
        super().initStyleOption(option)
        option.currentText = self.currentData() or ""


def say(member: Sibling, gained: str) -> str:
    """Say in a few words what a completion was worth."""
    said = f"Score {number(member.record.score)}"
    if member.priced:
        said += f", worth {number(member.worth)}"
    if math.isfinite(member.against):
        said += f", held against {number(member.against)}"
    if math.isfinite(member.advantage):
        said += f": {gained} {signed(member.advantage)}"
    return f"{said}."
