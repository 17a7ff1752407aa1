"""Every dialog, menu and message."""

from __future__ import annotations

import asyncio

from stage import Stage, scene
from waiting import until

from workbench.assets import EXAMPLE_REWARDS
from workbench.gui.judge.judge_dialog import Wanted
from workbench.gui.models.consent import ask_to_trust
from workbench.records import Pair, PairData
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State


@scene
async def command_palette(stage: Stage) -> None:
    stage.actions["palette"].trigger()


@scene
async def shortcuts(stage: Stage) -> None:
    stage.actions["shortcuts"].trigger()


@scene
async def about(stage: Stage) -> None:
    stage.actions["about"].trigger()


@scene
async def checkpoints(stage: Stage) -> None:
    stage.actions["checkpoints"].trigger()


@scene
async def delete_checkpoint(stage: Stage) -> None:
    stage.actions["checkpoints"].trigger()
    stage.window.findChild(object, "delete_checkpoint").click()


@scene
async def fork(stage: Stage) -> None:
    stage.actions["fork_run"].trigger()


@scene
async def go_back(stage: Stage) -> None:
    stage.actions["go_back"].trigger()


@scene
async def compare_settings(stage: Stage) -> None:
    stage.window.runs.model.set_ticked(stage.runs[1:4])
    stage.actions["compare_settings"].trigger()


@scene
async def compare_algorithms(stage: Stage) -> None:
    stage.actions["compare_algorithms"].trigger()


@scene
async def delete_run(stage: Stage) -> None:
    stage.window.reveal("runs")
    stage.window.runs.delete_selected()


@scene
async def more_cycles(stage: Stage) -> None:
    stage.workbench.controller.resuming.resume(stage.runs[0])


@scene
async def export_policy(stage: Stage) -> None:
    stage.actions["export_policy"].trigger()
    dialog = stage.window.findChild(object, "export_policy_dialog")
    dialog._folder.setText("hotel-reviews")
    dialog.accept()


@scene
async def health(stage: Stage) -> None:
    stage.show(stage.runs[3])
    await asyncio.sleep(0.5)
    stage.actions["health"].trigger()


@scene
async def memory(stage: Stage) -> None:
    await until(lambda: stage.window.hyperparameters.memory.isVisible())
    stage.window.hyperparameters.memory.click()


@scene
async def memory_short(stage: Stage) -> None:
    line = stage.window.hyperparameters.memory
    await until(lambda: line._event is not None)
    phases = line._event.phases
    stage.tell(ev.MemoryEstimated(
        phases, 80 * 2**20, "cpu", "The run may not fit: it needs about 137 MiB and there is "
        "80 MiB. Lower Tokens at once from 1024 to 256.", {"micro_batch_tokens": 256}))
    line.click()


@scene
async def consent(stage: Stage) -> None:
    file = EXAMPLE_REWARDS["vader"]
    stage.tell(ev.LoadingFailed(
        "vader.py is a Python file that has not been run before.", "reward",
        untrusted=ev.UntrustedFile(str(file), "3f" * 32, file.read_text(), True),
        again=do.CancelLoading()))


@scene
async def out_of_memory(stage: Stage) -> None:
    stage.tell(ev.RunFailed(
        stage.runs[0], "Memory ran out in Phase 2, updating the model. The run is kept up to cycle "
        "6. Lower Tokens at once from 1024 to 512, or the batch.", "Traceback…",
        {"micro_batch_tokens": 512}))


@scene
async def failed_run(stage: Stage) -> None:
    from workbench.gui.dialogs import offer_resume

    offer_resume(stage.window, "The gradient of cycle 7 is not a finite number; it was not "
                 "applied. Lower the learning rate or clip scores.", "details", 5,
                 "Learning rate set to 1e-4", lambda: None)


@scene
async def error(stage: Stage) -> None:
    from workbench.gui.errors import UNEXPECTED, ErrorDialog

    dialog = ErrorDialog(UNEXPECTED, "Traceback (most recent call last):\n" + "\n".join(
        f'  File "workbench/gui/part_{i}.py", line {i}, in call' for i in range(12)),
        stage.window)
    dialog.open()
    dialog.findChild(object, "show_details").setChecked(True)


@scene
async def close_question(stage: Stage) -> None:
    stage.tell(ev.StateChanged(State.RUNNING))
    stage.workbench._close_wanted()


@scene
async def leave_question(stage: Stage) -> None:
    from workbench.gui.dialogs import ask_about_leaving

    ask_about_leaving(stage.window, starting=True, leave=lambda: None, stop=lambda: None)


@scene
async def toast(stage: Stage) -> None:
    stage.window.toast.show_message(
        "warning", "prompts.jsonl: 61 prompts read; lines 4, 9 and 17 have no text under "
        "“prompt” and were left out.")


@scene
async def toast_offer(stage: Stage) -> None:
    stage.window.toast.show_offer(
        "Run 1 was interrupted after cycle 6 of 16: the process that trained it is gone.",
        "Resume", "Go on with this run", lambda: None)


@scene
async def plots_menu(stage: Stage) -> None:
    button = stage.window.metrics.controls.plots
    menu = button.menu()
    menu.popup(button.mapToGlobal(button.rect().bottomLeft()))
    menu.setActiveAction(menu.actions()[0])


@scene
async def run_menu(stage: Stage) -> None:
    runs = stage.window.runs
    stage.window.reveal("runs")
    runs.make_menu().popup(runs.table.mapToGlobal(runs.table.rect().center()))


@scene
async def tray_menu(stage: Stage) -> None:
    stage.workbench.tray.menu.popup(stage.window.mapToGlobal(stage.window.rect().center()))


@scene
async def judge_cycles(stage: Stage) -> None:
    stage.window.reveal("judge")
    stage.window.judge.menus._ask_cycles()


async def with_pairs(stage: Stage) -> None:
    """Have pairs to judge."""
    view = stage.window.judge
    stage.window.reveal("judge")
    view.sets.choose("Your judgements")
    if not view.queue.entries:
        view.adding.add_cycles(0, view.adding.cycles()[-1])
        await until(lambda: view.queue.entries)


@scene
async def judge_ask(stage: Stage) -> None:
    view = stage.window.judge
    await with_pairs(stage)
    if not view.store.judge_answers.qualities(1, view.person):
        view.asking.ask(1, Wanted())
        await until(lambda: not view.asking.why_not() and not view.asking.isVisible())
    view.asking.choose()


@scene
async def make_reward(stage: Stage) -> None:
    data = PairData(
        "Your judgements", tuple(Pair(f"Prompt {i}", " good", " bad") for i in range(94)))
    stage.workbench.controller.reward_making._ask("Your judgements", data, data)


@scene
async def feedback_tour(stage: Stage) -> None:
    await with_pairs(stage)
    tour = stage.workbench.controller.tour
    tour.begin()
    tour.dialog.show_step(1)
    tour._marked()


@scene
async def ask_judge_server(stage: Stage) -> None:
    stage.window.reveal("judge")
    ask_to_trust(stage.window, ev.UntrustedJudge("http://localhost:1234", 240), lambda: None,
                 lambda: None)


@scene
async def name_prompts(stage: Stage) -> None:
    stage.window.reveal("prompts")
    stage.window.prompts.bar._ask_name()
