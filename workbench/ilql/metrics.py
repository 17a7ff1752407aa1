"""What every number that ILQL logs means. No torch."""

from __future__ import annotations

from workbench.algorithm import NOT_NEGATIVE, Metric
from workbench.learning.metrics import COMMON, COMPARED, DATA, DRAWN, OF_WRITTEN
from workbench.papers import KOSTRIKOV_2021, KUMAR_2020, SNELL_2022

Q, V, CQL, AWAC, TOTAL = "loss/q", "loss/v", "loss/cql", "loss/awac", "loss/total"
Q_MEAN, V_MEAN, ADVANTAGE = "val/q", "val/v", "val/q_advantage"
EXPLAINED = "val/q_explained_variance"
PASSES = "data/passes"
METRICS = (
    COMMON[COMPARED],
    *(COMMON[name] for name in OF_WRITTEN),
    Metric(TOTAL, "Total loss", "", "L_Q + L_V + c·L_CQL + c'·L_AWAC",
           "What the optimiser minimises.", source=SNELL_2022),
    Metric(Q, "Q loss", "", "Σ_i mean of (Q_i - [r + γ·V'])²",
           "How far Q is from what a token brought and what is expected after it.",
           source=SNELL_2022,
           within=NOT_NEGATIVE),
    Metric(V, "V loss", "", "mean of |τ - 1[Q < V]|·(Q - V)²",
           "How far the value of a state is from the better of what was done in it.",
           source=KOSTRIKOV_2021,
           within=NOT_NEGATIVE),
    Metric(CQL, "Conservative loss", "nats / token", "Σ_i mean of -log softmax(Q_i)(a)",
           "How much Q would rather have another token than the one that was written.",
           source=KUMAR_2020,
           within=NOT_NEGATIVE),
    Metric(AWAC, "Imitation loss", "nats / token", "mean of -log π(a)",
           "How surprising the policy finds what was written.",
           within=NOT_NEGATIVE),
    Metric(Q_MEAN, "Q of what was written", "deviations", "mean of min(Q_1, Q_2)",
           "What the tokens that were written are worth, in deviations of the data's scores. "
           "Without end it diverges.", source=SNELL_2022),
    Metric(V_MEAN, "V", "deviations", "mean of V", "What states are worth.", source=SNELL_2022),
    Metric(ADVANTAGE, "Q - V", "deviations", "mean of min(Q'_1, Q'_2) - V",
           "How much better than its state the token was that was written. Below 0 on average, "
           "for V is nearer to the best than to the mean.", source=SNELL_2022),
    Metric(EXPLAINED, "Explained variance", "share",
           "1 - {mean of (G - min(Q_1, Q_2))²}÷{Var(G)}, at least -1",
           "Which share of the differences in what came in the end (G, the score discounted by γ "
           "to the token) Q had foreseen at the token.", source=SNELL_2022,
           within=(-1.0, 1.0)),
    Metric(PASSES, "Passes over the data", "passes", "{completions learned from}÷{completions}",
           "How often each completion of the data has been learned from.", exact=True),
    COMMON[DRAWN],
    COMMON[DATA],
    COMMON["policy/grad_norm"],
    COMMON["policy/steps"],
    COMMON["lr"],
    COMMON["tokens_per_second"],
    COMMON["seconds"],
    COMMON["seconds/update"],
    COMMON["seconds/comparison"],
)
