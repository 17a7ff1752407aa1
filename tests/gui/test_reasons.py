"""Every control that is disabled, in the window and its docks, says why in its tooltip."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from helpers.window import (
    CONTROLS,
    DEFAULTS,
    Opened,
    completions,
    fill,
    make_all,
    metrics,
    ready,
    unexplained,
)
from PySide6.QtWidgets import QApplication, QWidget

from workbench.store.store import Store
from workbench.training import events as ev
from workbench.training.events import State


def loading(opened: Opened, _: Store) -> None:
    opened.controller.handle([ev.StateChanged(State.LOADING)])


def failed_to_load(opened: Opened, _: Store) -> None:
    ready(opened)
    opened.window.models.policy.combo.setEditText("org/none")
    opened.controller.handle([ev.LoadingFailed(
        "There is no such model.", "policy", command=opened.window.models.wanted()),
        ev.StateChanged(State.READY)])


def run(opened: Opened, store: Store, cycles: int) -> int:
    ready(opened)
    run_id = fill(store, 0, status="running")
    opened.controller.handle([
        ev.RunStarted(run_id, "Run 1", "ppo", DEFAULTS), ev.StateChanged(State.RUNNING)])
    for cycle in range(1, cycles + 1):
        store.record_cycle(run_id, cycle, metrics=metrics(cycle), rollout=[],
                           comparison=completions(cycle)).result()
        opened.controller.handle([
            ev.ComparisonReady(run_id, cycle),
            ev.CycleFinished(run_id, cycle, 20, metrics(cycle))])
    return run_id


def running(opened: Opened, store: Store) -> None:
    run(opened, store, 0)


def paused(opened: Opened, store: Store) -> None:
    run(opened, store, 2)
    opened.controller.handle([ev.StateChanged(State.PAUSED)])


def stopping(opened: Opened, store: Store) -> None:
    run(opened, store, 2)
    opened.controller.handle([ev.StateChanged(State.STOPPING)])


def stopped(opened: Opened, store: Store) -> None:
    run_id = run(opened, store, 1)
    store.set_status(run_id, "stopped").result()
    opened.controller.handle([
        ev.RunFinished(run_id, "stopped", 1), ev.StateChanged(State.FINISHED)])


def failed(opened: Opened, store: Store) -> None:
    run_id = run(opened, store, 1)
    store.set_status(run_id, "failed").result()
    opened.controller.handle([
        ev.RunFinished(run_id, "failed", 1), ev.StateChanged(State.FAILED)])


def watching(opened: Opened, store: Store) -> None:
    run_id = fill(store, 2, status="running")
    opened.controller.handle([
        ev.RunFollowed(run_id, "Run 1", 2, "ppo", DEFAULTS, "another process"),
        ev.StateChanged(State.RUNNING)])


def filtered(opened: Opened, _: Store) -> None:
    ready(opened)
    opened.window.prompts.filter.setText("nothing has these words")


STATES: tuple[Callable[[Opened, Store], object], ...] = (
    loading, failed_to_load, lambda opened, _: ready(opened), running, paused, stopping, stopped,
    failed, watching, filtered)


@pytest.mark.parametrize("bring", STATES, ids=lambda bring: bring.__name__.strip("<>"))
def test_what_is_disabled_says_why(
    opened: Opened, store: Store, bring: Callable[[Opened, Store], object]
) -> None:
    window = opened.window
    make_all(window)
    bring(opened, store)
    for view in (window.metrics, window.tokens, window.completions):
        view._tick.stop() if hasattr(view, "_tick") else view._reload.stop()
    window.metrics.repaint_now()
    window.tokens.load_now()
    window.completions._load()
    QApplication.processEvents()
    assert any(isinstance(w, CONTROLS) and not w.isEnabled() and w.isVisibleTo(window)
               for w in window.findChildren(QWidget))
    assert not (found := unexplained(window)), "\n".join(found)
