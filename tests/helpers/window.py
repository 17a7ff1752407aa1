"""A window to test and a run to look at."""

from __future__ import annotations

from collections.abc import Callable

import shiboken6
from PySide6.QtGui import QAction, QTextDocumentFragment
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QDockWidget,
    QFrame,
    QLineEdit,
    QListView,
    QPlainTextEdit,
    QScrollBar,
    QTextEdit,
    QToolButton,
    QWidget,
)

from workbench.gui.background import Background
from workbench.gui.controllers.controller import Controller
from workbench.gui.main_window import MainWindow
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.store.records import CompletionRecord, Prompt
from workbench.store.store import Store
from workbench.training.commands import Command
from workbench.training.events import ModelFacts, ModelsLoaded, State, StateChanged

CONTROLS = (QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox,
            QLineEdit, QPlainTextEdit, QTextEdit)


def is_part_of_another(widget: QWidget) -> bool:
    """Whether Qt made the widget as a part of a control, a title bar or a view."""
    parent = widget.parentWidget()
    made_by_qt = ("QTabBar", "QHeaderView", "QTableCornerButton", "QComboBoxPrivateContainer")
    return (widget.objectName().startswith("qt_")
            or isinstance(widget, QScrollBar)
            or isinstance(parent, (*CONTROLS, QDockWidget))
            or bool({type(widget).__name__, type(parent).__name__} & set(made_by_qt))
            # the list of a combo box
            or (type(widget) is QListView and type(parent) is QFrame))


def bare_controls(inside: QWidget) -> list[str]:
    """Return the controls that lack an object name, an accessible name or a tooltip."""
    return [
        f"{type(w).__name__} {w.objectName()!r} {getattr(w, 'text', str)()!r} in "
        f"{type(w.parentWidget()).__name__}"
        for w in inside.findChildren(QWidget)
        if isinstance(w, CONTROLS) and not is_part_of_another(w)
        and not (w.objectName() and w.accessibleName()
                 and (w.toolTip() or isinstance(w, QAbstractItemView)))]


def unexplained(inside: QWidget) -> list[str]:
    """Return the disabled controls and actions whose tooltip does not say why they are."""
    found: list[tuple[QWidget | QAction, str]] = [
        (w, as_plain(w.toolTip())) for w in inside.findChildren(QWidget)
        if isinstance(w, CONTROLS) and not is_part_of_another(w) and not w.isEnabled()
        and w.isVisibleTo(inside)]
    found += [(a, as_plain(a.toolTip())) for a in inside.findChildren(QAction)
              if a.text() and not a.isEnabled() and not a.isSeparator()]
    return [f"{type(w).__name__} {w.objectName()!r} {getattr(w, 'text', str)()!r}: {tip!r}"
            for w, tip in found if not _why(w) or _why(w) not in tip]


def _why(control: QWidget | QAction) -> str:
    """Return the reason that a control was given, be it by its action."""
    action = control.defaultAction() if isinstance(control, QToolButton) else None
    return as_plain(str((action or control).property("why") or ""))


def as_plain(tip: str) -> str:
    """Return what a tooltip shows."""
    plain = QTextDocumentFragment.fromHtml(tip).toPlainText() if tip.startswith("<") else tip
    return plain.strip("\n")  # a table is a block of its own


DEFAULTS = Hyperparameters().model_dump()
PROMPTS = ("The hotel was", "The film was", "The coffee was")


class Opened:
    """The real window, store and controller. Commands go into ``sent`` instead of to a thread;
    events are fed by calling ``controller.handle``, as the bridge does."""

    def __init__(self, store: Store, send: Callable[[Command], None] | None = None,
                 at_first: State = State.IDLE) -> None:
        self.sent: list[Command] = []
        self.background = Background()
        self.window = MainWindow()
        self.window.show_state(at_first)
        self.window.add_views(store, self.background)
        self.controller = Controller(self.window, store, self.background, send or self.sent.append)
        self._open = True

    def close(self) -> None:
        """Let the worker end and the window go, before its store is closed."""
        if self._open:
            self._open = False
            self.background.close()
            self.window.prompts.save()
            shiboken6.delete(self.window)


def make_all(window: MainWindow) -> None:
    """Have everything there that is made when it is first seen."""
    list(window.hyperparameters.form.rows.values())
    window.metrics._make_plots()
    for view in (window.objective, window.distributions, window.frontier):
        view._pages.make()


def ready(opened: Opened) -> None:
    """Let the models that are named be loaded, as the session would."""
    command = opened.window.models.wanted()
    opened.controller.handle([
        StateChanged(State.LOADING),
        ModelsLoaded(facts("policy", source=command.policy),
                     facts("reward", source=command.parts[0].source), 1.0, command),
        StateChanged(State.READY)])


def facts(kind: str, **more: object) -> ModelFacts:
    """Return facts of a small model."""
    values = {"source": f"/models/{kind}", "name": kind, "architecture": "GPT2LMHeadModel",
              "parameters": 1_412_096, "vocabulary": 2048, "dtype": "float32", "device": "cpu",
              "tokenizer": "PreTrainedTokenizerFast"}
    return ModelFacts(**(values | more))  # type: ignore[arg-type]


def metrics(cycle: int) -> dict[str, float]:
    """Return plausible numbers of a cycle."""
    return {"objective/scores": 0.5 * cycle, "objective/rlhf_reward": 0.4 * cycle,
            "loss/value_avg": 1 / cycle, "policy/entropy_avg": 3 - 0.1 * cycle,
            "objective/kl": 0.2 * cycle, "seconds": 2.0, "tokens_per_second": 812.0}


def completions(cycle: int) -> list[CompletionRecord]:
    """Return the compared prompts' completions after a cycle."""
    return [CompletionRecord(i, i, text, f"clean and quiet {cycle}", -1 + 0.3 * cycle, 0.1, 5, True)
            for i, text in enumerate(PROMPTS)]


def fill(store: Store, cycles: int = 3, name: str = "", status: str = "finished") -> int:
    """Record a run and return its number."""
    settings = Hyperparameters(learning_rate=1e-4, num_cycles=max(1, cycles))
    run_id = store.create_run(
        name=name, policy="/models/policy", reward="/models/reward", models={},
        hyperparameters=settings.model_dump(), prompts=[Prompt(text) for text in PROMPTS]).result()
    store.record_comparison(run_id, 0, completions(0)).result()
    for cycle in range(1, cycles + 1):
        store.record_cycle(run_id, cycle, metrics=metrics(cycle), rollout=[],
                           comparison=completions(cycle)).result()
    store.record_changes(run_id, 2, [("kl_coef", 0.05, 0.1, "person")]).result()
    store.set_status(run_id, status).result()  # type: ignore[arg-type]
    return run_id
