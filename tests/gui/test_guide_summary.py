"""What came of a run, and experiments with it."""

from __future__ import annotations

import math

import pytest
from helpers.play import SMALL, play, until
from helpers.short_runs import WAYS
from helpers.window import DEFAULTS, PROMPTS, Opened, bare_controls, metrics, ready, unexplained
from pytestqt.qtbot import QtBot

from workbench.algorithms import algorithm_of_run, find_algorithm, guide_of
from workbench.formatting import difference, number
from workbench.gui.app import Workbench
from workbench.gui.guide.results import read_results, read_trials, trials_of
from workbench.gui.guide.summary import Summary
from workbench.gui.widgets.theme import themes
from workbench.models.phases import Phase
from workbench.ppo.declaration import PPO
from workbench.records import ScoredData, ScoredText
from workbench.store.records import CompletionRecord, HealthRecord, Prompt
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

BEFORE = (-1.0, 0.5, 0.2, 1.0, 0.0)
AFTER = (1.5, 0.4, 0.9, -0.5, math.nan)
TEXTS = (*PROMPTS, "The soup was", "The room was")


def compared(scores: tuple[float, ...], word: str) -> list[CompletionRecord]:
    return [CompletionRecord(i, i, text, f" {word} {i}", scores[i], 0.5 * i, 5, True)
            for i, text in enumerate(TEXTS)]


def fill(store: Store, **settings: object) -> int:
    run_id = store.create_run(
        name="Mine", policy="/models/policy", reward="/models/reward", models={},
        hyperparameters=DEFAULTS | {"num_cycles": 2} | settings,
        prompts=[Prompt(text) for text in TEXTS]).result()
    store.record_comparison(run_id, 0, compared(BEFORE, "old")).result()
    for cycle in (1, 2):
        store.record_cycle(run_id, cycle, metrics=metrics(cycle), rollout=[],
                           comparison=compared(AFTER if cycle == 2 else BEFORE, "new")).result()
    store.set_status(run_id, "finished").result()
    return run_id


@pytest.fixture
def summary(qtbot: QtBot, opened: Opened, store: Store) -> Summary:
    """The summary of a run that is on display."""
    ready(opened)
    run_id = fill(store)
    opened.window.runs.refresh()
    opened.window.reveal("guide")
    opened.controller.show_run(run_id)
    qtbot.waitUntil(lambda: opened.window.guide.summary.results is not None)
    return opened.window.guide.summary


def test_its_numbers_are_those_of_the_store(store: Store) -> None:
    found = read_results(store, fill(store))
    # The prompt whose last answer has no score is left out on both sides.
    assert found.prompts == 4
    assert found.before == pytest.approx((-1.0 + 0.5 + 0.2 + 1.0) / 4)
    assert found.after == pytest.approx((1.5 + 0.4 + 0.9 - 0.5) / 4)
    assert found.gain == pytest.approx(found.after - found.before)
    assert found.kl == pytest.approx((0 + 0.5 + 1 + 1.5 + 2) / 5)
    assert found.cost == "KL 1.0 nats a completion × β 0.04 = 0.04 off the reward"
    in_loss = read_results(store, fill(store, kl_in="loss", kl_coef=0.04))
    assert in_loss is not None
    assert in_loss.cost == (
        "KL 1.0 nats a completion; its price is a term of the loss, at β 0.04")
    assert [a.before.prompt_text for a in found.changed] == [TEXTS[0], TEXTS[3], TEXTS[2]]
    assert [a.gain for a in found.changed] == pytest.approx([2.5, -1.5, 0.7])


@pytest.mark.parametrize("scores", [(1.0, 1.0), (1.0, 0.0)])
def test_a_gain_from_scores_that_are_all_the_same_is_told_with_reserve(
    qtbot: QtBot, opened: Opened, store: Store, scores: tuple[float, ...]
) -> None:
    ready(opened)
    data = ScoredData("marks.jsonl", [ScoredText(Prompt("The tea"), " was good.", s)
                                       for s in scores])
    run_id = store.create_run(
        name="Mine", policy="/models/policy", reward="/models/reward", models={},
        algorithm="ilql", data=data, hyperparameters=find_algorithm("ilql").settings().model_dump(),
        prompts=[Prompt(text) for text in TEXTS]).result()
    store.record_comparison(run_id, 0, compared(BEFORE, "old")).result()
    store.record_cycle(run_id, 1, metrics=metrics(1), rollout=[],
                       comparison=compared(AFTER, "new")).result()
    store.set_status(run_id, "finished").result()
    opened.window.reveal("guide")
    opened.controller.show_run(run_id)
    summary = opened.window.guide.summary
    qtbot.waitUntil(lambda: summary.results is not None)
    said = "have the same score, so no token was worth more than another: what ILQL changed"
    alike = len(set(scores)) == 1
    assert (said in summary._gain.text()) == alike
    theme = themes().theme
    assert (theme.muted if alike else theme.good) in summary._gain.text()


def test_a_gain_is_told_with_what_health_warns_of_and_what_was_learned_otherwise(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    ready(opened)
    dpo, ppo = find_algorithm("dpo"), find_algorithm("ppo")
    parent = store.create_run(
        name="First", policy="/models/policy", reward="/models/reward", models={},
        algorithm="dpo", hyperparameters=dpo.settings().model_dump(),
        prompts=[Prompt(text) for text in TEXTS]).result()
    store.record_comparison(parent, 0, compared(BEFORE, "old")).result()
    for cycle in (1, 2):
        store.record_cycle(parent, cycle, metrics=metrics(cycle), rollout=[],
                           comparison=compared(AFTER, "new")).result()
    rule = dpo.rules[0]
    store.record_health(parent, [HealthRecord(1, dpo.rules[1].name, "serious", "It was so."),
                                 HealthRecord(2, rule.name, "serious", "It is so.")]).result()
    store.set_status(parent, "finished").result()
    child = store.fork_run(
        parent, 1, name="Second", about="", changes=(), algorithm="ppo",
        hyperparameters=ppo.settings().model_dump()).result()
    store.record_cycle(child, 2, metrics=metrics(2), rollout=[],
                       comparison=compared(AFTER, "new")).result()
    store.set_status(child, "finished").result()
    opened.window.reveal("guide")
    summary = opened.window.guide.summary
    opened.controller.show_run(parent)
    qtbot.waitUntil(lambda: summary.results is not None and summary.results.run_id == parent)
    assert summary.results.reserve == f"Health warns of the last cycle: {rule.title}."
    assert themes().theme.muted in summary._gain.text()
    opened.controller.show_run(child)
    qtbot.waitUntil(lambda: summary.results is not None and summary.results.run_id == child)
    assert summary.results.reserve == "Up to cycle 1 it learned by DPO."


def fork(store: Store, parent: int, scores: tuple[float, ...], **changes: object) -> int:
    """A run that began as ``parent`` did, of which one cycle was compared."""
    run_id = store.fork_run(
        parent, 0, name="", about="Seed 1", changes=(),
        hyperparameters=dict(store.run(parent).hyperparameters) | changes).result()
    store.record_comparison(run_id, 0, compared(BEFORE, "old")).result()
    store.record_cycle(run_id, 1, metrics=metrics(1), rollout=[],
                       comparison=compared(scores, "new")).result()
    store.set_status(run_id, "stopped").result()
    return run_id


def test_a_fork_is_told_beside_the_run_it_came_from(store: Store) -> None:
    parent = fill(store, num_cycles=4)
    assert read_results(store, parent).beside is None
    free = fork(store, parent, (0.5,) * 5, kl_coef=0.0)
    found = read_results(store, free).beside
    # The parent's second cycle is left out: the fork has none.
    assert (found.cycle, found.reward, found.parent_reward) == (1, 0.5, pytest.approx(0.14))
    assert (found.kl, found.parent_kl) == (1.0, 1.0)
    said = found.say()
    assert "Mine, without the change: reward 0.14, KL 1.0 nats; here 0.50, KL 1.0." in said
    learned = [number(store.cycle_metrics(r, 0)[1]["objective/scores"]) for r in (parent, free)]
    assert (f"Both are of the compared prompts, after 1 cycle. What cycle 1 itself learned from, "
            f"of other prompts drawn by chance, had {learned[0]}; here {learned[1]}.") in said
    assert "Mine was finished after cycle 2 of 4." in said
    assert said.endswith("another seed alone may make such a difference.")
    seed = fork(store, parent, (0.04,) * 5, seed=1)
    assert store.run(seed).name == f"Run {seed}: Seed 1"
    assert read_results(store, seed).beside.say().endswith("So much differs by chance alone.")
    assert "difference of 0.10 in the reward, which is less." in (
        read_results(store, free).beside.say())
    near = fork(store, parent, (0.2,) * 5, kl_coef=0.0)
    assert read_results(store, near).beside.say().endswith("so this may be chance.")


def test_it_shows_when_a_run_that_has_ended_is_on_display(
    opened: Opened, summary: Summary
) -> None:
    assert summary.isVisible()
    assert summary._title.text() == "What came of Mine"
    found = summary.results
    ends = number(found.before), number(found.after)
    assert difference(*ends) in summary._gain.text()
    assert " → ".join(ends) in summary._gain.text()
    assert len(summary.answers) == 3
    assert [b.text() for b in summary.trials] == [e.question for e in PPO.guide.experiments]
    assert not bare_controls(opened.window.guide)
    assert not unexplained(opened.window.guide)
    summary.grab()


def test_an_answer_opens_in_completions(qtbot: QtBot, opened: Opened, summary: Summary) -> None:
    summary.answers[1].click()
    view = opened.window.completions
    assert view.isVisible()
    row = view.table.model().row(view.table.currentIndex())
    assert (row.prompt, row.last.text) == (TEXTS[3], " new 3")
    assert row.first.text == " old 3"


def test_without_a_comparison_there_is_nothing_to_tell(store: Store) -> None:
    run_id = store.create_run(
        name="", policy="/p", reward="/r", models={}, hyperparameters=DEFAULTS,
        prompts=[Prompt("x")]).result()
    found = read_results(store, run_id)
    assert math.isnan(found.gain)
    assert found.changed == ()
    assert read_results(store, 99) is None


def test_an_experiment_says_why_it_would_change_nothing() -> None:
    free, clip, seed = trials_of(PPO, DEFAULTS | {"kl_coef": 0.0, "seed": 4})
    assert free.why_not == "KL coefficient (β) was 0 in this run."
    assert (clip.value, clip.why_not) == (0.05, "")
    assert (seed.value, seed.change) == (5, "Seed 4 → 5")
    adaptive = trials_of(PPO, DEFAULTS | {"kl_controller": "adaptive"})[0]
    assert "adaptive KL controller" in adaptive.why_not


POLICIES = [way for way, (name, _) in WAYS.items() if find_algorithm(name).makes == "policy"]


@pytest.mark.parametrize("then", POLICIES)
@pytest.mark.parametrize("first", POLICIES)
def test_what_can_be_tried_next_with_a_fork_is_tried_the_way_it_learns(store, first, then):
    (old, theirs), (new, own) = WAYS[first], WAYS[then]
    begun = find_algorithm(old).settings.parse(theirs).model_dump()
    on = find_algorithm(new).settings.parse(own | {"seed": 7}).model_dump()
    run_id = store.create_run(name="", policy="/p", reward="/r", models={}, algorithm=old,
                              hyperparameters=begun, prompts=[Prompt("x")]).result()
    another = {"algorithm": new, "hyperparameters": on, "changes": ()} if old != new else {
        "hyperparameters": begun, "changes": [
            (name, begun[name], value, "person") for name, value in on.items()
            if value != begun[name]]}
    fork = store.run(store.fork_run(run_id, 2, name="", **another).result())
    trials = read_trials(store, fork)
    assert [t.experiment for t in trials] == list(guide_of(algorithm_of_run(fork)).experiments)
    seed = trials[-1]
    if first == then:  # from the very beginning, where it had another seed
        assert (seed.cycle, seed.change, seed.why_not) == (0, "Seed 0 → 1", "")
        return
    assert (seed.cycle, seed.change) == (2, "Seed 7 → 8")
    assert "after cycle 2" in seed.why_not  # no checkpoint was written here
    if old == new:
        assert (own | {"seed": 8}).items() <= {**begun, **seed.changes}.items()


def test_an_experiment_forks_the_beginning_with_one_change(
    opened: Opened, summary: Summary
) -> None:
    opened.window.hyperparameters.form.set_values({"learning_rate": 3e-3}, "typed")
    summary.trials[1].click()
    command = opened.sent[-1]
    assert isinstance(command, do.Fork)
    assert (command.run_id, command.cycle, dict(command.changes)) == (
        summary.results.run_id, 0, {"cliprange": 0.05})
    assert (command.name, command.about) == ("", "Clip range 0.05")


def test_the_settings_of_an_experiment_are_none_to_start_with(
    opened: Opened, summary: Summary
) -> None:
    window, ran = opened.window, summary.results.run_id
    form = window.hyperparameters.form
    form.set_values({"learning_rate": 3e-3, "batch_size": 8}, "typed")
    mine = form.values()

    def go_on(parent: str) -> None:
        opened.controller.handle([
            ev.RunResumed(ran, "Mine", 0, "ppo", DEFAULTS | {"kl_coef": 0.0}, parent),
            ev.StateChanged(State.RUNNING)])

    def end() -> None:
        opened.controller.handle([ev.StateChanged(State.FINISHED),
                                  ev.RunFinished(ran, "finished", 2)])
    summary.trials[0].click()
    for parent in ("Mine", ""):  # it begins, and goes on after it was stopped
        go_on(parent)
        assert form.values()["kl_coef"] == 0.0
        assert window.hyperparameters.save_state()["values"] == mine
        end()
        assert form.values() == mine
        assert window.hyperparameters.hyperparameters().model_dump() == mine
    go_on("")
    form.set_values({"gamma": 0.9}, "typed")  # an edit of the person's in the meantime stays
    end()
    assert form.values() == mine | {"gamma": 0.9}


def test_while_a_run_is_on_no_experiment_begins(opened: Opened, summary: Summary) -> None:
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    for button in summary.trials:
        assert not button.isEnabled()
    assert not unexplained(opened.window.guide)
    opened.controller.handle([ev.StateChanged(State.FINISHED)])
    assert all(button.isEnabled() for button in summary.trials)


def test_a_run_that_ends_is_summed_up_and_later_from_runs(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    ready(opened)
    first, other = fill(store), fill(store)
    window = opened.window
    window.reveal("guide")
    opened.controller.show_run(first)
    qtbot.waitUntil(lambda: window.strip.buttons[1].result != "")
    opened.controller.handle([ev.RunResumed(first, "Mine", 2, "ppo", DEFAULTS),
                              ev.StateChanged(State.RUNNING), ev.Progress(
        first, 3, 3, ev.Phase.SAMPLING, 1, 64)])
    assert not window.guide.summary.isVisible()
    opened.controller.handle([ev.RunFinished(first, "finished", 2),
                              ev.StateChanged(State.FINISHED)])
    qtbot.waitUntil(lambda: len(window.guide.summary.answers) == 3)
    assert window.guide.summary.isVisible()
    assert window.guide._count.text() == "13 of 13"
    window.guide.back_button.click()
    assert window.guide.card is PPO.guide.cards[-1]
    assert window.guide._count.text() == "12 of 13"
    window.docks["guide"].close()
    window.runs.refresh()
    window.runs._select(other)
    assert window.actions_["summary"] in window.runs.make_menu().actions()
    window.actions_["summary"].trigger()
    assert window.guide.summary.isVisible()
    assert opened.controller.shown == other
    qtbot.waitUntil(lambda: window.guide.summary.results is not None
                    and window.guide.summary.results.run_id == other)


@pytest.mark.slow
def test_an_experiment_runs_differs_by_one_setting_and_is_drawn_over(qapp, tmp_path) -> None:
    async def scenario(workbench: Workbench) -> None:
        window, store = workbench.window, workbench.store
        await until(lambda: window.state is State.READY)
        form, summary = window.hyperparameters.form, window.guide.summary
        form.set_values(SMALL, "test")
        window.actions_["start"].trigger()
        await until(lambda: window.state is State.FINISHED)
        window.reveal("guide")
        await until(lambda: summary.results is not None and summary.results.run_id == 1)
        answers = [store.completions(1, cycle) for cycle in (0, 2)]
        before, after = (sum(c.score for c in found) / len(found) for found in answers)
        assert (summary.results.before, summary.results.after) == pytest.approx((before, after))
        # An edit that was not used is neither lost nor used.
        form.set_values({"learning_rate": 3e-3}, "typed")
        mine = form.values()
        summary.trials[2].click()
        await until(lambda: window.runs.newest.id == 2 and window.state is State.FINISHED)
        one, two = (store.settings_planned(run) for run in (1, 2))
        assert {k: (one[k], two[k]) for k in one if one[k] != two[k]} == {"seed": (0, 1)}
        assert form.values() == mine
        assert window.runs.model.ticks == {1}
        assert [run.run_id for run in window.metrics._overlays()] == [1]
        assert workbench.controller.shown == 2
        await until(lambda: summary.results is not None and summary.results.run_id == 2)
        assert summary.results.name == "Run 2: Seed 1"
        assert summary._beside.text().startswith(f"Run 1: reward {number(after)}, KL ")
        assert summary._beside.text().endswith("So much differs by chance alone.")

    play(qapp, tmp_path, scenario)


def test_what_a_reward_model_gives_is_called_no_gain(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    ready(opened)
    settings = find_algorithm("reward").settings().model_dump()
    run_id = store.create_run(
        name="Mine", policy="/models/policy", reward="/models/reward", models={},
        algorithm="reward", hyperparameters=settings,
        prompts=[Prompt(text) for text in TEXTS]).result()
    opened.controller.handle([
        ev.RunStarted(run_id, "Mine", "reward", settings), ev.StateChanged(State.RUNNING),
        ev.Progress(run_id, 1, 2, Phase.UPDATING, 1, 3)])
    assert opened.window.status.phase.text() == "Phase 2: training the reward model"
    store.record_comparison(run_id, 0, compared(BEFORE, "same")).result()
    store.record_cycle(run_id, 1, metrics=metrics(1), rollout=[],
                       comparison=compared(AFTER, "same")).result()
    store.set_status(run_id, "finished").result()
    opened.controller.handle([
        ev.RunFinished(run_id, "finished", 1), ev.StateChanged(State.FINISHED)])
    opened.window.reveal("guide")
    opened.controller.show_run(run_id)
    summary = opened.window.guide.summary
    qtbot.waitUntil(lambda: summary.results is not None)
    theme = themes().theme
    assert theme.bad not in summary._gain.text()
    assert theme.good not in summary._gain.text()
    assert " → " not in summary._gain.text()
    assert "How high its scores are means nothing" in summary._gain.text()
    assert summary._which.text() == "The answers whose score changed most"
    assert summary.answers
    assert "Before (" not in summary.answers[0].toolTip()
    summary.grab()
