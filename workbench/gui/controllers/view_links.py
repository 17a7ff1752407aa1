"""What one view asks of another: to show a cycle, a prompt, a token, or to take a setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from workbench.algorithms import ALGORITHMS
from workbench.formatting import format_value
from workbench.records import PairData
from workbench.settings import Value
from workbench.training.states import ALIVE

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow


class ViewLinks(QObject):
    """Connects the views of ``window`` with one another."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        window.completions.tokens_wanted.connect(self._show_tokens)
        window.completions.paths_wanted.connect(self._show_paths)
        window.completions.try_wanted.connect(self._try_prompt)
        window.completions.pin_wanted.connect(window.prompts.pin)
        window.prompts.changed.connect(window.completions.show_pins)
        window.tokens.earlier.message.connect(window.toast.show_message)
        for of_place in (window.paths, window.chances):
            window.tokens.place_shown.connect(of_place.show_place)
            window.tokens.followed_by.append(of_place)
            of_place.painted.connect(window.tokens.catch_up)
            of_place.message.connect(window.toast.show_message)
            of_place.latest_wanted.connect(lambda: window.tokens.follow(True))
        window.tokens.place_shown.connect(window.paths.siblings.show_place)
        window.paths.siblings.token_wanted.connect(self._show_token)
        window.strip.opened.connect(self._show_held)
        window.strip.part_chosen.connect(self._explain_part)
        window.strip.turned.connect(window.guide.turn_to)
        for view in (window.strip, window.guide, window.metrics):
            window.hyperparameters.way_chosen.connect(view.expect)
        window.guide.opened.connect(window.reveal)
        window.guide.summary.answer_wanted.connect(self._show_answer)
        window.objective.setting_wanted.connect(self._take_setting)
        window.objective.token_wanted.connect(self._show_token)
        window.judge.learn_wanted.connect(self._learn)
        window.frontier.message.connect(window.toast.show_message)
        window.runs.model.ticked.connect(window.frontier.show_ticked)
        window.frontier.show_ticked(window.runs.model.ticks)
        self._connect_cycles()

    def _connect_cycles(self) -> None:
        """A cycle that the person goes to in one view is shown in the others."""
        window, following = self._window, self._window.run_views
        window.metrics.cycle_chosen.connect(window.completions.show_cycle)
        window.completions.cycle_chosen.connect(window.metrics.show_chosen)
        window.tokens.cycle_shown.connect(window.metrics.leave_chosen)
        for view in following:
            window.metrics.cycle_chosen.connect(view.show_cycle)
            window.completions.cycle_chosen.connect(view.show_cycle)
            view.cycle_chosen.connect(window.metrics.show_chosen)
            for other in following:
                if other is not view:
                    view.cycle_chosen.connect(other.show_cycle)

    def _show_held(self) -> None:
        """A part that the strip opens while the run is held in a cycle is that cycle's."""
        if self._window.strip.held:
            self._window.tokens.follow(True)

    def _explain_part(self, part: str) -> None:
        """Turn the guide to a part that is chosen in the strip, unless it is closed."""
        if not self._window.docks["guide"].isHidden():
            self._window.guide.show_part(part)

    def _show_tokens(self, cycle: int, prompt: int) -> None:
        self._window.reveal("tokens")
        self._window.tokens.show_prompt(cycle, prompt)

    def _show_token(self, cycle: int, position: int, at: int) -> None:
        self._window.reveal("tokens")
        self._window.tokens.show_token(cycle, position, at)

    def _show_paths(self, cycle: int, prompt: int) -> None:
        self._window.tokens.show_prompt(cycle, prompt)
        self._window.paths.choose_mode("token")
        self._window.reveal("paths")

    def _show_answer(self, before: int, after: int, prompt: int) -> None:
        self._window.reveal("completions")
        self._window.completions.choose(before, after)
        self._window.completions.select_prompt(prompt)

    def _try_prompt(self, text: str) -> None:
        self._window.reveal("trying")
        self._window.trying.take([text])

    def _learn(self, name: str) -> None:
        """Choose judgements as what the next run learns from, and what learns from pairs."""
        settings = self._window.hyperparameters
        self._window.reveal("hyperparameters")
        if settings.algorithm.learns_from != PairData.kind:
            settings.choose_algorithm(next(
                each for each in ALGORITHMS if each.learns_from == PairData.kind))
        if settings.algorithm.learns_from == PairData.kind and (
                self._window.state not in ALIVE):
            settings.data_line.take_judgements(name)
        else:
            self._window.toast.show_message(
                "info", "A run is on; what the next one learns from can be chosen when it has "
                "ended.")

    def _take_setting(self, name: str, value: Value) -> None:
        """Put a value into Hyperparameters, as if it were typed there."""
        settings = self._window.hyperparameters
        if name not in settings.form.rows:
            self._window.toast.show_message(
                "info", "Hyperparameters shows another algorithm, which has no such setting. "
                "Choose the one of this run there first.")
            return
        spec = settings.algorithm.settings.specs()[name]
        settings.form.set_values({name: value}, f"{spec.label} from Objective")
        self._window.toast.show_message(
            "info", f"{spec.label} is {format_value(spec, value)} in Hyperparameters now.")
