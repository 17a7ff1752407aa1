"""Starting points for hyperparameters, each with a sentence that says when to take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.formatting import format_value
from workbench.ppo.hyperparameters import specs
from workbench.settings import Value


@dataclass(frozen=True, slots=True)
class Preset:
    """Values that go together. What a preset does not name keeps its value."""

    name: str
    help: str
    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def tip(self) -> str:
        """When to take it and what it changes."""
        parts = (f"{specs()[name].label} {format_value(specs()[name], value)}"
                 for name, value in self.values.items())
        return f"{self.help} {', '.join(parts)}."


PRESETS = (
    Preset("Careful", "Small steps that stay close to the start policy.",
           {"learning_rate": 1e-4, "kl_coef": 0.1, "num_ppo_epochs": 2, "cliprange": 0.1}),
    Preset("Bold", "Large steps on a loose leash; reward climbs fast and may be gamed.",
           {"learning_rate": 1e-3, "kl_coef": 0.02, "num_ppo_epochs": 4, "cliprange": 0.2}),
    Preset("Quick look", "Three small cycles, to see whether everything works.",
           {"num_cycles": 3, "batch_size": 16, "num_mini_batches": 1, "response_length": 24}),
)
