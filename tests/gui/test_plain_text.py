"""Text from outside is shown as it stands: nothing that looks like HTML is taken for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.window import Opened, facts, metrics
from PySide6.QtCore import QAbstractItemModel, QAbstractListModel, QModelIndex, Qt
from PySide6.QtGui import QAction, QTextDocument
from PySide6.QtGui import Qt as Gui
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QDialog,
    QGraphicsTextItem,
    QGraphicsView,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QTabBar,
    QTextEdit,
    QToolTip,
    QWidget,
)
from pytestqt.qtbot import QtBot

from workbench.gui.dialogs import ask_for_cycles, offer_resume
from workbench.gui.runs.branch_dialog import BranchDialog
from workbench.gui.widgets.dialog import ask
from workbench.gui.widgets.plain_text import TIP_WIDTH, plain_tip, shortened, without_markup
from workbench.health import Finding
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.records import Completion, TokenTrace
from workbench.store.records import CompletionRecord, Prompt, PromptSet
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

ODD = "¶<b>x</b><img src='a.png'>&amp; <0.1 %"
"""What every name and text from outside is here. The sign in front tells where it was shown."""
_PATIENCE = 60_000  # ms: no test depends on speed
_ROLES = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole)


# -- what a person sees of the window

def as_html(text: str) -> str:
    document = QTextDocument()
    document.setHtml(text)
    return document.toPlainText()


def as_tip(text: str) -> str:
    return as_html(text) if Gui.mightBeRichText(text) else text


def as_mnemonic(text: str) -> str:
    return text.replace("&&", "\0").replace("&", "").replace("\0", "&")


def of_label(label: QLabel) -> str:
    if label.textFormat() == Qt.TextFormat.RichText:
        return as_html(label.text())
    text = label.text() if label.textFormat() == Qt.TextFormat.PlainText else as_tip(label.text())
    return as_mnemonic(text) if label.buddy() else text


def of_model(model: QAbstractItemModel | None) -> Iterator[str]:
    if model is None:
        return
    def columns(parent: QModelIndex) -> int:
        return 1 if isinstance(model, QAbstractListModel) else model.columnCount(parent)
    def below(parent: QModelIndex) -> Iterator[str]:
        for row in range(model.rowCount(parent)):
            for column in range(columns(parent)):
                index = model.index(row, column, parent)
                for role in _ROLES:
                    text = index.data(role)
                    if isinstance(text, str):
                        yield as_tip(text) if role == _ROLES[1] else text
            if not isinstance(model, QAbstractListModel):
                yield from below(model.index(row, 0, parent))
    yield from below(QModelIndex())
    for across in Qt.Orientation:
        count = columns(QModelIndex()) if across == Qt.Orientation.Horizontal else model.rowCount()
        for section in range(count):
            yield str(model.headerData(section, across, _ROLES[0]) or "")
            yield as_tip(str(model.headerData(section, across, _ROLES[1]) or ""))


def of_widget(widget: QWidget) -> Iterator[str]:
    yield as_tip(widget.toolTip())
    yield as_tip(widget.whatsThis())
    yield widget.windowTitle()
    if isinstance(widget, QLabel):
        yield of_label(widget)
    elif isinstance(widget, QAbstractButton):
        yield as_mnemonic(widget.text())
    elif isinstance(widget, QComboBox | QAbstractItemView):
        yield from of_model(widget.model())
    elif isinstance(widget, QLineEdit):
        yield widget.text()
    elif isinstance(widget, QPlainTextEdit | QTextEdit):
        yield widget.toPlainText()
    elif isinstance(widget, QTabBar):
        for i in range(widget.count()):
            yield as_mnemonic(widget.tabText(i))
            yield as_tip(widget.tabToolTip(i))
    elif isinstance(widget, QGraphicsView):
        for item in widget.items():
            if isinstance(item, QGraphicsTextItem):
                yield item.toPlainText()


def shown(root: QWidget) -> Iterator[tuple[str, str]]:
    """Yield (which object, what it shows) for all that ``root`` holds."""
    for menu in root.findChildren(QMenu):
        menu.aboutToShow.emit()
    for widget in [root, *root.findChildren(QWidget)]:
        for text in of_widget(widget):
            yield widget.objectName() or type(widget).__name__, text
    for action in root.findChildren(QAction):
        name = f"action {action.objectName()}"
        yield name, as_mnemonic(action.text())
        yield name, as_tip(action.toolTip())
        assert not action.statusTip(), name


def altered(text: str) -> bool:
    """Whether the text from outside in ``text`` is not as it was, or its beginning with "…"."""
    text = text.replace("\u200b", "").replace("\N{NO-BREAK SPACE}", " ")
    for part in text.split("¶")[1:]:
        cut = part.partition("…")[0]
        if not part.startswith(ODD[1:]) and not ("…" in part and ODD[1:].startswith(cut)):
            return True
    return "\N{OBJECT REPLACEMENT CHARACTER}" in text


def check(root: QWidget) -> set[str]:
    """Fail where something is altered, and return where text from outside is shown."""
    found = [(name, text) for name, text in shown(root) if "¶" in text]
    wrong = [f"{name}: {text!r}" for name, text in found if altered(text)]
    assert not wrong, "\n".join(wrong)
    return {name for name, _text in found}


# -- a window filled with it

def completion(position: int, score: float) -> CompletionRecord:
    prompt = f"{ODD} again" if position else ODD
    return CompletionRecord(position, position, prompt, f" {ODD} {position}", score, 0.1, 2, True,
                            parts={ODD: score, "other": 0.0})


def trace(position: int) -> TokenTrace:
    numbers = np.array([0.5, -0.5], np.float32)
    names = ("logprob", "ref_logprob", "value", "reward", "advantage", "return", "ratio", "entropy")
    return TokenTrace(position, position, np.arange(2, dtype=np.int32), (f" {ODD}", " end"),
                       dict.fromkeys(names, numbers))


def fill(store: Store) -> int:
    run_id = store.create_run(
        name=ODD, policy=f"/models/{ODD}", reward=f"/models/{ODD}",
        models={},
        hyperparameters=Hyperparameters(num_cycles=3).model_dump(),
        prompts=[Prompt(ODD, pinned=True), Prompt(f"{ODD} again")]).result()
    texts = [completion(0, 0.5), completion(1, -0.5)]
    store.record_comparison(run_id, 0, texts).result()
    for cycle in (1, 2):
        store.record_cycle(
            run_id, cycle, rollout=texts, comparison=texts, traces=[trace(0), trace(1)],
            keep_traces=10, metrics=metrics(cycle) | {f"reward/{ODD}": 0.5, "reward/other": 0.0},
        ).result()
    store.record_changes(run_id, 2, [("kl_coef", 0.05, 0.1, ODD)]).result()
    store.set_status(run_id, "failed", ODD).result()
    store.checkpoints.write(run_id, 1, [("weights", np.ones(9))], {})
    return run_id


@pytest.fixture
def odd(qtbot: QtBot, opened: Opened, store: Store) -> Opened:
    """The window on a run of such names, another drawn over it, models of such names loaded, a
    try of such a prompt, and a session that has failed with such a sentence."""
    window, controller = opened.window, opened.controller
    first, second = fill(store), fill(store)
    store.save_prompt_set(PromptSet(ODD, (Prompt(ODD),))).result()
    window.runs.refresh()
    loaded = facts(ODD, architecture=ODD, tokenizer=ODD, dtype=ODD, summary=ODD)
    controller.handle([
        ev.ModelsLoaded(loaded, facts(ODD, summary=ODD, parts=(loaded, loaded)), 1.0),
        ev.StateChanged(State.PAUSED, ODD)])
    window.models.policy.set_source(f"/models/{ODD}")
    controller.show_run(first)
    window.runs.model.set_ticked([second])
    window.prompts._model.insert("test", 0, [Prompt(ODD), Prompt(f"{ODD}\nand more")])
    for name in window.docks:
        window.reveal(name)
    window.trying.prompt.setPlainText(ODD)
    window.trying.button.click()
    command = opened.sent[-1]
    assert isinstance(command, do.Try)
    tried = Completion(0, f" {ODD}", 1.0, 2.0, 4, True, {ODD: 1.0, "other": 0.0})
    controller.handle([
        ev.TryStarted(command.id, tuple(s.kind for s in command.sources)),
        ev.TryScored(command.id, 0, (tried,)), ev.TryScored(command.id, 1, (tried,)),
        ev.TryFailed(command.id, 1, ODD), ev.TryFinished(command.id, stopped=False),
        ev.LoadingFailed(ODD, "policy", ODD, labels=(ODD, "other")),
        ev.HealthChecked(first, 2, (Finding("kl", "serious", ODD),)),
        ev.CommandRefused("start", ODD)])
    window.resize(1900, 1000)
    window.reveal("tokens")
    qtbot.waitUntil(lambda: window.tokens.list.count() == 2,
                    timeout=_PATIENCE)
    window.reveal("completions")
    qtbot.waitUntil(lambda: window.completions.table.model().rowCount() == 2,
                    timeout=_PATIENCE)
    window.reveal("metrics")  # behind another view it draws nothing
    qtbot.waitUntil(lambda: bool(window.metrics._grid.legend.text()), timeout=_PATIENCE)
    window.grab()
    return opened


def test_nothing_in_the_window_is_taken_for_html(qtbot: QtBot, odd: Opened) -> None:
    window = odd.window
    seen = check(window)
    # Where it has to be, so that the walk cannot go past everything.
    assert {
        "policy", "policy_facts", "loading_failure", "reward_label",
        "prompts_table", "runs_table", "completions_table", "tokens_completions",
        "tokens_table", "tokens_said", "try_text_0_0_facts", "try_problem_1", "try_prompt_0",
        "state_note", "shown_run", "toast_text", "legend", "health_chip", "main_window",
    } <= seen, seen
    window.completions.do("open")
    odd.controller.handle([ev.StateChanged(State.FAILED, ODD), ev.LoadingFailed(ODD)])
    assert {"detail_prompt", "detail_text_1", "detail_text_2", "state_note"} <= check(window)


FILE = ev.UntrustedFile(f"/{ODD}", "0f" * 32, ODD)


def of_action(name: str) -> Callable[[Opened], object]:
    return lambda opened: opened.window.actions_[name].trigger()


def tell(*events: ev.Event) -> Callable[[Opened], object]:
    return lambda opened: opened.controller.handle(list(events))


DIALOGS: dict[str, Callable[[Opened], object]] = {
    "command_palette": of_action("palette"),
    "checkpoints": of_action("checkpoints"),
    "fork_dialog": of_action("fork_run"),
    "go_back_dialog": of_action("go_back"),
    "settings_table_dialog": of_action("compare_settings"),
    "export_policy_dialog": of_action("export_policy"),
    "health_panel": of_action("health"),
    "delete_run": lambda opened: opened.window.runs.delete_selected(),
    "prompts_delete_question": lambda opened: opened.window.prompts.bar._ask_delete(ODD),
    "run_file_question": tell(ev.LoadingFailed(ODD, "reward", untrusted=FILE,
                                               again=do.CancelLoading())),
    "error_dialog": tell(ev.RunFailed(1, ODD, ODD, {"batch_size": 32})),
    "failed_run": lambda opened: offer_resume(opened.window, ODD, ODD, 2, ODD, lambda: None),
    "more_cycles": lambda opened: ask_for_cycles(opened.window, ODD, 3, lambda _: None),
    "asked": lambda opened: ask(opened.window, "asked", ODD, ODD, ODD),
}


def test_nothing_in_a_dialog_is_taken_for_html(odd: Opened) -> None:
    window = odd.window
    odd.controller.handle([ev.StateChanged(State.FINISHED)])
    for name, show in DIALOGS.items():
        show(odd)
        QApplication.processEvents()
        dialog = window.findChild(QWidget, name)
        assert isinstance(dialog, QDialog), name
        if isinstance(dialog, BranchDialog):
            dialog.grab()
        found = check(dialog)
        assert found or name == "command_palette", name
        dialog.close()
        QApplication.processEvents()


# -- the helpers

@pytest.mark.parametrize("text", [ODD, f"{ODD}\n{ODD}", f"{ODD} " * 20, "a < b & c > d", "short"])
def test_a_tooltip_says_what_it_is_given(qapp: object, text: str) -> None:
    def words(said: str) -> list[str]:
        return said.replace("\u200b", "").split()
    assert words(as_tip(plain_tip(text))) == words(text)
    assert words(as_tip(plain_tip(text, "Ctrl+R"))) == [*words(text), "Ctrl+R"]


@pytest.mark.parametrize("text", [
    "word " * 300, "x" * 3000, "line\n" * 4000, f"/{'folder/' * 60}file.py", f"{ODD} " * 40])
def test_a_tooltip_is_never_wide_nor_high(qtbot: QtBot, text: str) -> None:
    below = QWidget()
    qtbot.addWidget(below)
    below.show()
    QToolTip.showText(below.mapToGlobal(below.rect().center()), plain_tip(text), below)
    (label,) = [w for w in QApplication.topLevelWidgets()
                if w.inherits("QTipLabel") and w.isVisible()]
    assert label.width() <= TIP_WIDTH + 40
    assert label.height() <= 900
    QToolTip.hideText()


def test_long_text_is_cut(qapp: object) -> None:
    assert shortened("a" * 2000) == "a" * 2000
    assert shortened("a" * 1_000_000) == "a" * 2000 + "…"
    assert shortened("\n".join("abc"), lines=2) == "a\nb…"
    assert shortened("") == ""


def test_a_notification_has_no_markup(qapp: object) -> None:
    said = without_markup(ODD)
    assert not Gui.mightBeRichText(said)
    assert "<b>" not in said
    assert "&amp;" not in said
    assert said.replace("\u200b", "") == ODD


def test_labels_and_tooltips_are_made_in_one_place() -> None:
    import re

    import workbench.gui

    for path in Path(workbench.gui.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name != "controls.py":
            assert not re.search(r"\bQLabel\(", text), path
        assert "setStatusTip(" not in text, path
