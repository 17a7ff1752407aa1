"""From a hidden taste to a policy that follows it, in the real window by keys: pairs, marks, a
reward model, a run that goes on with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from tempfile import mkdtemp
from typing import Any

import pytest
from helpers.judges import chat, shown
from helpers.person import Person, prefers, taste
from helpers.play import play, until
from helpers.reward_server import serving
from helpers.taught_judge import RUBRIC, save_taught_judge
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from workbench.gui.app import Workbench
from workbench.gui.judge.judge_dialog import JudgeDialog, Wanted
from workbench.judging.server import consent_of
from workbench.store.judged import PairToJudge, Side
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

NAME = "Your judgements"


@dataclass(frozen=True)
class Size:
    """How much is marked and learned."""

    marks: int
    unseen: int
    cycles: int
    """How many the run goes on with the reward."""
    settings: dict[str, Any]


SHORT = Size(16, 0, 1, {"batch_size": 16, "num_mini_batches": 1, "num_ppo_epochs": 1,
                        "response_length": 24, "comparison_prompts": 4})
FULL = Size(300, 400, 20, {"response_length": 32, "kl_coef": 0.1})


async def put_in_pairs(workbench: Workbench, name: str, number: int, seed: int) -> int:
    """Have the policy in memory complete prompts twice, always alike, and put that into a set."""
    window, store = workbench.window, workbench.store
    prompts = [p for p in window.prompts.prompts() if p.enabled]
    texts = [prompts[i % len(prompts)].text for i in range(number)]
    found: list[ev.TryScored] = []
    workbench.bridge.events.connect(lambda events: found.extend(
        e for e in events if isinstance(e, ev.TryScored) and e.id == -900 - seed))
    workbench.session.send(do.Try(
        -900 - seed, tuple(text for text in texts for _ in range(2)), (do.TrySource("current"),),
        seed=seed, length=FULL.settings["response_length"]))
    await until(lambda: found)
    sides = [Side(c.text, c.ended) for c in found[0].completions]
    set_id = store.judgements.make_set(name, seed=seed).result()
    store.judgements.add(set_id, [
        PairToJudge(text, one, other)
        for text, one, other in zip(texts, sides[::2], sides[1::2], strict=True)]).result()
    return set_id


def right_on(workbench: Workbench, set_id: int) -> float:
    """On which share of the pairs that the taste tells apart the reward goes with it."""
    store = workbench.store
    right = told = 0
    entries = {e.id: e for e in store.judgements.entries(set_id, "nobody")}
    for pair in store.judgements.pairs(set_id):
        wanted = prefers(pair.pair.first.text, pair.pair.second.text)
        told += bool(wanted)
        right += bool(wanted) and entries[pair.id].reward_prefers == wanted
    return right / told


def liked(workbench: Workbench, run: int, cycles: Sequence[int]) -> list[float]:
    """How much the person likes what the policy wrote in some cycles."""
    return [taste(w.text) for cycle in cycles
            for w in workbench.store.completions(run, cycle, "rollout")]


async def marked_by_keys(workbench: Workbench, qtbot: QtBot, size: Size) -> None:
    Person().mark(qtbot, workbench.window.judge, size.marks)


async def marked_by_a_judge(workbench: Workbench, qtbot: QtBot, size: Size) -> None:
    """A server says which is better, as the person would: in either order the same."""
    person, said = Person(), dict[tuple[str, ...], str]()

    def reply(posted: Any) -> dict[str, Any]:
        one, other = shown(posted)
        pair = tuple(sorted((one, other)))
        better = said.setdefault(pair, person.says(*pair))
        letter = "C" if not better else "AB"[(pair[better == "second"]) == other]
        return chat(f"So it is.\n[[{letter}]]")
    with serving(reply) as server:
        url = server.url.removesuffix("/score")
        workbench.store.trust(consent_of(url), url).result()
        asking = workbench.window.judge.asking
        asking.ask(workbench.store.judgements.set(NAME).id, Wanted(url, "tiny"))
        await until(lambda: not asking.why_not())


async def marked_by_a_local_judge(workbench: Workbench, qtbot: QtBot, size: Size) -> None:
    """A model in memory says it, which has learned the taste; what it is worth is told."""
    folder = save_taught_judge(Path(mkdtemp(dir=workbench.store.home)))
    judge = workbench.window.judge
    judge.asking.choose()
    dialog = workbench.window.findChild(JudgeDialog)
    dialog.judge.setCurrentText(str(folder))
    dialog.rubric.setPlainText(RUBRIC)
    qtbot.mouseClick(dialog.ask, Qt.MouseButton.LeftButton)
    await until(lambda: not judge.asking.why_not())
    store, set_id = workbench.store, workbench.store.judgements.set(NAME).id
    by = f"judge: {folder}"
    assert len({m.pair for m in store.judgements.marks(set_id) if m.by == by}) == (
        store.judgements.set(NAME).pairs)
    [quality] = store.judge_answers.qualities(set_id, "nobody")
    print(f"{quality.summary} {goes_by_taste(workbench, set_id, by):.3f} of its preferences go "
          "with the taste.")
    assert quality.summary in workbench.window.toast.text
    assert (quality.unusable, quality.unanswered) == (0, 0)
    assert quality.flips < 0.25 * quality.pairs
    assert quality.longer < 0.25 * quality.unequal
    assert goes_by_taste(workbench, set_id, by) > 0.85


def goes_by_taste(workbench: Workbench, set_id: int, by: str) -> float:
    """Which share of somebody's preferences, of pairs that the taste tells apart, go with it."""
    judgements = workbench.store.judgements
    wanted = {p.id: prefers(p.pair.first.text, p.pair.second.text)
              for p in judgements.pairs(set_id)}
    said = [(m.choice, wanted[m.pair]) for m in judgements.marks(set_id)
            if m.by == by and m.choice in ("first", "second") and wanted[m.pair]]
    return fmean(one == other for one, other in said)


async def loop(workbench: Workbench, qtbot: QtBot, size: Size, mark: Any) -> dict[str, float]:
    """Play it, and return what came of it."""
    window, store = workbench.window, workbench.store
    await until(lambda: window.state is State.READY)
    window.hyperparameters.form.set_values({"num_cycles": 21, **size.settings}, "test")
    window.actions_["step"].trigger()
    await until(lambda: window.state is State.PAUSED)
    window.judge.sets.choose(NAME)
    # Of the start policy's kind: what a cycle changes is little.
    await put_in_pairs(workbench, NAME, round(1.6 * size.marks) + 8, 1)
    unseen = await put_in_pairs(workbench, "Unseen", size.unseen, 2) if size.unseen else 0
    window.reveal("judge")
    window.judge.load_now()
    await mark(workbench, qtbot, size)
    window.judge.load_now()
    window.actions_["make_reward"].trigger()
    await until(lambda: window.findChild(QMessageBox, "make_reward"))
    box = window.findChild(QMessageBox, "make_reward")
    assert "Run 1 is paused and ends first" in box.informativeText()
    qtbot.mouseClick(box.findChild(QPushButton, "make_reward_accept"), Qt.MouseButton.LeftButton)
    await until(lambda: window.judge.making.go_on.isVisible())
    assert store.run(2).name == f"{NAME} 1"
    assert store.run(2).status == "finished"
    window.judge.making.go_on.click()
    await until(lambda: store.run(3) is not None and store.run(3).cycles >= 1 + size.cycles)
    if size.cycles < 20:
        window.actions_["stop"].trigger()
    await until(lambda: store.run(3).status in ("stopped", "finished"))
    await until(lambda: window.state in (State.READY, State.FINISHED))
    run = store.run(3)
    assert (run.parent, run.parent_cycle, run.reward_since) == (1, 1, 1)
    assert run.cycles >= 1 + size.cycles
    assert run.reward == str(window.models.wanted().parts[0].source)
    assert not store.completions(3, 1, "rollout")  # which another reward scored
    before, after = liked(workbench, 1, [1]), liked(workbench, 3, [run.cycles])
    found = {"deviations": (fmean(after) - fmean(before)) / pstdev(before),
             "kl": store.metrics(3)["objective/kl"].values[-1]}
    if unseen:
        window.judge.sets.choose("Unseen")
        window.judge.score()
        await until(lambda: not window.judge.adding.busy)
        found["right"] = right_on(workbench, unseen)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("mark", [marked_by_keys, marked_by_a_local_judge])
def test_what_is_marked_becomes_the_reward_that_the_run_goes_on_with(
    qapp: QApplication, qtbot: QtBot, home: Path, mark: Any
) -> None:
    async def scenario(workbench: Workbench) -> None:
        await loop(workbench, qtbot, SHORT, mark)

    play(qapp, home, scenario)


@pytest.mark.sweep
@pytest.mark.parametrize("mark", [
    marked_by_keys, marked_by_a_judge, marked_by_a_local_judge])
def test_the_policy_comes_to_follow_a_hidden_taste(
    qapp: QApplication, qtbot: QtBot, home: Path, mark: Any
) -> None:
    async def scenario(workbench: Workbench) -> None:
        found = await loop(workbench, qtbot, FULL, mark)
        print(found)
        assert found["right"] >= 0.85
        assert found["deviations"] >= 1
        assert found["kl"] < 15

    play(qapp, home, scenario)
