"""Stop is looked at before every decode step and every micro-batch: nothing that takes long is
begun twice without a look in between."""

import pytest
import torch
import transformers as tf
from helpers.folders import save_policy, save_reward
from torch.nn.modules.module import register_module_forward_pre_hook

from workbench.feedback.loading import load_reward
from workbench.models.control import Interrupted, Unattended
from workbench.models.device import Placement
from workbench.models.loading import load_policy
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import parse

CPU = Placement(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def ppo(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    policy = load_policy(str(save_policy(base / "p")), CPU, lambda *_: None)
    reward = load_reward(str(save_reward(base / "r")), CPU, lambda *_: None)
    return PPOTrainer(policy.policy, reward.reward, policy.policy_tokenizer)


class Looking(Unattended):
    """Counts the passes through a model that began since the last look."""

    def __init__(self, stop_at=None):
        self.looks = self.passes = 0
        self.since = self.most = 0
        self.stop_at = stop_at

    def step(self, phase, done, total):
        self.looks += 1
        self.since = 0
        if self.looks == self.stop_at:
            raise Interrupted

    def __enter__(self):
        def begun(module, _inputs):
            if isinstance(module, tf.GPT2Model | tf.BertModel):
                self.passes += 1
                self.since += 1
                self.most = max(self.most, self.since)
        self._hook = register_module_forward_pre_hook(begun)
        return self

    def __exit__(self, *_):
        self._hook.remove()


@pytest.mark.parametrize("settings", [
    {}, {"lora_rank": 2}, {"value_model": "policy"}], ids=["plain", "lora", "value model"])
def test_every_pass_through_a_model_is_preceded_by_a_look(ppo, settings):
    hp = parse({"num_cycles": 9, "batch_size": 8, "num_mini_batches": 2, "response_length": 7,
                "micro_batch_tokens": 20, "keep_tokens": 1, **settings})

    def cycle(looking):
        ppo.compare([0, 1], hp, looking)
        ppo.run_cycle(1, hp, [0, 1], looking)

    ppo.begin(["one", "two"], hp)
    with Looking() as looking:
        cycle(looking)
    assert looking.passes > 7 + 7 + 2 * 2 * 4  # decode steps and micro-batches, at the least
    # A separate value model reads the micro-batch that the policy reads.
    assert looking.most == (2 if "value_model" in settings else 1)
    for stop_at in range(1, looking.looks, 5):  # and what is seen ends it there
        ppo.begin(["one", "two"], hp)
        with Looking(stop_at) as stopped, pytest.raises(Interrupted):
            cycle(stopped)
        assert stopped.looks == stop_at
        assert stopped.since == 0
