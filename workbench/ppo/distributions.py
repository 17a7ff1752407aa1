"""What PPO's numbers are spread like, cycle by cycle. No torch."""

from __future__ import annotations

from workbench.algorithm import Calibration, Distribution
from workbench.formatting import number
from workbench.learning import distributions

ADVANTAGE = Distribution(
    "Advantage", "How much better or worse than the value head foresaw it went on after each "
    "token, as the policy loss uses it", number, column="advantage")
DISTRIBUTIONS = (distributions.REWARD, ADVANTAGE, distributions.KL_OF_COMPLETIONS,
                 distributions.LENGTHS)
CALIBRATION = Calibration(
    "Foreseen and come true",
    "Each token by what the value head foresaw at it and what then came, its return. On the "
    "diagonal the two are the same; the line joins the mean return of equally many tokens each. "
    "A head that knows nothing draws it level",
    "value", "return", "val/explained_variance")
