"""What comes before the first cycle: done once for the same models, prompts and settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from workbench.learning.trainer import AnyTrainer
from workbench.models.device import placement_on
from workbench.store.store import Store
from workbench.training import events as ev
from workbench.training.models import Models
from workbench.training.run import Run, Unwritten

if TYPE_CHECKING:
    from workbench.models.control import Control

def prepare(
    store: Store, models: Models, run: Run, control: Control, emit: Callable[[ev.Event], None]
) -> Unwritten:
    """Do what comes before a run's first cycle, or take what was kept for the same.

    Returns:
        what records the start metrics, then says so.

    Raises:
        Interrupted, NotFiniteError, RewardError: as :meth:`Trainer.prepare`.
    """
    trainer = models.trainer
    if trainer is None:
        raise RuntimeError("a run is on without models")
    record = store.run(run.id)
    digest = record.data.get("digest") if record else None
    made_for = _made_for(models, trainer, run)
    if made_for and digest:
        made_for["data"] = digest
    found = _kept(store, models, trainer, made_for) if made_for else None
    kept = found is not None
    if found is None:
        found = trainer.prepare(run.hp, control)
        if made_for:
            arrays, numbers = trainer.prepared()
            store.value_cache.write(made_for, arrays, {**numbers, **found})
    metrics = found

    def write() -> None:
        store.record_start(run.id, metrics).result()
        run.prepared = True
        emit(ev.Prepared(run.id, metrics, trainer.say_prepared(run.hp, metrics), kept=kept))
    return Unwritten("what was measured before the first cycle",
                     "it is measured again when the run is resumed", write)


def _kept(
    store: Store, models: Models, trainer: AnyTrainer, made_for: dict[str, Any]
) -> dict[str, float] | None:
    """Begin with what was kept; return its start metrics, or None."""
    found = store.value_cache.read(made_for)
    if found is None:
        return None
    arrays, numbers = found
    names = [metric.name for metric in models.algorithm.start_metrics if metric.name in numbers]
    try:
        trainer.restore_prepared(arrays, numbers)
    except (ValueError, KeyError):
        return None
    return {name: numbers[name] for name in names} or None


def _made_for(models: Models, trainer: AnyTrainer, run: Run) -> dict[str, Any] | None:
    """Return all that decides the values, to the last bit on a CPU; None where a model cannot be
    known again.

    A Python reward is known by its text, as a resume knows it. What it reads from elsewhere, which
    may change, is not known here either.
    """
    record = models.record()
    fingerprints = record["fingerprints"]
    if not all(fingerprints.values()):
        return None
    hp, columns = run.hp.model_dump(), [dict(prompt.columns) for prompt in run.prompts]
    placement = placement_on(trainer.policy.device, run.hp.precision)
    return {
        "algorithm": models.algorithm.name, "recipe": trainer.PREPARATION,
        "torch": torch.__version__, "threads": torch.get_num_threads(),
        "device": str(placement.device), "dtype": placement.dtype_name,
        "models": sorted(fingerprints.values()),
        "reward": [[part["sha256"] or fingerprints[f"reward model {part['source']}"],
                    *(part[name] for name in ("weight", "label", "reads", "end_token"))]
                   for part in record["reward"]],
        "use_chat_template": record["use_chat_template"],
        "prompts": [prompt.text for prompt in run.prompts],
        "prompt_ids": trainer.prompt_ids,
        **({"columns": columns} if any(columns) else {}),
        **({"held_out": trainer.held_out} if trainer.held_out else {}),
        "settings": {name: hp[name] for name in trainer.PREPARED_BY},
    }
