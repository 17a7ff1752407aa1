"""The workbench's side: its own PPO object, loaded and run as the window does it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sequences import prompt_ids, steer_uniforms, text
from serve import Phases, Server, matmul_rate
from transformers import PreTrainedTokenizerFast
from work import EOS, PAD, Work, word

from workbench.feedback.loading import load_reward
from workbench.learning import on_policy
from workbench.memory_allocator import keep_freed_memory
from workbench.models.control import Unattended
from workbench.models.device import find_placement
from workbench.models.forward import read_logprobs
from workbench.models.loading import load_policy
from workbench.models.phases import Phase
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.models.randomness import Stream
from workbench.ppo import cycle as cycle_module
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import parse

_SETTINGS = {
    "ours": {},
    "ours-bf16": {"precision": "bfloat16"},
    "ours-separate": {"value_model": "policy"},
    # As TRL 1.16.0 has it.
    "ours-grpo": {"advantage_estimator": "group", "loss_aggregation": "token", "kl_in": "loss",
                  "kl_estimator": "k3"},
}


class Side:
    """One PPO object and the hyperparameters of the comparison."""

    def __init__(self, work: Work, settings: dict[str, str]) -> None:
        self.work = work
        self.phases = Phases()
        self.saw: dict[str, Any] = {}
        self.cycle = 0
        placement = find_placement()
        loaded = load_policy(f"{work.models}/reference", placement, silent)
        moved = load_policy(f"{work.models}/policy", placement, silent)
        reward = load_reward(f"{work.models}/reward", placement, silent).reward
        self.hp = parse({
            "num_cycles": 1000, "seed": work.seed, "batch_size": work.rows,
            "response_length": work.response_length, "num_ppo_epochs": work.epochs,
            "num_mini_batches": work.mini_batches, "learning_rate": work.learning_rate,
            "lr_scheduler_type": "constant", "kl_coef": work.kl_coef, "vf_coef": work.vf_coef,
            "completions_per_prompt": work.group, "missing_eos_penalty": 0.0,
            "max_grad_norm": 0.0, "keep_tokens": 0, "entropy_coef": 0.0, **settings})
        self.ppo = PPOTrainer(loaded.policy, reward, policy_tokenizer(work))
        self.ppo.begin([text(ids) for ids in prompt_ids(work)], self.hp)
        policy = self.ppo.policy
        policy.model.load_state_dict(moved.policy.model.state_dict())
        if policy.value_trunk is not None:
            policy.value_trunk.load_state_dict(moved.policy.trunk.state_dict())
        if policy.value_head is not None:
            head = json.loads(Path(work.models, "value_head.json").read_text())
            policy.value_head.weight.data.copy_(torch.tensor([head]))
        self._watch()

    def _watch(self) -> None:
        """Fix the response lengths, time the reward model, and keep what a check compares."""
        uniforms, update = on_policy.uniforms, cycle_module.update

        def steered(seed: int, stream: Stream, *where: int) -> torch.Tensor:
            drawn = uniforms(seed, stream, *where)
            if stream is Stream.ROLLOUT:
                drawn = steer_uniforms(self.work, self.cycle, drawn)
            return drawn

        def watched(policy: Any, optimizer: Any, loss: Any, **more: Any) -> Any:
            self.saw = {"experience": loss.experience}
            return update(policy, optimizer, loss, **more)

        on_policy.uniforms, cycle_module.update = steered, watched
        self.ppo.reward.judge = self.phases.timed(
            self.ppo.reward.judge,
            lambda *_, phase=Phase.SCORING, **__: "reward" if phase is Phase.SCORING else None)
        # A separate value model reads what was sampled.
        cycle_module.read_values = self.phases.timed(
            cycle_module.read_values, lambda *_, **__: "value")

    def run(self) -> tuple[float, dict[str, float], Any]:
        """Run the next cycle; return its seconds, its phases and its result."""
        self.cycle += 1
        result = self.ppo.run_cycle(self.cycle, self.hp, [0], Unattended())
        laps = {name.removeprefix("seconds/"): seconds
                for name, seconds in result.metrics.items() if name.startswith("seconds/")}
        # Completing the compared prompt is not part of PPO.
        total = laps["sampling"] + laps["scoring"] + laps["update"]
        phases = self.phases.take()
        phases["sampling"] = laps["sampling"] - phases.get("value", 0.0)
        phases["reference"] = laps["scoring"] - phases["reward"]
        phases["update"] = laps["update"]
        if not self.work.ragged and result.metrics["val/num_eos_tokens"]:
            raise RuntimeError("a response ended where it should not")
        return total, phases, result

    def check(self, path: str) -> None:
        """Run one cycle and save everything that the other sides are to reproduce."""
        before = flat_weights(self.ppo.policy.model)
        _, _, result = self.run()
        weights = flat_weights(self.ppo.policy.model)
        experience = self.saw["experience"]
        done = experience.completions
        after = read_logprobs(self.ppo.policy, done, temperature=1.0, max_tokens=4096,
                              control=Unattended())
        np.savez(
            path, prompts=np.array(done.prompts), tokens=done.tokens, logprobs=done.logprobs,
            ref_logprobs=experience.ref_logprobs, values=done.values,
            scores=np.array([w.score for w in result.rollout]),
            advantages=experience.advantages, after=after,
            policy_loss=result.metrics["loss/policy_avg"], loss=result.metrics["loss/total_avg"],
            value_loss=result.metrics.get("loss/value_avg", 0.0),
            approxkl=result.metrics["policy/approxkl_avg"],
            weights=weights, moved=weights - before)


def policy_tokenizer(work: Work) -> PolicyTokenizer:
    """Return the tokenizer that the other sides read, whatever the architecture:
    transformers would give some architectures their own class in its place."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=f"{work.models}/policy/tokenizer.json", eos_token=word(EOS),
        pad_token=word(PAD))
    return PolicyTokenizer(tokenizer, (EOS,), context_length=None, use_chat_template=False)


def flat_weights(model: torch.nn.Module) -> np.ndarray:
    """Return all weights of a model in one row, by name."""
    return np.concatenate([weights.detach().numpy().ravel()
                           for _, weights in sorted(model.named_parameters())])


def silent(_: str, __: float | None) -> None:
    """Loading is not reported."""


def main() -> None:
    keep_freed_memory()
    work = Work.load(sys.argv[1])
    server = Server(work)
    side = Side(work, _SETTINGS[sys.argv[2]] | json.loads(sys.argv[3]))
    for request in server.requests():
        if request["do"] == "matmul":
            server.answer(rate=matmul_rate(request["bf16"]))
        elif request["do"] == "check":
            side.check(request["save"])
            server.answer(saved=request["save"])
        else:
            seconds, phases, _ = side.run()
            server.answer_cycle(side.cycle, seconds, phases)


if __name__ == "__main__":
    main()
