"""What the value head of a checkpoint foresees at every token of a completion."""

from __future__ import annotations

from workbench.models.alternatives import values_along
from workbench.models.phases import Phase
from workbench.models.try_sampling import ALL_WEIGHTS
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.models import Models
from workbench.training.side_request import SideRequest

_HEAD = "weights/value_head."


class ReadingValues(SideRequest):
    """Serves :class:`~workbench.training.commands.ReadValues`."""

    ANSWERED, FAILED = ev.ValuesRead, ev.ReadingValuesFailed

    def answer(self, command: do.ReadValues, models: Models) -> tuple[float, ...]:
        """Read them."""
        place = self._find_place(command, models)
        self.step(Phase.SAMPLING, 0, 0)
        source = do.TrySource("checkpoint", command.run_id, command.checkpoint)
        with self._policy(source, place.trainer, models, ALL_WEIGHTS, _HEAD) as policy:
            return tuple(values_along(policy, place.prompt_ids, place.tokens))
