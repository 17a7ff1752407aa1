"""What is served aside from the run: with its policy, between two of its parts, without a trace."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from workbench.algorithms import find_algorithm, read_settings
from workbench.learning.trainer import AnyTrainer, Trainer
from workbench.models.control import Interrupted
from workbench.models.out_of_memory import is_out_of_memory
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.try_sampling import WEIGHTS, WrongWeightsError, other_weights
from workbench.records import PromptLike, TokenTrace, with_equal_columns
from workbench.settings import Settings
from workbench.stop_strings import parse_stop_strings
from workbench.store.checkpoints import CheckpointError
from workbench.store.records import RunRecord
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.failures import explain
from workbench.training.models import Models
from workbench.training.publisher import RemoteCommand
from workbench.training.run import ResumeError

NOT_KEPT = "The tokens of this completion are not kept any more; choose one of a later cycle."
NOT_WRITTEN = ("The run did not write this completion: it is part of what it learns from; try its "
               "prompt in Try.")
OTHER_MODELS = ("The models in memory are not those of this run; load them (Models), or resume the "
                "run, to ask them about its completions.")
NO_VALUES = ("There is no value head in this checkpoint, so that it foresees nothing: completions "
             "are held against others.")
Waiting = do.Command | do.Close | RemoteCommand


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a completion that a cycle learned from, with the models of its run in memory.

    ``prompt_ids`` and the ``tokens`` of the completion are what the policy reads; ``before`` is
    what of both stands before the place, ``taken`` the token that stands there.
    """

    run: RunRecord
    trainer: AnyTrainer
    settings: Settings
    trace: TokenTrace
    prompt: PromptLike
    prompt_ids: list[int]
    tokens: list[int]
    before: list[int]
    taken: int


class SideRequest:
    """Serves one command on the training thread, as the control of what it computes.

    Any other command ends it, so that the person never waits for it, and is served after it. What
    can wait does not: settings staged meanwhile, and memory estimates and distributions, for which
    the window asks by itself. Nothing is served within: a checkpoint written in the middle would
    hold another's weights.
    """

    CAN_WAIT: ClassVar[tuple[type, ...]] = (
        do.SetHyperparameters, do.EstimateMemory, do.ReadDistribution, do.ReadValues)
    """What does not end it."""
    ANSWERED: ClassVar[type[Any]]
    """The event that tells what was found."""
    FAILED: ClassVar[type[Any]]
    """The one that tells why nothing was."""

    def __init__(self, inbox: queue.SimpleQueue[Waiting], store: Store,
                 emit: Callable[[ev.Event], None]) -> None:
        self._inbox, self._store, self._emit = inbox, store, emit
        self._later: list[Waiting] = []
        self._stopped = False

    def run(self, command: Any, models: Models) -> list[Waiting]:
        """Do what is asked, tell what came of it, and return the commands to serve afterwards.
        Where nothing came of it, a sentence says why; it is empty where it was ended."""
        self._later, self._stopped = [], False
        try:
            self._emit(self.ANSWERED(command.id, self.answer(command, models)))
        except Interrupted:
            self._emit(self.FAILED(command.id, ""))
        except (CheckpointError, WrongWeightsError, ResumeError) as error:
            self._emit(self.FAILED(command.id, str(error)))
        except Exception as error:
            self._emit(self.FAILED(command.id, say_why(error)))
        return self._later

    def answer(self, command: Any, models: Models) -> Any:
        """Return what is asked for, kept with the run where it is kept.

        Raises:
            Interrupted: another command came.
            ResumeError: it cannot be done, as the sentence says.
            CheckpointError: the checkpoint is missing or damaged.
            WrongWeightsError: it belongs to another model.
        """
        raise NotImplementedError

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Serve as the :class:`~workbench.models.control.Control` of what is computed."""
        while not self._inbox.empty():
            waiting = self._inbox.get()
            if isinstance(waiting, do.StopTrying) and self._give_up(waiting):
                continue
            if not isinstance(waiting, do.StopTrying):
                self._later.append(waiting)
            asked = waiting.command if isinstance(waiting, RemoteCommand) else waiting
            self._stopped |= not isinstance(asked, self.CAN_WAIT)
        if self._stopped:
            raise Interrupted

    def _give_up(self, command: do.StopTrying) -> bool:
        """Give up a try that waits, if that is what is asked for."""
        waits = next((each for each in self._later if isinstance(each, do.Try)
                      and each.id == command.id), None)
        if waits is None:
            return False
        self._later.remove(waits)
        self._emit(ev.TryFinished(waits.id, stopped=True))
        return True

    @contextlib.contextmanager
    def _policy(
        self, source: do.TrySource, trainer: AnyTrainer, models: Models, prefix: str = WEIGHTS,
        head: str = "",
    ) -> Iterator[Policy]:
        """Give the policy of a source; of a checkpoint the weights whose names begin so.

        Args:
            head: how the names of a value head's weights begin, where it has to have one.

        Raises:
            ResumeError: it has none.
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
            trainer_type = _trainer_type(run)
            if trainer_type.MAKES != "policy":  # it has stayed the start policy
                with trainer.reference() as reference:
                    yield reference
                return
            arrays, state = self._store.checkpoints.read(
                source.run_id, source.cycle, (prefix, *trainer_type.STEERED_BY))
            if not any(name.startswith(head) for name in arrays):
                raise ResumeError(NO_VALUES)
            steering = None if run is None or not trainer_type.STEERED_BY else (
                trainer_type.steering(
                    arrays, read_settings(run.algorithm, state["hyperparameters"]),
                    trainer.policy.device))
            with other_weights(trainer.policy, arrays, prefix) as policy, (
                    policy.writing_by(steering)):
                yield policy

    def _find_place(
        self, command: do.WriteOn | do.ReadDistribution | do.ReadValues, models: Models
    ) -> Place:
        """Return the place that a command names.

        Raises:
            ResumeError: it is not kept, or the models in memory are not those of its run.
        """
        run = self._store.run(command.run_id)
        trace = self._store.trace(command.run_id, command.cycle, command.position)
        at = 0 if isinstance(command, do.ReadValues) else command.at
        if run is None or trace is None or not 0 <= at < len(trace.tokens):
            raise ResumeError(NOT_KEPT)
        if trace.prompt < 0:
            raise ResumeError(NOT_WRITTEN)
        trainer = self._trainer_of(run, models)
        settings = read_settings(
            run.algorithm, self._store.settings_after(run.id, command.cycle))
        trainer.policy_tokenizer.stop_strings = parse_stop_strings(settings.stop_strings)
        prompts = with_equal_columns(self._store.run_prompts(run.id))
        prompt_ids = (self._store.run_prompt_ids(run.id) or trainer.policy_tokenizer.encode(
            prompts, settings.response_length))[trace.prompt]
        tokens = [int(i) for i in trace.tokens]
        return Place(run, trainer, settings, trace, prompts[trace.prompt], prompt_ids, tokens,
                     [*prompt_ids, *tokens[:at]], tokens[at])

    def _trainer_of(self, run: RunRecord, models: Models) -> AnyTrainer:
        """Return the trainer in memory, whose models are those of a run.

        Raises:
            ResumeError: they are not.
        """
        trainer = models.trainer
        if trainer is None or models.command != do.LoadModels.recorded(run.policy, run.models):
            raise ResumeError(OTHER_MODELS)
        if changed := models.changed_weights(run.models):
            raise ResumeError(changed)
        return trainer

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


def _trainer_type(run: RunRecord | None) -> type[AnyTrainer]:
    """Return what trains a run; of an algorithm of another version, what all have in common."""
    try:
        found: type[AnyTrainer] = find_algorithm(run.algorithm if run else "").trainer()
    except KeyError:
        return Trainer
    return found


def say_why(error: Exception) -> str:
    """Return a sentence on why something could not be tried."""
    if is_out_of_memory(error):
        return ("Memory ran out; the run is as it was. Try fewer prompts, a shorter length, or "
                "no checkpoint.")
    return explain(error)[0].replace("The cycle failed", "It could not be tried")
