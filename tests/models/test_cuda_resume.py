"""Resuming on a GPU: from the same weights bit for bit, then on the same way within rounding.

A CPU's resume is exact. On a GPU the backward pass of attention adds up with atomic additions, in
another order each time, so that two updates from the same weights differ by rounding, interrupted
or not; Adam divides by the gradient's own size, so that a weight whose gradient is noise may take a
different step. Sampling has no such additions: what the first cycle after a resume writes is what
would have been written.
"""

import numpy as np
import pytest
import torch
from helpers.models import Letters, TextReward, make_policy

from workbench.models.device import Placement
from workbench.models.policy import Policy
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import parse
from workbench.store.checkpoints import Checkpoints

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")

DEVICE = torch.device("cuda")
# Mean difference of a weight after the cycle, as a share of the longest way it can go in it:
# learning rate times optimiser steps.
SHARES = {"float32": 0.01, "bfloat16": 0.1}
# Of the numbers measured before the first step, which follow from the restored weights alone.
EXACT = ("objective/scores", "objective/kl", "objective/entropy", "objective/length", "val/value",
         "val/explained_variance", "val/num_eos_tokens", "lr", "kl_coef")


def make():
    policy = Policy(make_policy("llama").model.to(DEVICE), Placement(DEVICE, torch.float32))
    return PPOTrainer(policy, TextReward(lambda text: len(set(text))),
               PolicyTokenizer(Letters(), (11, 23), context_length=64, use_chat_template=False))


def weights(arrays):
    return np.concatenate([a.ravel() for n, a in arrays.items() if n.startswith("weights/")])


@pytest.mark.parametrize("precision", SHARES)
@pytest.mark.parametrize("settings", [
    {}, {"lora_rank": 4}, {"value_model": "policy", "gradient_checkpointing": True}],
    ids=["all weights", "adapters", "separate value model"])
def test_a_resumed_run_goes_the_same_way(settings, precision, tmp_path, unattended):
    hp = parse({"num_cycles": 4, "batch_size": 16, "response_length": 16, "num_mini_batches": 2,
                "learning_rate": 1e-3, "kl_controller": "adaptive", "normalize_scores": True,
                "precision": precision, **settings})
    prompts, first = ["ab", "c", "hello"], make()
    first.begin(prompts, hp)
    for cycle in (1, 2):
        first.run_cycle(cycle, hp, [0, 1, 2], unattended)
    arrays, numbers = first.snapshot()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(1, 2, arrays.items(), {"numbers": numbers})

    second = make()
    second.begin(prompts, hp)
    read, state = checkpoints.read(1, 2)
    second.restore(read, state["numbers"])
    restored, same = second.snapshot()
    assert same == numbers
    assert restored.keys() == arrays.keys()
    assert all(restored[name].tobytes() == array.tobytes() for name, array in arrays.items())

    found, expected = (
        ppo.run_cycle(3, hp, [0, 1, 2], unattended) for ppo in (second, first))
    assert [w.text for w in found.rollout] == [w.text for w in expected.rollout]
    for name in EXACT:
        assert found.metrics[name] == pytest.approx(expected.metrics[name], rel=1e-5, abs=1e-6)
    apart = np.abs(weights(second.snapshot()[0]) - weights(first.snapshot()[0])).mean()
    way = found.metrics["lr"] * found.metrics["policy/steps"]
    assert apart <= SHARES[precision] * way
