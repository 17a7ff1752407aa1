"""What every process of a test of ranks runs: some runs of a few cycles, one after the other.

    torchrun ... rank_program.py FOLDER CASES RESULT

CASES is JSON, by name what :func:`run` takes; the first rank writes RESULT, a pickle of what it
returned for each.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.models import CPU
from helpers.short_runs import start_of

from workbench import processes
from workbench.algorithms import algorithm_of
from workbench.feedback.loading import load_reward
from workbench.feedback.weighted_reward import models_of
from workbench.models import ranks, sampling
from workbench.models.control import SharedControl, Unattended
from workbench.models.loading import load_policy
from workbench.models.sharding import is_part, is_shared_out
from workbench.models.sources import silent
from workbench.training.heartbeat import meeting_place


def run(
    folder: Path, way: str, settings: dict[str, Any], one_by_one: bool = False, cycles: int = 3
) -> tuple[list[dict[str, float]], dict[str, Any], list[str], list[float]]:
    """Return the metrics of each cycle of a small run, its last snapshot's arrays, what the
    compared prompts were completed with, and the sums of all that is kept of tokens.

    Args:
        one_by_one: what ranks share out is not gathered to write.
    """
    start = start_of(way, **settings)
    hp = start.hyperparameters
    algorithm = algorithm_of(hp)
    policy = load_policy(str(folder / "policy"), CPU, silent)
    reward = load_reward(str(folder / "reward"), CPU, silent).reward
    control = SharedControl(Unattended() if processes.own_number() == 0 else None)
    with pytest.MonkeyPatch.context() as patch, ranks.together():
        patch.setattr(sampling, "fits_whole", lambda model: not one_by_one)
        trainer = algorithm.trainer().made_for(policy, reward)
        if start.data is not None:
            trainer.learn_from(start.data.items)
        trainer.begin(start.prompts, hp)
        assert trainer.shares_out == (hp.sharding == "shard" and ranks.count() > 1)
        if trainer.shares_out:
            assert all(is_shared_out(model) for model in models_of(reward))
            model = getattr(trainer.learning, "model", trainer.learning)
            assert held(model) < 1 / ranks.count() + 0.1
        compared = [0, 1]
        trainer.compare(compared, hp, control)
        if trainer.episodes(hp):
            trainer.prepare(hp, control)
        found, texts, sums = [], [], []
        for cycle in range(1, cycles + 1):
            result = trainer.run_cycle(cycle, hp, compared, control)
            found.append({name: x for name, x in result.metrics.items()
                          if not name.startswith(("seconds", "tokens_per_second"))})
            trainer.restore(*trainer.snapshot())
            # Who writes may stop anywhere: the others are not left waiting.
            first = next if processes.own_number() == 0 else None
            assert (trainer.write_snapshot(first) is None) == (first is None)
            texts += [written.text for written in result.comparison]
            sums += [float(numbers.sum()) for trace in result.traces
                     for numbers in trace.numbers.values()]
        if trainer.shares_out:
            assert trainer.policy.gathers is not one_by_one
        return found, trainer.snapshot()[0], texts, sums


def held(model: torch.nn.Module) -> float:
    """Return which share of a model's weights this rank holds."""
    own = sum((p.to_local() if is_part(p) else p).numel() for p in model.parameters())
    return own / sum(p.numel() for p in model.parameters())


def main() -> None:
    """Run the cases."""
    folder, cases, result = sys.argv[1:]
    torch.set_num_threads(1)
    ranks.join(meeting_place("group"))
    found = {name: run(Path(folder), *arguments)
             for name, arguments in json.loads(Path(cases).read_text()).items()}
    if processes.own_number() == 0:
        Path(result).write_bytes(pickle.dumps(found))
    ranks.leave()


if __name__ == "__main__":
    main()
