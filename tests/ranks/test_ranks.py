"""Any number of processes computes the same run."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.folders import save_policy, save_reward
from helpers.processes import run_together
from helpers.rank_program import run

from workbench.models import ranks

PROGRAM = Path(__file__).parents[1] / "helpers" / "rank_program.py"
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "PPO": ("PPO", {}),
    "layers gathered one by one": ("PPO", {"batch_size": 10, "stop_strings": "a"}),
    "batches that ranks do not divide": ("PPO", {
        "batch_size": 10, "num_mini_batches": 2, "num_value_epochs": 2,
        "value_pretraining_episodes": 11, "measure_gradients": True, "micro_batch_tokens": 16}),
    "adapters": ("PPO", {"lora_rank": 4}),
    "a separate value model": ("PPO", {"value_model": "policy", "num_value_epochs": 1}),
    "held-out prompts": ("PPO", {"held_out_prompts": 0.34, "held_out_every": 1}),
    "GRPO": ("GRPO", {}),
    "one ratio a completion": ("GRPO", {"ratio_level": "sequence"}),
    "DPO": ("DPO", {}), "KTO": ("KTO", {}), "ILQL": ("ILQL", {}),
    "Reward model": ("Reward model", {}),
}
Found = dict[str, tuple[list[dict[str, float]], dict[str, np.ndarray], list[str], list[float]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models")
    save_policy(made / "policy")
    save_reward(made / "reward")
    return made


def cases(**settings: object) -> dict[str, tuple[str, dict[str, Any], bool]]:
    """Return what is run, by name."""
    return {name: (way, {"learning_rate": 1e-3, **more, **settings}, "one by one" in name)
            for name, (way, more) in CASES.items()}


@pytest.fixture(scope="module")
def alone(folder: Path) -> Found:
    return {name: run(folder, *case) for name, case in cases().items()}


@pytest.fixture(scope="module", params=[
    (2, "replicate"), (3, "replicate"), (2, "shard"), (3, "shard")], ids="{0[0]} {0[1]}".format)
def together(folder: Path, request: pytest.FixtureRequest) -> Found:
    number, sharding = request.param
    asked, result = folder / "cases.json", folder / f"{number} {sharding}.pickle"
    asked.write_text(json.dumps(cases(sharding=sharding)))
    run_together(PROGRAM, [str(folder), str(asked), str(result)], number)
    return pickle.loads(result.read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_any_number_of_ranks_computes_the_same(alone: Found, together: Found, case: str) -> None:
    metrics, arrays, texts, sums = alone[case]
    theirs, their_arrays, their_texts, their_sums = together[case]
    assert their_texts == texts
    np.testing.assert_allclose(their_sums, sums, rtol=1e-4, atol=1e-4)
    for mine, other in zip(metrics, theirs, strict=True):
        assert_alike(mine, other)
    assert their_arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        # Adam divides by the root of squares: of the least of them rounding is left alone.
        np.testing.assert_allclose(
            their_arrays[name], array, rtol=1e-4, atol=1e-5 * max(1e-3, np.abs(array).max()))


def assert_alike(mine: Mapping[str, float], other: Mapping[str, float]) -> None:
    """Metrics are the same to 1e-5; those near 0, where rounding is all there is, to as much of the
    least that is shown."""
    assert mine.keys() == other.keys()
    for name, number in mine.items():
        if math.isnan(number):
            assert math.isnan(other[name]), name
        else:
            assert other[name] == pytest.approx(number, rel=1e-5, abs=2e-6), name


@pytest.mark.parametrize("number", [1, 2, 3, 8])
def test_shares_are_all_there_is_and_about_as_much_work(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = [(37 * i) % 23 + 1.0 for i in range(29)]
    monkeypatch.setattr(ranks, "count", lambda: number)
    shares = []
    for rank in range(number):
        monkeypatch.setattr(ranks, "number", lambda rank=rank: rank)
        shares.append(ranks.share(costs))
    assert sorted(item for share in shares for item in share) == list(range(29))
    assert all(share == sorted(share) for share in shares)
    loads = [sum(costs[item] for item in share) for share in shares]
    assert max(loads) - min(loads) <= max(costs)


def test_a_rank_that_is_alone_asks_nobody() -> None:
    assert ranks.exchange("a") == ["a"]
    assert ranks.broadcast("a") == "a"
    assert ranks.totals({"a": 1.5}) == {"a": 1.5}
    assert ranks.most(3) == 3
    assert ranks.guarded(lambda: 4) == 4
