"""KTO as the rest of the workbench knows it."""

from __future__ import annotations

from typing import Any

from workbench.algorithm import Algorithm, Distribution, Figure, PlotSet, Preset
from workbench.formatting import number
from workbench.kto.guide import GUIDE
from workbench.kto.hyperparameters import KTOSettings
from workbench.kto.metrics import (
    BAD,
    GOOD,
    LOSS,
    MARGIN,
    METRICS,
    REWARD_BAD,
    REWARD_GOOD,
    START_METRICS,
    TOLD_APART,
)
from workbench.kto.metrics import KL as Z
from workbench.kto.parts import PARTS
from workbench.kto.picture import OBJECTIVE
from workbench.kto.rules import RULES, WATCHED
from workbench.kto.tokens import TOKENS
from workbench.learning.metrics import COMPARED, EVAL, KL
from workbench.papers import ETHAYARAJH_2024

_HELD = f"{EVAL}{TOLD_APART}"


def _trainer() -> Any:
    from workbench.kto.cycle import KTOTrainer

    return KTOTrainer


KTO = Algorithm(
    name="kto",
    title="KTO",
    help="Kahneman-Tversky optimisation (Ethayarajh et al. 2024): learns from single completions "
         "that were found good or bad, thumbs up or down, or by the scores of earlier runs. Choose "
         "it where nobody has held two answers against each other.",
    settings=KTOSettings,
    trainer=_trainer,
    learns_from="completions",
    batch=lambda settings: (
        f"{settings['steps_per_cycle']} steps on {settings['batch_size']} completions each"),
    metrics=METRICS,
    start_metrics=START_METRICS,
    headline=COMPARED,
    parts=PARTS,
    plot_sets=(
        PlotSet("Overview", (COMPARED, _HELD, REWARD_GOOD, KL),
                "Compared reward, how many held-out ones are told apart, reward of the good, KL"),
        PlotSet("Marks", (LOSS, TOLD_APART, MARGIN, Z),
                "What is learned from the marks, and how far the policy moves as a whole"),
        PlotSet("Good and bad", (GOOD, BAD, REWARD_GOOD, REWARD_BAD),
                "How likely either has become: the good ones should rise"),
        PlotSet("Creativity",
                ("objective/entropy", "objective/distinct", "objective/distinct_2",
                 "objective/length"),
                "Whether the policy still tries different things"),
    ),
    groups={
        "Marks": ("rewards/", "logps/", "loss/", "marks/", "data/"),
        "Held out": (EVAL,),
        "Compared completions": ("objective/", "val/"),
        "Update": ("policy/", "lr"),
        "Time": ("seconds", "tokens_per_second"),
    },
    distributions=(
        Distribution("Implicit reward of the good", "That of every good completion of a "
                     "cycle before its step", number, column=REWARD_GOOD, formula="β·h",
                     source=ETHAYARAJH_2024),
        Distribution("Implicit reward of the bad", "That of every bad completion of a cycle "
                     "before its step", number, column=REWARD_BAD, formula="β·h",
                     source=ETHAYARAJH_2024),
    ),
    tokens=TOKENS,
    objective=OBJECTIVE,
    guide=GUIDE,
    rate_by_size=True,
    rules=RULES,
    watched=WATCHED,
    presets=(
        Preset("KTO", "The loss of the paper, both kinds alike (Ethayarajh et al. 2024).",
               {"beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 1.0}),
        Preset("Few good ones", "Good ones count four times as much, for data of which one in five "
               "is good.", {"desirable_weight": 4.0, "undesirable_weight": 1.0}),
        Preset("Few bad ones", "Bad ones count four times as much, for data of which one in five "
               "is bad.", {"desirable_weight": 1.0, "undesirable_weight": 4.0}),
        Preset("Quick look", "Three small cycles, to see whether everything works.",
               {"num_cycles": 3, "batch_size": 16, "steps_per_cycle": 2, "response_length": 24}),
    ),
    progress=(
        Figure("compared", COMPARED),
        Figure("loss", LOSS),
        Figure("told apart", TOLD_APART),
        Figure("held out", _HELD),
        Figure("good less bad", MARGIN),
        Figure("log good", GOOD),
        Figure("KL", KL),
    ),
)
