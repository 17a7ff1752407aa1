"""DPO as the rest of the workbench knows it."""

from __future__ import annotations

from typing import Any

from workbench.algorithm import Algorithm, Distribution, Figure, PlotSet, Preset
from workbench.dpo.guide import GUIDE
from workbench.dpo.hyperparameters import DPOSettings
from workbench.dpo.metrics import (
    ACCURACY,
    CHOSEN,
    LOSS,
    MARGIN,
    METRICS,
    REJECTED,
    START_METRICS,
)
from workbench.dpo.parts import PARTS
from workbench.dpo.picture import OBJECTIVE
from workbench.dpo.rules import RULES, WATCHED
from workbench.dpo.tokens import TOKENS
from workbench.formatting import number
from workbench.learning.metrics import COMPARED, EVAL, KL
from workbench.papers import RAFAILOV_2023


def _trainer() -> Any:
    from workbench.dpo.cycle import DPOTrainer

    return DPOTrainer


DPO = Algorithm(
    name="dpo",
    title="DPO",
    help="Direct preference optimisation (Rafailov et al. 2023): learns from pairs of a better and "
         "a worse completion that are there already, without writing and scoring any. Choose it "
         "for preferences from people or of an earlier run.",
    settings=DPOSettings,
    trainer=_trainer,
    learns_from="pairs",
    batch=lambda settings: (
        f"{settings['steps_per_cycle']} steps on {settings['batch_size']} pairs each"),
    metrics=METRICS,
    start_metrics=START_METRICS,
    headline=COMPARED,
    parts=PARTS,
    plot_sets=(
        PlotSet("Overview", (COMPARED, f"{EVAL}{ACCURACY}", CHOSEN, KL),
                "Compared reward, held-out accuracy, log π of the chosen and KL"),
        PlotSet("Preferences", (LOSS, ACCURACY, MARGIN, f"{EVAL}{LOSS}"),
                "What is learned from the pairs, and whether it holds for others"),
        PlotSet("Chosen and rejected", (CHOSEN, REJECTED, "rewards/chosen", "rewards/rejected"),
                "How likely either has become; both usually fall"),
        PlotSet("Creativity",
                ("objective/entropy", "objective/distinct", "objective/distinct_2",
                 "objective/length"),
                "Whether the policy still tries different things"),
    ),
    groups={
        "Preferences": ("rewards/", "logps/", "loss/", "pairs/", "data/"),
        "Held out": (EVAL,),
        "Compared completions": ("objective/", "val/"),
        "Update": ("policy/", "lr"),
        "Time": ("seconds", "tokens_per_second"),
    },
    distributions=(
        Distribution("Margin", "By how much the implicit reward of the chosen completion was the "
                     "higher, of every pair of a cycle before its step", number, column=MARGIN,
                     formula="β·d", source=RAFAILOV_2023),
        *(Distribution(f"Implicit reward of the {side}", f"The implicit reward of every {side} "
                       "completion of a cycle before its step", number, column=f"rewards/{side}",
                       formula="r = β·(log π - log π_start)", source=RAFAILOV_2023)
          for side in ("chosen", "rejected")),
        Distribution("log π of the chosen", "How likely the policy found the chosen completions of "
                     "a cycle, in nats", number, column=CHOSEN),
        Distribution("log π of the rejected", "How likely the policy found the rejected "
                     "completions of a cycle, in nats", number, column=REJECTED),
    ),
    tokens=TOKENS,
    objective=OBJECTIVE,
    guide=GUIDE,
    rate_by_size=True,
    rules=RULES,
    watched=WATCHED,
    presets=(
        Preset("DPO", "The loss of the paper (Rafailov et al. 2023).",
               {"loss_type": "sigmoid", "beta": 0.1, "label_smoothing": 0.0, "sft_coef": 0.0}),
        Preset("IPO", "Margins are pulled to a finite place, so that they cannot run away (Azar et "
               "al. 2023).",
               {"loss_type": "ipo", "beta": 0.1, "label_smoothing": 0.0, "sft_coef": 0.0,
                "average_log_prob": False}),
        Preset("SLiC", "A hinge: pairs that are told apart by a margin teach nothing more (Zhao et "
               "al. 2023).",
               {"loss_type": "hinge", "beta": 0.1, "label_smoothing": 0.0, "sft_coef": 0.0}),
        Preset("Noisy labels", "One label in ten is taken to be wrong (Chowdhury et al. 2024).",
               {"loss_type": "robust", "label_smoothing": 0.1, "beta": 0.1, "sft_coef": 0.0}),
        Preset("With SFT", "The chosen completions stay likely (Pang et al. 2024).",
               {"loss_type": "sigmoid", "sft_coef": 0.2, "label_smoothing": 0.0}),
        Preset("Quick look", "Three small cycles, to see whether everything works.",
               {"num_cycles": 3, "batch_size": 16, "steps_per_cycle": 2, "response_length": 24}),
    ),
    progress=(
        Figure("compared", COMPARED),
        Figure("loss", LOSS),
        Figure("accuracy", ACCURACY),
        Figure("held out", f"{EVAL}{ACCURACY}"),
        Figure("margin", MARGIN),
        Figure("log chosen", CHOSEN),
        Figure("KL", KL),
    ),
)
