"""ILQL as the rest of the workbench knows it."""

from __future__ import annotations

from typing import Any

from workbench.algorithm import Algorithm, Figure, PlotSet, Preset
from workbench.ilql.distributions import CALIBRATION, DISTRIBUTIONS
from workbench.ilql.guide import GUIDE
from workbench.ilql.hyperparameters import ILQLSettings
from workbench.ilql.metrics import ADVANTAGE, CQL, EXPLAINED, METRICS, Q_MEAN, TOTAL, V_MEAN, Q
from workbench.ilql.parts import PARTS
from workbench.ilql.picture import OBJECTIVE
from workbench.ilql.rules import RULES, WATCHED
from workbench.ilql.tokens import TOKENS
from workbench.learning.metrics import COMPARED, KL


def _trainer() -> Any:
    from workbench.ilql.cycle import ILQLTrainer

    return ILQLTrainer


ILQL = Algorithm(
    name="ilql",
    title="ILQL",
    help="Implicit language Q-learning (Snell et al. 2022): learns from completions that were "
         "scored before what each token is worth, and lets the policy write by that. Choose it to "
         "make more of what earlier runs have written.",
    settings=ILQLSettings,
    trainer=_trainer,
    learns_from="completions",
    batch=lambda settings: (
        f"{settings['steps_per_cycle']} steps on {settings['batch_size']} completions each"),
    metrics=METRICS,
    headline=COMPARED,
    parts=PARTS,
    plot_sets=(
        PlotSet("Overview", (COMPARED, Q, Q_MEAN, KL), "Compared reward, Q and its loss, and KL"),
        PlotSet("Values", (Q, EXPLAINED, V_MEAN, ADVANTAGE),
                "How well values foresee, and what they are"),
        PlotSet("Terms", (TOTAL, Q, CQL, "loss/awac"), "What the loss is the sum of"),
        PlotSet("Creativity",
                ("objective/entropy", "objective/distinct", "objective/distinct_2",
                 "objective/length"),
                "Whether the policy still tries different things"),
    ),
    groups={
        "Losses": ("loss/",),
        "Values": ("val/q", "val/v", "data/"),
        "Compared completions": ("objective/", "val/"),
        "Update": ("policy/", "lr"),
        "Time": ("seconds", "tokens_per_second"),
    },
    distributions=DISTRIBUTIONS,
    calibration=CALIBRATION,
    tokens=TOKENS,
    objective=OBJECTIVE,
    guide=GUIDE,
    rules=RULES,
    watched=WATCHED,
    presets=(
        Preset("ILQL", "Values count once: log π + (Q − V) (Snell et al. 2022).",
               {"beta": 1.0, "tau": 0.7}, is_way=True),
        Preset("ILQL, strongly steered", "Values count four times over.",
               {"beta": 4.0, "tau": 0.7}, is_way=True),
    ),
    progress=(Figure("compared reward", COMPARED), Figure("Q loss", Q), Figure("Q", Q_MEAN),
              Figure("KL", KL)),
)
