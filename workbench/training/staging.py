"""Changes of hyperparameters: checked when asked for, made when the next cycle begins."""

from __future__ import annotations

from workbench.algorithms import algorithm_of
from workbench.learning.trainer import AnyTrainer
from workbench.settings import HyperparameterError
from workbench.training.commands import SetHyperparameters
from workbench.training.events import Change, HyperparametersApplied, HyperparametersStaged
from workbench.training.run import Changes, Run


def stage(
    run: Run, trainer: AnyTrainer | None, command: SetHyperparameters
) -> HyperparametersStaged:
    """Keep changes for the next cycle to begin, and say which that is.

    Raises:
        HyperparameterError: they cannot be made during a run, or do not go together.
        PromptError: a prompt is too long for the longer response.
    """
    specs = run.hp.specs()
    fixed = {name: f"{specs[name].label} cannot change during a run; fork it to change this."
             for name in command.changes if name in specs and not specs[name].live}
    if fixed:
        raise HyperparameterError(fixed)
    soon = run.cycle + (2 if run.in_cycle else 1)
    wanted = _values(run.staged) | dict(command.changes)
    new = run.hp.with_changes(wanted)
    # What a resume replays later must go with it too.
    later = run.hp
    for cycle in sorted({soon, *run.journaled}):
        replayed = _values(run.journaled.get(cycle, {}))
        later = later.with_changes(replayed | (wanted if cycle == soon else {}))
    if trainer is not None and new.response_length > run.hp.response_length:
        trainer.policy_tokenizer.check_lengths(
            trainer.prompts, trainer.prompt_ids, new.response_length
        )
    parsed = new.model_dump()
    for name in command.changes:
        run.staged[name] = (parsed[name], command.by)
    return HyperparametersStaged(
        {name: parsed[name] for name in command.changes}, soon,
        " ".join(algorithm_of(new).remarks_on_change(run.hp, new)))


def apply_staged(run: Run, trainer: AnyTrainer) -> HyperparametersApplied | None:
    """Let staged changes take effect at the next cycle; None: none is staged."""
    run.staged = run.journaled.pop(run.cycle + 1, {}) | run.staged
    if not run.staged:
        return None
    new = run.hp.with_changes(_values(run.staged))
    # What a controller does in every cycle is a metric; what it leaves behind is a change, by the
    # controller, that a replay needs. A value the person sets at the same time wins.
    left = {name: value for name, value in trainer.controlled(run.hp, new).items()
            if name not in run.staged}
    run.staged |= {name: (value, "controller") for name, value in left.items()}
    new = new.with_changes(left)
    changes = tuple(
        Change(name, old, now, run.staged[name][1])
        for name, (old, now) in run.hp.differences(new).items())
    run.staged.clear()
    trainer.apply(run.hp, new)
    run.use(new)
    return HyperparametersApplied(run.id, run.cycle + 1, changes, new.model_dump())


def _values(changes: Changes) -> dict[str, object]:
    return {name: value for name, (value, _) in changes.items()}
