"""What is served aside from the run: with its policy, between two of its parts, without a trace."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterator

from workbench.learning.trainer import AnyTrainer
from workbench.models.control import Interrupted
from workbench.models.out_of_memory import is_out_of_memory
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.try_sampling import WEIGHTS, WrongWeightsError, other_weights
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.failures import explain
from workbench.training.models import Models
from workbench.training.publisher import RemoteCommand

_CAN_WAIT = (do.SetHyperparameters, do.EstimateMemory)
Waiting = do.Command | do.Close | RemoteCommand


class Aside:
    """Serves one command on the training thread, as the control of what it computes.

    Any other command ends it, so that the person never waits for it, and is served after it. What
    can wait does not: settings staged meanwhile, and the memory estimate, which the window asks for
    by itself. Nothing is served within: a checkpoint written in the middle would hold another's
    weights.
    """

    def __init__(self, inbox: queue.SimpleQueue[Waiting], store: Store,
                 emit: Callable[[ev.Event], None]) -> None:
        self._inbox, self._store, self._emit = inbox, store, emit
        self._later: list[Waiting] = []
        self._stopped = False

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Serve as the :class:`~workbench.models.control.Control` of what is computed."""
        while not self._inbox.empty():
            waiting = self._inbox.get()
            if not isinstance(waiting, do.StopTrying):
                self._later.append(waiting)
            asked = waiting.command if isinstance(waiting, RemoteCommand) else waiting
            self._stopped |= not isinstance(asked, _CAN_WAIT)
        if self._stopped:
            raise Interrupted

    @contextlib.contextmanager
    def _policy(
        self, source: do.TrySource, trainer: AnyTrainer, models: Models
    ) -> Iterator[Policy]:
        """Give the policy of a source.

        Raises:
            CheckpointError: it is missing or damaged.
            WrongWeightsError: it belongs to another model.
        """
        if source.kind == "current":
            yield trainer.policy
        elif source.kind == "start":
            with trainer.reference() as reference:
                yield reference
        else:
            run = self._store.run(source.run_id)
            loaded = models.command.policy if models.command else ""
            if run is not None and run.policy != loaded:
                raise WrongWeightsError(
                    f"The checkpoint belongs to a run of {run.policy}, but the policy that is "
                    f"loaded is {loaded}; load that one to try it.")
            # Adapters are nothing without their base.
            if run is not None and run.hyperparameters.get("lora_rank") and (
                    sentence := models.changed_weights(run.models, policy_alone=True)):
                raise WrongWeightsError(sentence)
            arrays, _ = self._store.checkpoints.read(source.run_id, source.cycle, WEIGHTS)
            with other_weights(trainer.policy, arrays) as policy:
                yield policy

    def _label(self, source: do.TrySource, models: Models) -> str:
        """Name what writes so that it is still true when training has gone on."""
        if source.kind == "start":
            return "Start policy"
        if source.kind == "checkpoint":
            return f"{self._name(source.run_id)} after cycle {source.cycle}"
        trainer, run = models.trainer, models.trained
        if trainer is None or not trainer.prompts:
            return "Policy as loaded, not trained"
        if run is None:  # a start or a resume that was refused
            return "Policy in memory"
        name = self._name(run.id)
        if run.in_cycle and not trainer.between_cycles:
            return f"{name}, stopped within cycle {run.cycle + 1}"
        return f"{name} after cycle {run.cycle}" if run.cycle else f"{name} before its first cycle"

    def _name(self, run_id: int) -> str:
        record = self._store.run(run_id)
        return record.name if record else f"Run {run_id}"


def say_why(error: Exception) -> str:
    """Return a sentence on why something could not be tried."""
    if is_out_of_memory(error):
        return ("Memory ran out; the run is as it was. Try fewer prompts, a shorter length, or "
                "no checkpoint.")
    return explain(error)[0].replace("The cycle failed", "It could not be tried")
