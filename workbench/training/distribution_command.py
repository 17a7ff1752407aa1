"""The whole distribution at one place of a completion, by the policy as it is now."""

from __future__ import annotations

from workbench.models.alternatives import next_logprobs
from workbench.models.phases import Phase
from workbench.records import Distribution
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.models import Models
from workbench.training.side_request import SideRequest

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
