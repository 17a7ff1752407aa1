"""What is said of a change of settings during a run."""

import pytest

from workbench.ppo.hyperparameters import parse
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

PROMPTS = (do.PromptItem("one"), do.PromptItem("two"))
SCALE = ("With {} changed during a run returns are on another scale than the one that values have "
         "learned, so values mislead until they have learned it anew; a fork from the start with "
         "this change has one scale throughout.")


def start(cycles, *, step=False):
    return do.Start(
        parse({"num_cycles": cycles, "batch_size": 4, "response_length": 6, "kl_coef": 0.05,
               "comparison_prompts": 2}), PROMPTS, step=step)


@pytest.mark.parametrize(("changes", "note"), [
    ({"normalize_scores": True}, SCALE.format("Normalise scores")),
    ({"score_clip": 1.0, "whiten_rewards": True}, SCALE.format("Score clip and Whiten rewards")),
    ({"gamma": 0.9}, SCALE.format("Discount (γ)")),
    ({"vf_coef": 0.0, "num_value_epochs": 0},
     "With a value coefficient c₁ (vf_coef) of 0 and no value epochs values learn nothing during "
     "the run."),
    ({"kl_coef": 0.1, "cliprange": 0.1}, ""),
    ({"whiten_rewards": False}, ""),
])
def test_a_change_says_what_it_does_to_values(ready, changes, note):
    ready.send(start(2, step=True))
    ready.wait_for(State.PAUSED)
    ready.send(do.SetHyperparameters(changes))
    assert ready.wait(ev.HyperparametersStaged).note == note
    ready.send(do.Stop())
    ready.wait_for(State.FINISHED)
    ready.send(do.ResumeRun(1, changes=changes))
    assert ready.wait(ev.RunResumed).note == note
    assert ready.wait(ev.RunFinished).outcome == "finished"
