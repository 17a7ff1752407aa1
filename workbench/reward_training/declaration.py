"""The training of a reward model as the rest of the workbench knows it."""

from __future__ import annotations

from typing import Any

from workbench.algorithm import (
    Algorithm,
    Calibration,
    Distribution,
    Figure,
    PlotSet,
    Preset,
)
from workbench.formatting import number
from workbench.papers import BRADLEY_1952
from workbench.reward_training.guide import GUIDE
from workbench.reward_training.hyperparameters import RewardSettings
from workbench.reward_training.metrics import (
    ACCURACY,
    CHOSEN,
    HELD_ACCURACY,
    HELD_FORESEEN,
    HELD_LENGTH,
    HELD_LOSS,
    LENGTH,
    LOSS,
    MARGIN,
    METRICS,
    PREFIX,
    REJECTED,
    SAMPLES,
    SPREAD,
)
from workbench.reward_training.parts import PARTS
from workbench.reward_training.rules import RULES, WATCHED
from workbench.reward_training.tokens import TOKENS


def _trainer() -> Any:
    from workbench.reward_training.cycle import RewardTrainer

    return RewardTrainer


REWARD = Algorithm(
    name="reward",
    title="Reward model",
    help="Trains a reward model on pairs of a better and a worse completion (Bradley and Terry "
         "1952, Ouyang et al. 2022); the policy stays as it is. Choose it to make a judge of "
         "preferences, from which a policy then learns.",
    settings=RewardSettings,
    trainer=_trainer,
    learns_from="pairs",
    makes="reward model",
    batch=lambda settings: (
        f"{settings['steps_per_cycle']} steps on {settings['batch_size']} pairs each"),
    metrics=METRICS,
    headline=HELD_ACCURACY,
    parts=PARTS,
    plot_sets=(
        PlotSet("Overview", (HELD_ACCURACY, ACCURACY, LOSS, HELD_LOSS),
                "Right choices and loss, of pairs learned from and of held-out ones"),
        PlotSet("Scores", (CHOSEN, REJECTED, SAMPLES, SPREAD),
                "What scores the two sides of a pair and the policy's own completions have"),
        PlotSet("What it goes by", (MARGIN, HELD_FORESEEN, LENGTH, HELD_LENGTH),
                "How sure it is, and how far the score is length"),
    ),
    groups={
        "Pairs": (PREFIX, "pairs/", "data/"),
        "Held out": ("eval/",),
        "Update": ("policy/", "lr"),
        "Time": ("seconds", "tokens_per_second"),
    },
    distributions=(
        Distribution("Margin", "By how much the chosen completion's score was the higher, of every "
                     "pair of a cycle before its step", number, column=MARGIN,
                     formula="r_chosen - r_rejected", source=BRADLEY_1952),
        Distribution("Score of the chosen", "The scores of the chosen completions of a cycle",
                     number, column=CHOSEN),
        Distribution("Score of the rejected", "The scores of the rejected completions of a cycle",
                     number, column=REJECTED),
    ),
    calibration=Calibration(
        "Foreseen and chosen",
        "Each completion of a pair by its chance of being the chosen one, and by whether it was: 1 "
        "or 0. On the diagonal, of those that were given 80\N{NO-BREAK SPACE}% four in five were "
        "chosen; the line joins the mean of equally many completions each. Of the held-out pairs, "
        "where there are some",
        "predicted", "outcome", HELD_FORESEEN, formula="s(r - r_{other}) against the choice",
        source=BRADLEY_1952),
    tokens=TOKENS,
    guide=GUIDE,
    rules=RULES,
    watched=WATCHED,
    presets=(
        Preset("Bradley-Terry", "The loss of InstructGPT's reward model.",
               {"use_margins": False, "centering": 0.0}),
        Preset("With margins", "Pairs that were told apart clearly shall differ by more (Touvron "
               "et al. 2023).", {"use_margins": True}),
        Preset("Centred", "Scores stay around 0 (Eisenstein et al. 2023).", {"centering": 0.01}),
        Preset("Quick look", "Three small cycles, to see whether everything works.",
               {"num_cycles": 3, "batch_size": 16, "steps_per_cycle": 2, "response_length": 24}),
    ),
    progress=(
        Figure("held out", HELD_ACCURACY),
        Figure("right", ACCURACY),
        Figure("loss", LOSS),
        Figure("held-out loss", HELD_LOSS),
        Figure("margin", MARGIN),
    ),
)
