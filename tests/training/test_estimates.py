"""What each of several processes is said to take."""

from __future__ import annotations

import pytest
from helpers.models import CPU

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.feedback.loading import load_reward
from workbench.models.loading import load_policy
from workbench.models.phases import Phase
from workbench.models.sources import silent
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import parse
from workbench.training.estimates import Estimator


@pytest.fixture(scope="module")
def trainer() -> PPOTrainer:
    return PPOTrainer.made_for(load_policy(str(BUNDLED_POLICY), CPU, silent),
                        load_reward(str(BUNDLED_REWARD), CPU, silent).reward)


def test_of_what_is_shared_out_each_is_said_to_take_its_part_and_what_is_whole_meanwhile(
    trainer: PPOTrainer
) -> None:
    named = dict(trainer.policy.model.named_parameters())
    weights = 4 * sum(p.numel() for p in named.values())
    # Embeddings are shared out by rows, the head among them; of the rest only the last norm not.
    tables = 4 * sum(p.numel() for name, p in named.items() if ".h." not in name and p.ndim > 1)
    norm = 4 * sum(p.numel() for name, p in named.items() if ".h." not in name and p.ndim == 1)
    assert 0 < norm < tables < weights  # and the value head, of one part in a thousand
    estimator = Estimator(trainer, 0)

    def part(name: str, phase: Phase, **settings: object) -> int:
        said = estimator.estimate(parse({"batch_size": 8, **settings}), ["a", "b"])
        assert said is not None
        return said.phases[phase].get(name, 0)

    four = {"processes": 4, "sharding": "shard"}
    own = norm + (weights - norm) / 4
    for phase in (Phase.SAMPLING, Phase.SCORING, Phase.UPDATING):
        assert part("Policy", phase) == part("Reference", phase) == weights
        assert part("Policy", phase, processes=4) == weights
        assert part("Optimiser", phase, **four) == pytest.approx(
            part("Optimiser", phase) * own / weights, rel=2e-3)
    assert part("Policy", Phase.UPDATING, **four) == pytest.approx(own + tables, rel=2e-3)
    assert part("Policy", Phase.SAMPLING, **four) == pytest.approx(own + weights - norm, rel=2e-3)
    assert part("Reference", Phase.UPDATING, **four) == pytest.approx(own, rel=2e-3)
    assert part("Reference", Phase.SCORING, **four) == pytest.approx(own + tables, rel=2e-3)
    assert part("Packed weights", Phase.SAMPLING, processes=4) > 0
    assert part("Packed weights", Phase.SAMPLING, **four) == 0
