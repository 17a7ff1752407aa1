"""The line that proposes a learning rate for the policy that is loaded."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Signal

from workbench.algorithm import Algorithm
from workbench.gui.models.source_field import count
from workbench.gui.widgets.button_line import ButtonLine
from workbench.models.fitting_rate import fitting_learning_rate
from workbench.settings import Value
from workbench.training.events import ModelFacts

_FAR = 3.0  # times higher or lower than what fits, from which on a word is worth it
_RULE = ("Rule: a power of the number of parameters through two measured here, 2.5e-4 for "
         "the bundled policy (1.6 M) and 2e-5 for SmolLM2 (135 M). TRL's default for PPO on "
         "models of about 1 B, 3e-6, lies near it. With adapters (LoRA) nothing is proposed: they "
         "take rates about ten times as high.")


class RateProposal(ButtonLine):
    """``wanted`` carries the learning rate to use."""

    wanted = Signal(float)

    def __init__(self) -> None:
        super().__init__("rate_proposal", "Learning rate for this model", "muted",
                         "use_rate", "Use it", "Set the proposed learning rate",
                         lambda: self.wanted.emit(self._rate))
        self._rate = 0.0

    def compare(
        self, policy: ModelFacts | None, algorithm: Algorithm, settings: Mapping[str, Value]
    ) -> None:
        """Propose a learning rate where that of ``settings`` is far from what fits, for an
        algorithm that asks for it."""
        rate = settings.get("learning_rate")
        if (policy is None or not algorithm.rate_by_size or settings.get("lora_rank")
                or not isinstance(rate, int | float)):
            self.say("", "")
            return
        self._rate = fitting_learning_rate(policy.parameters)
        if rate > 0 and 1 / _FAR < rate / self._rate < _FAR:
            self.say("", "")
            return
        fits, size = _short(self._rate), count(policy.parameters)
        self.say(f"Fitting learning rate: {fits}",
                 f"For {size} parameters try learning rate {fits}; it is {_short(rate)} now.\n"
                 f"{_RULE}", f"Set the learning rate to {fits}")


def _short(rate: float) -> str:
    """Write 0.00002 as 2e-5."""
    number, _, power = f"{rate:.3e}".partition("e")
    return f"{float(number):g}e{int(power)}"
