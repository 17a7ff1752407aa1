"""The docks of the window, in the order of their keys, and how the large views in them are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from PySide6.QtWidgets import QWidget

from workbench.training.events import State

if TYPE_CHECKING:
    from workbench.gui.background import Background
    from workbench.store.store import Store


DOCKS = {
    "models": "Models", "prompts": "Prompts", "runs": "Runs", "metrics": "Metrics",
    "completions": "Completions", "hyperparameters": "Hyperparameters", "trying": "Try",
    "tokens": "Tokens", "objective": "Objective", "paths": "Paths", "guide": "Guide",
    "distributions": "Distributions", "chances": "Chances", "frontier": "Frontier",
    "judge": "Judge",
}
"""What each is called on the screen."""


def make_views(
    store: Store, background: Background, docks: Mapping[str, QWidget]
) -> dict[str, QWidget]:
    """Return the views that need the store, by the dock they are in. What they import takes most
    of a second: pyqtgraph, numpy, the store.

    Each has its place before it is built: Qt styles all that is in a widget anew whenever the
    widget gets another parent.
    """
    from workbench.gui.chances.view import ChancesView
    from workbench.gui.completions.view import CompletionsView
    from workbench.gui.distributions.view import DistributionsView
    from workbench.gui.frontier.view import FrontierView
    from workbench.gui.guide.view import GuideView
    from workbench.gui.health.dials import Dials
    from workbench.gui.judge.view import JudgeView
    from workbench.gui.metrics.view import MetricsView
    from workbench.gui.objective.view import ObjectiveView
    from workbench.gui.paths.view import PathsView
    from workbench.gui.prompts.view import PromptsView
    from workbench.gui.runs.dock import RunsDock
    from workbench.gui.tokens.view import TokensView
    from workbench.gui.trying.view import TryView

    prompts = PromptsView(store, docks["prompts"])
    judge = JudgeView(store, background, prompts.rows, lambda: trying.controls.values(),
                      docks["judge"])
    trying = TryView(store, prompts.rows, prompts.selected, judge.thumbs, docks["trying"])
    return {
        "prompts": prompts,
        "runs": RunsDock(store, background, docks["runs"]),
        "metrics": MetricsView(Dials(store, background), docks["metrics"]),
        "completions": CompletionsView(
            store, prompts.rows, docks["completions"], judge.thumbs),
        "trying": trying,
        "tokens": TokensView(store, docks["tokens"]),
        "objective": ObjectiveView(store, background, docks["objective"]),
        "paths": PathsView(store, background, docks["paths"]),
        "chances": ChancesView(store, docks["chances"]),
        "guide": GuideView(store, background, docks["guide"]),
        "distributions": DistributionsView(store, background, docks["distributions"]),
        "frontier": FrontierView(store, background, docks["frontier"]),
        "judge": judge,
    }


@runtime_checkable
class Remembering(Protocol):
    """A view that remembers what the person chose in it."""

    def save_state(self) -> dict[str, object]:
        """Return what is to be remembered."""
        ...

    def restore_state(self, state: dict[str, Any]) -> None:
        """Choose as :meth:`save_state` told."""
        ...


@runtime_checkable
class Stateful(Protocol):
    """A view that is told where the session stands."""

    def set_state(self, state: State) -> None:
        """Take note of what can be asked for."""
        ...
