"""What policy, reward and values cost in memory."""

from __future__ import annotations

from typing import Any

from workbench.learning.footprint import LENGTH, Footprint, Trunk, trunk_costs
from workbench.models.device import Placement
from workbench.models.policy import Policy
from workbench.models.probe_copy import probe_copy, undisturbed
from workbench.ppo.hyperparameters import Hyperparameters


class ValueFootprint(Footprint[Hyperparameters]):
    """Policy, reward and value head or value model."""

    def trained(self, hp: Hyperparameters) -> int:
        """Return how many parameters learn."""
        values = self.width + 1 if hp.has_values else 0
        return super().trained(hp) + values + self.value_parameters(hp)

    def value_costs(self, hp: Hyperparameters) -> Trunk | None:
        """Return what a separate value model costs in training; None where it shares the trunk."""
        if hp.value_model == "shared":
            return None
        if hp.value_model == "policy" or self.scorer is None:
            return self.policy_costs(hp, 0).trunk
        scorer, checkpointing = self.scorer, hp.gradient_checkpointing

        def measure(placement: Placement) -> Trunk:
            trunk = probe_copy(scorer.base_model)
            with undisturbed(self.device):
                reader = Policy(probe_copy(self.model), placement, value_trunk=trunk,
                                gradient_checkpointing=checkpointing,
                                capabilities=self.capabilities)
                return trunk_costs(trunk, reader.value_states, LENGTH, self.device)

        return self.once(("value", checkpointing), hp, measure)

    def value_parameters(self, hp: Hyperparameters) -> int:
        """Return the parameters of a separate value model."""
        if hp.value_model == "reward" and self.scorer is not None:
            trunk: Any = self.scorer.base_model
            return sum(p.numel() for p in trunk.parameters())
        return 0 if hp.value_model == "shared" else self.weights.trunk_parameters

    def value_width(self, hp: Hyperparameters) -> int:
        """Return how wide the states are that the value head reads."""
        if hp.value_model == "reward" and self.scorer is not None:
            config: Any = self.scorer.config
            return int(config.get_text_config().hidden_size)
        return self.width
