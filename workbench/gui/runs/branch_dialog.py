"""From which checkpoint to fork a run or to let it go on, and with which settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from workbench import algorithms
from workbench.algorithms import (
    algorithm_of_run,
    carried_over,
    find_metric,
    offers_of,
    way_of_run,
    way_title,
)
from workbench.formatting import file_size, format_value
from workbench.gui.hyperparameters.data_line import DataLine
from workbench.gui.hyperparameters.form import HyperparametersForm
from workbench.gui.metrics.metric_texts import changes_by_cycle
from workbench.gui.metrics.reading import read_series
from workbench.gui.widgets.controls import (
    RIGHT,
    as_list,
    describe,
    enable,
    label,
    named,
    tool_button,
)
from workbench.gui.widgets.dialog import Dialog
from workbench.gui.widgets.form_scroll import FormScroll
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import set_look
from workbench.learning.metrics import COMPARED, KL
from workbench.records import RunData
from workbench.settings import HyperparameterError, Value
from workbench.store.records import RunRecord, Series
from workbench.store.store import Store
from workbench.training.commands import Fork, GoBack, LoadModels
from workbench.training.names import reward_name, reward_of
from workbench.training.reward_parts import RewardPart, learned_from

_COLUMNS = (("After cycle", "The last cycle the checkpoint knows"),
            (find_metric(COMPARED).label,
             "Mean reward on the compared prompts: of what the policy wrote after that cycle"),
            ("KL", "KL to the start policy of the completions that cycle learned from"),
            ("Size", "What it takes on disk"))
_MORE_CYCLES = 20
_STRUCTURAL = "Decides which weights the run trains: only a fork from its start can change it."
_FIXED = "Cannot change during a run: fork the run to change it."


class BranchDialog(Dialog):
    """Asks for a checkpoint and settings. ``back`` goes on with the run itself, else it is forked.

    ``warning`` says what becomes of a run that is alive. With ``cycle_in_hand`` that is this run,
    and the end of its present cycle can be chosen too. ``on_display`` names the run that the window
    shows, where it is another one. ``reward`` is the one chosen in Models: a fork may go on with it
    where it is not the run's. ``data_line`` has what a fork into another algorithm learns from.
    """

    def __init__(
        self, parent: QWidget, store: Store, run: RunRecord, then: Callable[[Fork | GoBack], None],
        *, back: bool = False, changes: Mapping[str, Value] | None = None,
        warning: str = "", cycle_in_hand: bool = False, on_display: str = "",
        reward: Sequence[RewardPart] = (), data_line: DataLine | None = None,
    ) -> None:
        super().__init__(parent, "go_back_dialog" if back else "fork_dialog",
                         f"Go back in {run.name}" if back else f"Fork {run.name}")
        self._store, self._run, self._then, self._back = store, run, then, back
        known = (LoadModels.recorded(run.policy, run.models).parts if "reward" in run.models
                 else (RewardPart(run.reward),))
        other = not back and tuple(reward) != known and algorithm_of_run(run).makes == "policy"
        self._reward = tuple(reward) if other else ()
        self._same_scores = learned_from(self._reward) == learned_from(known)
        self._own = next((a for a in algorithms.ALGORITHMS if a.name == run.algorithm), None)
        self._algorithm = self._own or algorithm_of_run(run)
        self._settings = self._algorithm.settings
        self._others = [a for a in algorithms.ALGORITHMS if a.makes == self._algorithm.makes]
        self._offers = [(a, way) for a in self._others for way in offers_of(a)]
        self.data_line = data_line or DataLine()
        self._reference: dict[str, Value] = {}
        self._cycles: list[int | None] = []
        self._proposed: int | None = None  # more cycles, where the checkpoint is the run's end
        self._changes = dict(changes or {})
        self._form: HyperparametersForm | None = None
        self._build(warning, on_display)
        self._fill(cycle_in_hand)

    # -- what is chosen

    @property
    def form(self) -> HyperparametersForm:
        """The settings from there on. It takes half a second to make, so it is made once the
        dialog is on the screen, or when it is asked for."""
        if self._form is None:
            self._form = self._make_form()
            self._chosen()
            self._form.set_values(self._changes, "change")
        return self._form

    @property
    def cycle(self) -> int | None:
        """The chosen checkpoint; None is that of the cycle in hand."""
        return self._cycles[max(0, self.checkpoints.currentRow())]

    def warn(self, text: str) -> None:
        """Say what becomes of the run that is alive, or nothing."""
        self._warning.setText(text)
        self._warning.setVisible(bool(text))

    def choose(self, cycle: int | None) -> None:
        """Choose a checkpoint."""
        self.checkpoints.selectRow(self._cycles.index(cycle))

    def changes(self) -> dict[str, Value]:
        """Return the settings that are not what the run used at the checkpoint."""
        return {name: value for name, value in self.form.values().items()
                if self._reference.get(name) != value}

    def accept(self) -> None:
        """Fork, or go back."""
        changes = self.changes()
        if not self.ok.isEnabled():
            return
        if self._back:
            self._then(GoBack(self._run.id, self.cycle or 0, changes))
        else:
            self._then(Fork(
                self._run.id, self.cycle, changes, self.name.text().strip(),
                algorithm=self._algorithm.name if self._is_other() else "", data=self._data(),
                reward=self._reward if self._takes_reward() else None))
        super().accept()

    def choose_algorithm(self, name: str) -> None:
        """Go on by the algorithm of this name."""
        self._use(next(p for p, (a, _) in enumerate(self._offers) if a.name == name))

    def _data(self) -> RunData | tuple[int, ...] | None:
        """Return what a fork into another algorithm learns from; None: what its run did, if it can,
        or nothing."""
        kind, line = self._algorithm.learns_from, self.data_line
        if not self._is_other() or not kind or line.shows_run:
            return None
        return line.taken() if kind in self._run.data else line.choices.get(kind)

    def _takes_reward(self) -> bool:
        return self.with_reward.isChecked() and bool(self._reward)

    def _is_other(self) -> bool:
        return self._own is not None and self._algorithm is not self._own

    def _use(self, place: int) -> None:
        """Show the settings of the algorithm that was chosen, or take those of the way."""
        algorithm, way = self._offers[place]
        form = self.form
        if algorithm is not self._algorithm:
            self._algorithm, self._settings = algorithm, algorithm.settings
            self._reference = self._settings().model_dump()
            describe(self.algorithm_field, algorithm.help)
            form.show_settings(self._settings, {})
            self._search()
            self._chosen()
            self._show_data()
        if way.values and way_title(algorithm, form.values()) != way.name:
            form.set_values(way.values, way.name)
        self._say()

    def _show_data(self) -> None:
        """Show what it learns from: by the same algorithm, what its run does; by another one that
        learns from the same, this too, unless something is chosen."""
        line, kind = self.data_line, self._algorithm.learns_from
        line.show_for("" if self._back else kind, not self._is_other(),
                      "By the same algorithm, a fork goes on with what its run learned from; start "
                      "a new run to learn from something else.")
        if kind in self._run.data and (not self._is_other() or kind not in line.choices):
            line.show_run(self._run)
        self._said_of_data.setVisible(False)

    def _data_changed(self) -> None:
        self.data_line.show_run(None)
        self._say()

    def _say_of_data(self, level: str, text: str) -> None:
        self._said_of_data.setText(text)
        set_look(self._said_of_data, role="error" if level == "warning" else "muted")
        self._said_of_data.setVisible(True)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bring the settings, once there is a dialog to be seen and left."""
        super().paintEvent(event)
        if self._form is None:
            QTimer.singleShot(0, self, lambda: self.form)

    # -- inside

    def _begins(self) -> int:
        """Return the last cycle that the chosen checkpoint knows."""
        return self._run.cycles + 1 if self.cycle is None else self.cycle

    def _fill(self, cycle_in_hand: bool) -> None:
        """List the checkpoints, newest first."""
        run = self._run
        metrics = read_series(self._store, run.id, (COMPARED, KL))
        known = [c for c in self._store.checkpoints.all(run.id) if c.cycle <= run.cycles]
        rows = [(str(c.cycle), *_at(metrics, c.cycle), file_size(c.bytes)) for c in known[::-1]]
        self._cycles = [c.cycle for c in known[::-1]]
        if cycle_in_hand and not self._back:
            rows.insert(0, (f"{run.cycles + 1}, in hand", "", "", ""))
            self._cycles.insert(0, None)
        if not run.past:  # else that is where another algorithm began
            rows.append(("0, the start", "", "", ""))
            self._cycles.append(0)
        self.checkpoints.setRowCount(len(rows))
        for row, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(RIGHT)
                self.checkpoints.setItem(row, column, item)
        # Going back to where the run stands anyway is seldom meant.
        earlier = [c for c in self._cycles if c is not None and c < run.cycles]
        self.choose(earlier[0] if self._back and earlier else self._cycles[0])

    def _chosen(self) -> None:
        """Show what the run used at the checkpoint, with what has been edited."""
        if self.checkpoints.currentRow() < 0 or self._form is None:
            return
        edits = self.changes() if self._reference else {}
        cycle = self._begins()
        used = self._used(cycle)
        try:
            self._reference = self._settings.parse(self._settings.known(used)).model_dump()
        except HyperparameterError:
            self._reference = self._settings().model_dump()
        specs = self._settings.specs()
        fixed = {n for n, s in specs.items() if self._back and not s.live}
        shaping = {n for n, s in specs.items() if s.structural and cycle} - fixed
        self.form.lock(fixed | shaping, _FIXED if self._back else _STRUCTURAL)
        kept = {n: v for n, v in edits.items() if n not in fixed | shaping}
        if kept.get("num_cycles") == self._proposed:
            kept.pop("num_cycles", None)
        self._proposed = None
        if cycle >= int(kept.get("num_cycles", self._reference["num_cycles"])):
            kept["num_cycles"] = self._proposed = cycle + _MORE_CYCLES
        self.form.set_reference(self._reference)
        self.form.set_values({**self._reference, **kept}, "checkpoint")
        self.form.undo_stack.clear()
        self._say()

    def _used(self, cycle: int) -> dict[str, Value]:
        """Return the settings that the chosen checkpoint has for what goes on from it."""
        run = self._run
        # Where the run itself began to learn otherwise, it begins with its own.
        at = any(cycle == past.until for past in run.past)
        used = dict(run.hyperparameters) if at else self._store.settings_after(run.id, cycle)
        if self._own is None or not self._is_other():
            return used
        return carried_over(self._algorithm, self._own, used)

    def _say(self) -> None:
        if self._form is None:
            return
        self.algorithm_field.setCurrentIndex(self.algorithm_field.findText(
            way_title(self._algorithm, self.form.values()), Qt.MatchFlag.MatchExactly))
        changes, problems = self.changes(), self.form.problems()
        specs = self._settings.specs()
        later = changes_by_cycle(
            c for c in self._store.changes(self._run.id) if c.cycle > self._begins())
        if problems:
            text = next(iter(problems.values()))
        elif changes:
            text = "Changes: " + "; ".join(
                f"{specs[n].label} {format_value(specs[n], self._reference[n])} → "
                f"{format_value(specs[n], v)}" for n, v in changes.items()) + "."
        elif self._is_other():
            text = "It keeps the settings that mean the same to both."
        else:
            text = ("No setting changes." if later or self._takes_reward() else
                    f"Nothing changes: it goes the way {self._run.name} went.")
        if self._is_other() and not problems:
            text = f"It goes on by {self._algorithm.title}. {text}"
        early = self._takes_reward() and self._begins() == 0
        if self._takes_reward() and not problems:
            text += (" Choose a later checkpoint: from the beginning, Start trains with the other "
                     "reward." if early else
                     f" It goes on with {reward_name(self._reward)}; what it learns from is the "
                     "same, so that earlier scores stay." if self._same_scores else
                     f" It goes on with {reward_name(self._reward)}, and keeps no scores of "
                     f"{reward_of(self._run)}: the two are not to be compared.")
        if later and not problems:
            text += (f" What {self._run.name} changed after that is not repeated: "
                     f"{'; '.join(later)}.")
        self._summary.setText(text)
        set_look(self._summary, role="error" if problems else "" if changes else "muted")
        enable(self.ok, not (problems or early),
               "There is something to mend first; it is said below.")

    def _build(self, warning: str, on_display: str) -> None:
        other = f"{self._run.name} is selected in Runs; the window shows {on_display}. "
        self._explain = label((other if on_display else "") + (
            f"{self._run.name} goes on from the checkpoint. Its later cycles are kept as an "
            "abandoned branch." if self._back else
            "A new run begins where the checkpoint stands and shares all cycles up to it."),
            wrap=True)
        self.name = named(QLineEdit(placeholderText="Name (a number if left empty)"),
                          "fork_name", "Name of the fork", "What the new run is called")
        self.checkpoints = named(
            QTableWidget(0, len(_COLUMNS)), "checkpoints", "Checkpoints",
            "Where to begin: the checkpoints there are, with the reward and KL of their cycle")
        for column, (title, tip) in enumerate(_COLUMNS):
            heading = QTableWidgetItem(title)
            heading.setToolTip(plain_tip(tip))
            if not column:
                heading.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
            self.checkpoints.setHorizontalHeaderItem(column, heading)
        as_list(self.checkpoints)
        header = self.checkpoints.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setDefaultAlignment(RIGHT)
        self._summary = named(label(wrap=True), "fork_changes", "What changes", "")
        self.ok = self.add_accept("Go back" if self._back else "Fork", "confirm_branch",
                                  "Begin at the chosen checkpoint")
        self.algorithm_field = named(
            QComboBox(), "fork_algorithm", "Algorithm",
            "How the policy learns from there on")
        for place, (_, way) in enumerate(self._offers):
            self.algorithm_field.addItem(way.name)
            self.algorithm_field.setItemData(
                place, plain_tip(way.help), Qt.ItemDataRole.ToolTipRole)
        self.algorithm_field.setCurrentIndex(
            self.algorithm_field.findText(way_of_run(self._run), Qt.MatchFlag.MatchExactly))
        self.algorithm_field.activated.connect(self._use)
        left = QVBoxLayout()
        left.setSpacing(8)
        self._learns_by = label("Algorithm")
        self._learns_by.setBuddy(self.algorithm_field)
        for widget in (self._explain, self.name):
            left.addWidget(widget)
        row = QHBoxLayout()
        row.addWidget(self._learns_by)
        row.addWidget(self.algorithm_field, 1)
        left.addLayout(row)
        self.data_line.setContentsMargins(0, 0, 0, 0)
        left.addWidget(self.data_line)
        self._said_of_data = label("", "muted", wrap=True, name="fork_data")
        left.addWidget(self._said_of_data)
        self.data_line.changed.connect(self._data_changed)
        self.data_line.message.connect(self._say_of_data)
        self.with_reward = named(
            QCheckBox(f"With the reward in Models: {reward_name(self._reward)}"), "fork_reward",
            "With the reward chosen in Models",
            "The policy goes on learning from where it stands, by the other reward")
        self.with_reward.toggled.connect(self._say)
        left.addWidget(self.with_reward)
        left.addWidget(label("Checkpoint", "heading"))
        left.addWidget(self.checkpoints, 1)
        self._warning = label("", "warning", wrap=True)
        self._warning.setObjectName("branch_warning")
        left.addWidget(self._warning)
        across = QHBoxLayout()
        across.setSpacing(16)
        across.addLayout(left, 1)
        across.addLayout(self._make_settings(), 1)
        self.body.addLayout(across, 1)
        self.name.setVisible(not self._back)  # with a parent now: else a window of its own
        several = not self._back and self._own is not None and len(self._others) > 1
        self._learns_by.setVisible(several)
        self.algorithm_field.setVisible(several)
        self.with_reward.setVisible(bool(self._reward))
        self._show_data()
        self.warn(warning)
        self.body.addWidget(self._summary)
        self.finish("Cancel", "Leave everything as it is", 860, 600)
        self.checkpoints.itemSelectionChanged.connect(self._chosen)

    def _make_form(self) -> HyperparametersForm:
        form = HyperparametersForm(self._settings)
        self._scroll.setWidget(form)
        form.changed.connect(self._say)
        self._search()
        layout = self.layout()
        assert layout is not None
        self.buttons.setParent(None)  # and back: Tab comes to them after the settings
        layout.addWidget(self.buttons)
        self.buttons.show()
        return form

    def _search(self) -> None:
        if self._form is not None:
            self._form.set_filter(self._find.text(), self._every.isChecked())

    def _make_settings(self) -> QVBoxLayout:
        self._scroll = FormScroll(QWidget())
        self._find = named(
            QLineEdit(placeholderText="Find a setting", clearButtonEnabled=True),
            "fork_find_setting", "Find a setting",
            "Show only settings whose name or explanation contains these words")
        self._every = tool_button("Show all", "fork_show_all", "Show all settings",
                                  "Show the advanced settings as well")
        self._every.setCheckable(True)
        self._find.textChanged.connect(self._search)
        self._every.toggled.connect(self._search)
        row = QHBoxLayout()
        row.addWidget(self._find, 1)
        row.addWidget(self._every)
        column = QVBoxLayout()
        column.setSpacing(8)
        column.addWidget(label("Settings from there on", "heading"))
        column.addLayout(row)
        column.addWidget(self._scroll, 1)
        return column


def _at(metrics: Mapping[str, Series], cycle: int) -> tuple[str, str]:
    """Return reward and KL of a cycle as text."""
    def value(name: str) -> str:
        series = metrics.get(name, Series())
        place = series.cycles.index(cycle) if cycle in series.cycles else -1
        return find_metric(name).text(series.values[place]) if place >= 0 else "–"
    return value(COMPARED), value(KL)
