"""What policies find of a completion: the whole distribution at one place by the one in memory, and
the values along it by a checkpoint's."""

from __future__ import annotations

from workbench.models.alternatives import next_logprobs, values_along
from workbench.models.phases import Phase
from workbench.models.try_sampling import ALL_WEIGHTS
from workbench.records import Distribution
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.models import Models
from workbench.training.side_request import SideRequest

_HEAD = "weights/value_head."
_NAMED = 12  # of the likeliest tokens, by either policy, the texts are told


class ReadingDistribution(SideRequest):
    """Serves :class:`~workbench.training.commands.ReadDistribution`."""

    ANSWERED, FAILED = ev.DistributionRead, ev.ReadingDistributionFailed

    def answer(self, command: do.ReadDistribution, models: Models) -> Distribution:
        """Read it."""
        place = self._find_place(command, models)
        self.step(Phase.SAMPLING, 0, 0)
        now = next_logprobs(place.trainer.policy, place.before)
        self.step(Phase.SAMPLING, 0, 0)
        with place.trainer.reference() as reference:
            start = next_logprobs(reference, place.before)
        count = min(_NAMED, len(now))
        named = {int(i) for found in (now, start) for i in found.topk(count).indices}
        return Distribution(
            command.run_id, command.cycle, command.position, command.at,
            self._label(do.TrySource("current"), models), place.taken,
            now.float().cpu().numpy(), start.float().cpu().numpy(),
            place.trainer.policy_tokenizer.texts({*named, place.taken}))


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
