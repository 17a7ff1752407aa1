"""What ILQL's numbers are spread like, cycle by cycle. No torch."""

from __future__ import annotations

from workbench.algorithm import Calibration, Distribution
from workbench.formatting import number
from workbench.ilql.metrics import EXPLAINED
from workbench.papers import SNELL_2022

DISTRIBUTIONS = (
    Distribution("Q", "What the tokens of the data are worth, in deviations of its scores", number,
                 column="q", formula="min(Q'_1, Q'_2)", source=SNELL_2022),
    Distribution("Q - V", "How much better or worse than its state each token of the data is",
                 number, column="advantage", formula="min(Q'_1, Q'_2) - V", source=SNELL_2022),
    Distribution("V", "What the states are worth that the tokens of the data were written in",
                 number, column="value", formula="V", source=SNELL_2022),
)
CALIBRATION = Calibration(
    "Foreseen and come true",
    "Each token of the data by its Q and by what came in the end, the completion's score "
    "discounted to the token. On the diagonal the two are the same; the line joins the mean of "
    "equally many tokens each. A Q that knows nothing draws it level",
    "q", "return", EXPLAINED, formula="Q against G_t = r_t + γ·G_{t+1}", source=SNELL_2022)
