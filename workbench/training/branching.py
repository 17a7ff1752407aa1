"""Going on from a checkpoint: a run as it would have gone, another way, or as a run of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.algorithms import algorithm_of, carried_over, find_algorithm
from workbench.health import Watch
from workbench.models.policy import UnsupportedModelError
from workbench.models.policy_tokenizer import PromptError
from workbench.models.sources import LoadError, silent
from workbench.settings import Settings, Value
from workbench.store.records import ChangeRecord
from workbench.store.store import Store
from workbench.training.commands import Fork, GoBack, ResumeRun
from workbench.training.failures import explain
from workbench.training.models import Models
from workbench.training.pair_data import DataError
from workbench.training.reward_parts import learned_from
from workbench.training.run import Resumed, ResumeError, Run, read_checkpoint, without_reward
from workbench.training.scored_data import data_for

if TYPE_CHECKING:
    from workbench.store.store import Store


@dataclass(frozen=True, slots=True)
class Continuation:
    """What is to happen when the models are where the run stood; nothing is recorded yet."""

    command: ResumeRun | GoBack | Fork
    resumed: Resumed
    first: Settings
    """What the next cycle uses."""
    abandons: bool = False
    """Whether later cycles are recorded that will not simply be run again."""
    overruled: Sequence[ChangeRecord] = ()
    """Later changes that are not made again."""
    same_scores: bool = False
    """Whether its reward differs only in what is watched, so that earlier scores stay."""

    @property
    def other_reward(self) -> bool:
        """Whether it is a fork that goes on with another reward."""
        return isinstance(self.command, Fork) and self.command.reward is not None

    def record(
        self, store: Store, reward: str, models: Mapping[str, object]
    ) -> tuple[str, int | None]:
        """Let the store know; the run's number may become another.

        Args:
            reward: what the reward in memory is called.
            models: what is kept of the models in memory.

        Returns:
            the run's name, and the number of the abandoned branch.

        Raises:
            StoreError: the database cannot be written.
            CheckpointError: the checkpoint cannot be taken over.
        """
        run, command = self.resumed.run, self.command
        if isinstance(command, Fork):
            changes = [(name, old, new, "person")
                       for name, (old, new) in run.hp.differences(self.first).items()]
            start = store.run(run.id)
            parent = dict(start.hyperparameters) if start else {}
            algorithm = algorithm_of(run.hp).name
            other = start is not None and start.algorithm != algorithm
            run.id = store.fork_run(
                run.id, run.cycle, name=command.name, about=command.about, changes=changes,
                hyperparameters=parent if run.cycle and not (
                    other or (self.other_reward and not self.same_scores))
                else run.hp.model_dump(),
                algorithm=algorithm if other else "", data=self.resumed.data, reward=reward,
                models=models if self.other_reward else None,
                same_scores=self.same_scores).result()
            made = store.run(run.id)
            return (made.name if made else ""), None
        abandoned = None
        if self.abandons:
            abandoned = store.go_back(
                run.id, run.cycle, replay=isinstance(command, ResumeRun)).result()
        else:
            store.rewind(run.id, run.cycle).result()
        store.forget_changes(run.id, [(c.cycle, c.name) for c in self.overruled]).result()
        return self.resumed.name, abandoned


def plan(store: Store, command: ResumeRun | GoBack | Fork) -> Continuation:
    """Read a run and one of its checkpoints, to go on from there.

    Raises:
        ResumeError: there is no such run or checkpoint, or nothing is left to do.
        DamagedError: the checkpoint is damaged.
        HyperparameterError: the changes cannot be.
    """
    resumed = read_checkpoint(store, command.run_id, command.cycle)
    before = resumed.models.parts
    command, resumed = _with_reward(command, resumed)
    continuation = _continuation(store, command, resumed)
    same = isinstance(command, Fork) and command.reward is not None and (
        learned_from(command.reward) == learned_from(before))
    return replace(continuation, same_scores=same)


def _continuation(
    store: Store, command: ResumeRun | GoBack | Fork, resumed: Resumed
) -> Continuation:
    run, changes = resumed.run, dict(command.changes)
    if isinstance(command, Fork) and command.algorithm not in ("", algorithm_of(run.hp).name):
        return _into_another(store, command, resumed)
    _check(run, changes, isinstance(command, Fork))
    if isinstance(command, Fork) and not run.cycle:
        was, run.hp = run.hp.control_tokens, run.hp.with_changes(changes)
        changes = {}
        if was != run.hp.control_tokens:
            resumed = replace(resumed, prompt_ids=None)
    overruled = _replay(store, run, changes) if isinstance(command, ResumeRun) else []
    planned = run.hp.model_dump() | {
        name: value for later in run.journaled.values() for name, (value, _) in later.items()}
    wanted = run.hp.parse(planned | changes).model_dump()
    if run.cycle >= wanted["num_cycles"]:
        raise ResumeError(
            f"{resumed.name} has run all its {run.cycle} cycles; raise the number of cycles "
            "(--cycles) to go on.")
    run.staged = {name: (wanted[name], "person") for name in changes}
    record = store.run(run.id)
    later = record is not None and record.cycles > run.cycle
    before = planned | {c.name: c.new for c in overruled if c.cycle == run.cycle + 1}
    specs = run.hp.specs()
    another = isinstance(command, GoBack) or any(
        before[name] != wanted[name] for name in changes if not specs[name].placement) or any(
        change.new != wanted[change.name] for change in overruled)
    soon = run.journaled.get(run.cycle + 1, {}) | run.staged
    return Continuation(
        command, resumed, run.hp.with_changes({name: value for name, (value, _) in soon.items()}),
        abandons=later and another, overruled=overruled)


def _with_reward(
    command: ResumeRun | GoBack | Fork, resumed: Resumed
) -> tuple[ResumeRun | GoBack | Fork, Resumed]:
    """Return a fork with the reward that it is to go on with, if that is another one."""
    if not isinstance(command, Fork) or command.reward is None:
        return command, resumed
    if command.reward == resumed.models.parts:
        return replace(command, reward=None), resumed
    if algorithm_of(resumed.run.hp).makes != "policy":
        raise ResumeError(f"{resumed.name} makes a reward of its own, so that there is no other to "
                          "go on with.")
    if not resumed.run.cycle:
        raise ResumeError("At its start a run has learned nothing yet: begin a new one with "
                          "the other reward.")
    models = replace(resumed.models, reward=command.reward)
    if learned_from(command.reward) == learned_from(resumed.models.parts):
        return command, replace(resumed, models=models)
    resumed.run.compared_start, resumed.run.score = False, None
    resumed.run.health = Watch(resumed.run.health.rules, resumed.run.health.watched)
    return command, replace(resumed, models=models, snapshot=without_reward(resumed))


def _into_another(store: Store, command: Fork, resumed: Resumed) -> Continuation:
    """Go on from a checkpoint by another algorithm, with what means the same to it of the settings
    there."""
    run, changes = resumed.run, dict(command.changes)
    try:
        algorithm = find_algorithm(command.algorithm)
    except KeyError:
        raise ResumeError(f"There is no algorithm {command.algorithm!r}.") from None
    before = algorithm_of(run.hp)
    if algorithm.makes != before.makes:
        raise ResumeError(
            f"{resumed.name} trains a {before.makes}, and {algorithm.title} trains a "
            f"{algorithm.makes}: the one does not go on as the other. Start a new run.")
    wanted = algorithm.settings.parse(
        carried_over(algorithm, before, run.hp.model_dump()) | changes)
    for name, spec in algorithm.settings.specs().items():
        if spec.structural and run.cycle and name in changes and (
                name in run.hp.specs() and getattr(wanted, name) != getattr(run.hp, name)):
            raise ResumeError(f"{spec.label} decides which weights a run trains, so only a fork "
                              "from cycle 0 can change it.")
    if run.cycle >= wanted.num_cycles:
        raise ResumeError(
            f"{resumed.name} has run {run.cycle} cycles; raise the number of cycles (--cycles) to "
            "go on.")
    run.use(wanted)
    chosen = command.data
    if chosen is None and resumed.data is not None and (
            resumed.data.kind == algorithm.learns_from):
        chosen = resumed.data
    try:
        data = data_for(algorithm, chosen, store, resumed.models)
    except DataError as error:
        raise ResumeError(str(error)) from error
    return Continuation(command, replace(resumed, data=data), wanted)


def _replay(store: Store, run: Run, changes: Mapping[str, Value]) -> list[ChangeRecord]:
    """Let what was changed later be changed again, unless it is changed to something else now;
    return what is not."""
    overruled = []
    for change in store.changes(run.id):
        if change.cycle <= run.cycle:
            continue
        # What the controller left behind goes with the change that had it switched off.
        spec = run.hp.specs().get(change.name)
        setting = spec.controller if spec and change.by == "controller" else change.name
        if change.name in changes or setting in changes:
            overruled.append(change)
        else:
            run.journaled.setdefault(change.cycle, {})[change.name] = (change.new, change.by)
    return overruled


def _check(run: Run, changes: Mapping[str, Value], fork: bool) -> None:
    """Refuse changes that cannot be made at this place."""
    specs = run.hp.specs()
    for spec in (specs[name] for name in changes if name in specs):
        if not (fork or spec.live or spec.placement):
            raise ResumeError(
                f"{spec.label} cannot change during a run; fork the run to change it.")
        if spec.structural and run.cycle:
            raise ResumeError(
                f"{spec.label} decides which weights a run trains, so only a fork from cycle 0 "
                "can change it.")


def models_alone(store: Store, run: Run) -> Models:
    """Return models of this process alone that stand where a run does at its last checkpoint, for
    what cannot be done by processes that share out its weights.

    Raises:
        LoadError: they cannot be loaded any more.
        ResumeError, HyperparameterError: they cannot be brought there.
    """
    found, models = read_checkpoint(store, run.id, run.cycle), Models()
    failed: list[Exception] = []
    models.load(found.models, silent, begin=lambda which: None, trusted=store.is_trusted,
                failed=failed.append)
    if failed:
        raise LoadError(str(failed[0]))
    put_back(models, found, None, export=True)
    return models


def put_back(
    models: Models, found: Resumed, first: Settings | None, *, export: bool
) -> None:
    """Bring the models to where a run stood, and make sure that they can go on with ``first``.

    Raises:
        ResumeError: they cannot be brought there.
    """
    run = found.run
    if models.trainer is None:
        raise ResumeError("Load models first.")
    # A checkpoint of all weights is a policy by itself; adapters are nothing without their base.
    complete = export and found.snapshot is not None and not run.hp.lora_rank
    if not complete and (sentence := models.changed_weights(found.record, policy_alone=export)):
        raise ResumeError(sentence)
    models.trained = None
    try:
        algorithm = algorithm_of(run.hp)
        trainer = models.learn_by(algorithm)
        if algorithm.learns_from:
            trainer.learn_from(found.data.items if found.data else ())
        # What is shared out once stays so: it is as the run is to go on from the beginning.
        made = run.hp if first is None else run.hp.model_copy(update={"sharding": first.sharding})
        trainer.begin(run.prompts, made, found.prompt_ids)
        if found.snapshot is not None:
            trainer.restore(*found.snapshot)
        if first is not None:
            numbers = trainer.numbers
            trainer.apply(run.hp, first)
            # Only to see that it can be done. The change itself comes with the next cycle, and may
            # keep what a controller had reached.
            trainer.restore_numbers(numbers)
    except ValueError as error:
        known = isinstance(error, PromptError | UnsupportedModelError)
        raise ResumeError(str(error) if known else (
            "The checkpoint belongs to another model: the policy's files have changed since; "
            "load the one the run began with.")) from error
    except Exception as error:
        raise ResumeError(explain(error, run.hp)[0]) from error
    models.trained = run
