"""What PPO's numbers are spread like, cycle by cycle. No torch."""

from __future__ import annotations

from workbench.algorithm import Calibration, Distribution
from workbench.formatting import number
from workbench.learning import distributions
from workbench.papers import SCHULMAN_2016

ADVANTAGE = Distribution(
    "Advantage", "How much better or worse than the value head foresaw it went on after each "
    "token, as the policy loss uses it", number, column="advantage",
    formula="A_t = δ_t + γλ·A_{t+1}", source=SCHULMAN_2016)
DISTRIBUTIONS = (distributions.REWARD, ADVANTAGE, distributions.KL_OF_COMPLETIONS,
                 distributions.LENGTHS)
CALIBRATION = Calibration(
    "Foreseen and come true",
    "Each token by what the value head foresaw at it and what then came, its return. On the "
    "diagonal the two are the same; the line joins the mean return of equally many tokens each. "
    "A head that knows nothing draws it level",
    "value", "return", "val/explained_variance", formula="V_t against R_t = A_t + V_t",
    source=SCHULMAN_2016)
