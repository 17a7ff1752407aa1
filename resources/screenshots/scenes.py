"""Every view of the window."""

from __future__ import annotations

import asyncio

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractSpinBox
from stage import PHASE, Stage, press, scene
from waiting import until

from workbench.assets import EXAMPLE_REWARDS
from workbench.ppo.declaration import PPO
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.training import events as ev
from workbench.training.events import State


@scene
async def window_empty(stage: Stage) -> None:
    stage.workbench.controller.show_run(None)


@scene
async def window_finished(stage: Stage) -> None:
    stage.tell(ev.StateChanged(State.FINISHED))


@scene
async def window_loading(stage: Stage) -> None:
    stage.tell(ev.StateChanged(State.LOADING, "Loading the reward model"),
               ev.LoadingProgress("Reading the weights of the reward model…", 0.7))
    stage.window.reveal("models")


@scene
async def window_running(stage: Stage) -> None:
    stage.tell(ev.StateChanged(State.RUNNING))
    stage.window.status.phase.setText(PHASE)
    stage.window.status.bar.setValue(600)
    stage.window.status.bar.show()


@scene
async def window_paused_edited(stage: Stage) -> None:
    stage.window.hyperparameters.run_started(Hyperparameters())
    stage.tell(ev.StateChanged(State.PAUSED, "After cycle 6"))
    stage.window.hyperparameters.form.set_values({"kl_coef": 0.1, "temperature": 0.8}, "scene")
    stage.window.reveal("hyperparameters")


@scene
async def window_stopping(stage: Stage) -> None:
    stage.tell(ev.StateChanged(
        State.STOPPING, "Waiting for the checkpoint of cycle 6 to be written"))


@scene
async def runs_tree(stage: Stage) -> None:
    stage.show(stage.runs[1], "runs")
    stage.window.runs.model.set_ticked([stage.runs[0], stage.runs[3]])


@scene
async def range_of_cycles(stage: Stage) -> None:
    stage.window.runs.model.set_ticked([stage.runs[1]])
    await asyncio.sleep(0.3)
    stage.window.metrics._pointing.selection.set(2, 5)
    stage.window.metrics._selected()


@scene
async def six_plots(stage: Stage) -> None:
    stage.window.metrics.choose_plots([
        "objective/scores", "policy/clipfrac", "val/explained_variance",
        "val/advantage_std", "policy/entropy_avg", "objective/kl"])


@scene
async def trust_region(stage: Stage) -> None:
    stage.window.metrics.choose_plots(PPO.plot_sets[1].metrics)
    stage.window.metrics.controls.x_axis["steps"].setChecked(True)


@scene
async def value_and_advantages(stage: Stage) -> None:
    stage.window.metrics.choose_plots(PPO.plot_sets[2].metrics)
    stage.window.metrics.controls.x_axis["time"].setChecked(True)


@scene
async def creativity_crosshair(stage: Stage) -> None:
    stage.window.metrics.choose_plots(PPO.plot_sets[3].metrics)
    stage.window.metrics.setFocus()
    press(stage.window.metrics, Qt.Key.Key_Left)
    press(stage.window.metrics, Qt.Key.Key_Left)


@scene
async def reward_parts(stage: Stage) -> None:
    from workbench.training.reward_parts import RewardPart

    stage.show(stage.runs[2])
    stage.window.models.reward.set_parts((
        RewardPart(str(EXAMPLE_REWARDS["length_and_repetition"]), 0.5),
        RewardPart("org/toxicity-model", -2.0)))
    stage.window.reveal("models")


@scene
async def models_smollm2(stage: Stage) -> None:
    policy = stage.window.models.policy
    stage.window.reveal("models")
    policy.combo.setCurrentIndex(1)
    policy.chosen.emit()
    policy.combo.showPopup()


@scene
async def models_failed(stage: Stage) -> None:
    stage.tell(ev.LoadingFailed(
        "org/some-model could not be loaded: it is not on this machine and the hub could not be "
        "reached. Check the name and the connection.", "policy", "details"))
    stage.window.reveal("models")


@scene
async def try_policies(stage: Stage) -> None:
    trying = stage.window.trying
    stage.actions["try"].trigger()
    trying.prompt.setPlainText("The hotel was\n---\nThe soup was")
    if not trying._attempts:
        await until(lambda: trying.button.isEnabled())
        trying.try_or_stop()
        await until(lambda: not trying.busy)


@scene
async def completions_detail(stage: Stage) -> None:
    stage.window.reveal("completions")
    stage.window.completions.do("open")


@scene
async def tokens(stage: Stage) -> None:
    stage.window.reveal("tokens")


@scene
async def objective(stage: Stage) -> None:
    stage.window.reveal("objective")
    await until(lambda: stage.window.objective.picture)


@scene
async def distributions(stage: Stage) -> None:
    stage.window.reveal("distributions")
    await until(lambda: stage.window.distributions.picture)


@scene
async def frontier(stage: Stage) -> None:
    stage.window.runs.model.set_ticked(stage.runs)
    stage.window.reveal("frontier")
    await until(lambda: stage.window.frontier.picture)


@scene
async def judge_empty(stage: Stage) -> None:
    stage.window.reveal("judge")
    stage.window.judge.sets.choose("Nothing yet")


@scene
async def judge(stage: Stage) -> None:
    view = stage.window.judge
    view.sets.choose("Your judgements")
    stage.window.reveal("judge")
    if not view.queue.entries:
        view.adding.add_cycles(0, view.adding.cycles()[-1])
        await until(lambda: view.queue.entries)
        for said in ("left", "right", "left", "tie", "right", "left"):
            view.answer(said, 1)


@scene
async def judge_made(stage: Stage) -> None:
    view = stage.window.judge
    view.sets.choose("Your judgements")
    stage.window.reveal("judge")
    view.making.made("Your judgements 1 is made: right on 84 % of the pairs it has not seen", "")


@scene
async def chances(stage: Stage) -> None:
    stage.window.reveal("tokens")
    await until(lambda: stage.window.tokens.model.steps)
    stage.window.reveal("chances")
    await until(lambda: stage.window.chances.bars.picture.rows)


@scene
async def guide(stage: Stage) -> None:
    stage.window.reveal("guide")
    await until(lambda: stage.window.guide.summary.results)
    stage.window.guide.go_to(stage.window.guide.following.first("estimate"))


@scene
async def guide_summary(stage: Stage) -> None:
    stage.window.reveal("guide")
    await until(lambda: stage.window.guide.summary.results)
    stage.window.guide.show_summary()


@scene
async def prompts(stage: Stage) -> None:
    stage.window.reveal("prompts")


@scene
async def hyperparameters_history(stage: Stage) -> None:
    stage.show(stage.runs[1], "hyperparameters")
    stage.window.hyperparameters.findChild(object, "section_History").setChecked(True)


@scene
async def hyperparameters_invalid(stage: Stage) -> None:
    stage.window.reveal("hyperparameters")
    field = stage.window.hyperparameters.findChild(QAbstractSpinBox, "kl_coef")
    field.setFocus()
    field.selectAll()
    press(field, Qt.Key.Key_X, "x")


@scene
async def no_prompts(stage: Stage) -> None:
    stage.window.reveal("prompts")
    stage.window.prompts.filter.setText("nothing has these words")


@scene
async def siblings(stage: Stage) -> None:
    stage.show(stage.runs[4], "paths")
    await until(lambda: stage.window.paths.siblings.group())
    press(stage.window.paths.siblings.tree, Qt.Key.Key_Down)


@scene
async def tokens_of_a_group(stage: Stage) -> None:
    stage.show(stage.runs[4], "tokens")
    await until(lambda: stage.window.tokens.model.steps)


@scene
async def guide_of_a_group(stage: Stage) -> None:
    stage.show(stage.runs[4], "guide")
    await until(lambda: stage.window.guide.scene.siblings)
    stage.window.guide.go_to(stage.window.guide.following.first("estimate"))


@scene
async def paths(stage: Stage) -> None:
    stage.window.reveal("tokens")
    await until(lambda: stage.window.tokens.model.steps)
    stage.window.reveal("paths")
