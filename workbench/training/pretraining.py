"""Value pretraining as a run has it: made once for the same models, prompts and settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from workbench.models.device import find_placement
from workbench.ppo.cycle import PPO
from workbench.ppo.metrics import PRETRAINED
from workbench.ppo.value_pretraining import DECIDED_BY
from workbench.store.store import Store
from workbench.training import events as ev
from workbench.training.models import Models
from workbench.training.run import Run, Unwritten

if TYPE_CHECKING:
    from workbench.models.control import Control

_RECIPE = 3
"""To be raised when other values come of the same settings."""
_EXPLAINED = "explained_variance"


def pretrain_values(
    store: Store, models: Models, ppo: PPO, run: Run, control: Control,
    emit: Callable[[ev.Event], None],
) -> Unwritten:
    """Prepare the values of a run before its first cycle, or take what was kept for the same.

    Returns:
        what records how much they foresee, then says so.

    Raises:
        Interrupted, NotFiniteError, RewardError: as :meth:`PPO.pretrain_values`.
    """
    made_for = _made_for(models, ppo, run)
    explained = _kept(store, ppo, made_for) if made_for else None
    kept = explained is not None
    if explained is None:
        explained = ppo.pretrain_values(run.hp, control)
        if made_for:
            arrays, numbers = ppo.values_snapshot()
            store.value_cache.write(made_for, arrays, {**numbers, _EXPLAINED: explained})

    def write(found: float = explained) -> None:
        store.record_start(run.id, {PRETRAINED: found}).result()
        run.pretrained = True
        emit(ev.ValuesPretrained(
            run.id, run.hp.value_pretraining_episodes, found, kept=kept))
    return Unwritten("what the pretrained values foresee",
                     "it is found again when the run is resumed", write)


def _kept(store: Store, ppo: PPO, made_for: dict[str, Any]) -> float | None:
    """Begin with the values that were kept; return what they explained, or None."""
    found = store.value_cache.read(made_for)
    if found is None:
        return None
    arrays, numbers = found
    try:
        explained = numbers.pop(_EXPLAINED)
        ppo.restore_values(arrays, numbers)
    except (ValueError, KeyError):
        return None
    return explained


def _made_for(models: Models, ppo: PPO, run: Run) -> dict[str, Any] | None:
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
    placement = find_placement(run.hp.precision)
    return {
        "recipe": _RECIPE, "torch": torch.__version__, "threads": torch.get_num_threads(),
        "device": str(placement.device), "dtype": placement.dtype_name,
        "models": sorted(fingerprints.values()),
        "reward": [[part["sha256"] or fingerprints[f"reward model {part['source']}"],
                    *(part[name] for name in ("weight", "label", "reads", "end_token"))]
                   for part in record["reward"]],
        "use_chat_template": record["use_chat_template"],
        "prompts": [prompt.text for prompt in run.prompts],
        "prompt_ids": ppo.prompt_ids,
        **({"columns": columns} if any(columns) else {}),
        "settings": {name: hp[name] for name in DECIDED_BY},
    }
