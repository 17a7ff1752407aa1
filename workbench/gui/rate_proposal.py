"""The line that proposes a learning rate for the policy that is loaded."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget
from superqt import QElidingLabel

from workbench.gui.controls import named, push_button
from workbench.gui.plain_text import plain_tip
from workbench.gui.source_field import count
from workbench.ppo.fitting_rate import fitting_learning_rate
from workbench.ppo.hyperparameters import Value
from workbench.training.events import ModelFacts

_FAR = 3.0  # times higher or lower than what fits, from which on a word is worth it
_RULE = ("Rule: a power of the number of parameters through two measured here, 2.5e-4 for "
         "the bundled policy (1.6 M) and 2e-5 for SmolLM2 (135 M). TRL's default for PPO on "
         "models of about 1 B, 3e-6, lies near it. With adapters (LoRA) nothing is proposed: they "
         "take rates about ten times as high.")


class RateProposal(QWidget):
    """``wanted`` carries the learning rate to use."""

    wanted = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self._rate = 0.0
        self.text = named(QElidingLabel(textFormat=Qt.TextFormat.PlainText), "rate_proposal",
                          "Learning rate for this model", "")
        self.text.setProperty("role", "muted")
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.button = push_button("Use it", "use_rate", "Set the proposed learning rate",
                                  lambda: self.wanted.emit(self._rate))
        self.button.setProperty("role", "quiet")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.button)
        self.hide()

    def compare(self, policy: ModelFacts | None, settings: Mapping[str, Value]) -> None:
        """Propose a learning rate where that of ``settings`` is far from what fits."""
        rate = settings.get("learning_rate")
        if policy is None or settings.get("lora_rank") or not isinstance(rate, int | float):
            self.hide()
            return
        self._rate = fitting_learning_rate(policy.parameters)
        fits = rate > 0 and 1 / _FAR < rate / self._rate < _FAR
        said = f"For {count(policy.parameters)} parameters try learning rate {_short(self._rate)}"
        self.text.setText(said)
        self.text.setToolTip(plain_tip(f"{said}; it is {_short(rate)} now.\n{_RULE}"))
        self.button.setToolTip(f"Set the learning rate to {_short(self._rate)}")
        self.setVisible(not fits)


def _short(rate: float) -> str:
    """Write 0.00002 as 2e-5."""
    number, _, power = f"{rate:.3e}".partition("e")
    return f"{float(number):g}e{int(power)}"
