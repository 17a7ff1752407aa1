"""PPO without a value head as the rest of the workbench knows it: GRPO, RLOO and REINFORCE++, which
hold completions against one another. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.algorithm import Algorithm, Figure, PlotSet
from workbench.formatting import number, percent
from workbench.papers import AHMADIAN_2024, HU_2025, SHAO_2024
from workbench.ppo.distributions import DISTRIBUTIONS
from workbench.ppo.guide import GUIDE, without_values
from workbench.ppo.metrics import GRADIENT_OF, METRICS, NO_SPREAD, OF_VALUES
from workbench.ppo.others_tokens import Words, token_view
from workbench.ppo.parts import ESTIMATE, PARTS
from workbench.ppo.picture import OBJECTIVE, shares_without_values
from workbench.ppo.rules import NO_SPREAD_RULE, OF_VALUES_RULES, RULES, WATCHED

_GROUP = Words(
    "the mean of its group", "Group's mean",
    "group's mean", formula="A = {r - mean}÷{std + 0.0001}", source=SHAO_2024)
_OTHERS = Words(
    "the mean of the others", "Mean of the others",
    "group's mean", formula="A = r - mean of the others", source=AHMADIAN_2024)
_BATCH = Words(
    "the mean of the batch", "Batch's mean",
    "batch's mean", formula="A_t = {G_t - μ}÷{σ}", source=HU_2025)
_HELP = {
    "group": "Group relative policy optimisation (Shao et al. 2024): each completion is held "
             "against the mean of those of its prompt, in deviations of theirs; no value head.",
    "leave_one_out": "REINFORCE leave one out (Ahmadian et al. 2024): each completion is held "
                     "against the mean of the others of its prompt; no value head.",
    "batch": "REINFORCE++ (Hu 2025): each completion is held against the whole batch, in "
             "deviations of it; no value head.",
}


def without_a_value_head(ppo: Algorithm) -> dict[str, Algorithm]:
    """Return what runs are shown as whose advantages come of other completions, by the advantage
    estimator."""
    return {
        "group": _variant(ppo, "group", "GRPO", _GROUP),
        "leave_one_out": _variant(ppo, "leave_one_out", "RLOO", _OTHERS),
        "batch": _variant(ppo, "batch", "REINFORCE++", _BATCH),
    }


def _variant(ppo: Algorithm, estimator: str, title: str, words: Words) -> Algorithm:
    grouped = estimator != "batch"
    spread = NO_SPREAD if grouped else "val/advantage_std"
    left_out = {*OF_VALUES, *(() if grouped else (NO_SPREAD,))}
    metrics = tuple(metric for metric in METRICS if metric.name not in left_out)
    rules = tuple(rule for rule in RULES if rule.name not in OF_VALUES_RULES)
    estimate = replace(
        ESTIMATE, title="Advantages", view="tokens", say=lambda found: _say_spread(found, grouped),
        help=f"Each completion is held against {words.mean}. What scored better than that has a "
             "positive advantage, what scored worse a negative one, and all tokens of a "
             "completion have the same.")
    kept = tuple(name for name in OBJECTIVE.more if name != GRADIENT_OF["value"])
    return replace(
        ppo, title=title, help=_HELP[estimator], key=f"ppo/{estimator}", choice="", variants={},
        metrics=metrics, start_metrics=(),
        parts=tuple(estimate if part is ESTIMATE else part for part in PARTS),
        plot_sets=(
            PlotSet("Overview", ("objective/scores", spread, "policy/entropy_avg", "objective/kl"),
                    "Reward, groups without spread, entropy and KL" if grouped else
                    "Reward, spread of the advantages, entropy and KL"),
            *(plots for plots in ppo.plot_sets[1:] if not OF_VALUES & set(plots.metrics)),
        ),
        tokens=token_view(words),
        objective=replace(
            OBJECTIVE, title=f"L_{title}", metrics=tuple(
                name for name in OBJECTIVE.metrics if name not in OF_VALUES),
            terms=tuple(term for place, term in enumerate(OBJECTIVE.terms) if place != 1),
            shares=shares_without_values, more=kept),
        distributions=tuple(
            replace(shown, help=f"How much better or worse than {words.mean} each token's "
                    "completion was, as the policy loss uses it", formula=words.formula,
                    source=words.source)
            if shown.column == "advantage" else shown for shown in DISTRIBUTIONS),
        calibration=None,
        rules=(*rules, *((NO_SPREAD_RULE,) if grouped else ())),
        watched=tuple(name for name in (*WATCHED, *((NO_SPREAD,) if grouped else ()))
                      if name not in OF_VALUES),
        progress=tuple(
            Figure("no spread", NO_SPREAD) if figure.metric == "loss/value_avg" else figure
            for figure in ppo.progress if grouped or figure.metric != "loss/value_avg"),
        guide=without_values(GUIDE, words, f"L_{title}"),
    )


def _say_spread(metrics: Mapping[str, Any], grouped: bool) -> str:
    if "val/advantage_std" not in metrics:
        return ""
    said = f"spread {number(metrics['val/advantage_std'])}"
    alike = metrics.get(NO_SPREAD, 0.0)
    return f"{said}, {percent(alike)} alike" if grouped and alike else said
