"""The workbench's side of training a reward model: its own trainer. A cycle is one pass over the
pairs."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import torch
from sequences import pairs, text
from serve import Server, matmul_rate
from side_ours import flat_weights, policy_tokenizer, silent
from work import Work, head_weights

from workbench.feedback.loading import load_reward
from workbench.memory_allocator import keep_freed_memory
from workbench.models.control import Unattended
from workbench.models.device import find_placement
from workbench.models.loading import load_policy
from workbench.models.optimizer import set_rates
from workbench.records import Pair
from workbench.reward_training.cycle import RewardTrainer
from workbench.reward_training.hyperparameters import RewardSettings
from workbench.reward_training.steps import take_steps


class Side:
    """One trainer and the settings of the comparison."""

    def __init__(self, work: Work, settings: dict[str, str]) -> None:
        self.work = work
        self.cycle = 0
        placement = find_placement()
        loaded = load_policy(f"{work.models}/policy", placement, silent)
        reward = load_reward(f"{work.models}/reward", placement, silent).reward
        self.hp = RewardSettings.parse({
            "num_cycles": 1000, "seed": work.seed, "batch_size": work.rows // work.mini_batches,
            "steps_per_cycle": work.mini_batches, "held_out_share": 0.0,
            "learning_rate": work.learning_rate, "lr_scheduler_type": "constant",
            "response_length": work.response_length, "max_grad_norm": 0.0, "keep_tokens": 0,
            **settings})
        self.trainer = RewardTrainer(loaded.policy, reward, policy_tokenizer(work))
        self.trainer.learn_from([Pair(text(p), f" {text(c[:-1])}", f" {text(r[:-1])}")
                                 for p, c, r in pairs(work)])
        self.trainer.begin([text(pairs(work)[0][0])], self.hp)
        head = self.trainer.model.reward.score
        with torch.no_grad():
            head.weight.copy_(torch.tensor([head_weights(head.in_features)]))

    def run(self) -> tuple[float, dict[str, float], Any]:
        """Make one pass; return its seconds, its phases and its result."""
        self.cycle += 1
        result = self.trainer.run_cycle(self.cycle, self.hp, [0], Unattended())
        # Scoring the compared prompt is not part of it.
        update = result.metrics["seconds/update"]
        return update, {"update": update}, result

    def check(self, path: str) -> None:
        """Take one step and save everything that the other sides are to reproduce."""
        table, count = self.trainer.table, self.work.rows
        before = flat_weights(self.trainer.model.reward)
        set_rates(self.trainer.optimizer, self.hp.learning_rate, self.hp.learning_rate)
        rows = table.rows_of(range(count))
        scores, losses, _ = take_steps(
            self.trainer.model, self.trainer.optimizer, rows, table.margins, self.hp, 1,
            Unattended())
        after = flat_weights(self.trainer.model.reward)
        np.savez(
            path, tokens=[token for row in rows for token in row.ids], scores=scores,
            loss=losses.mean(), margins=(scores[0::2] - scores[1::2]).mean(), weights=after,
            moved=after - before)


def main() -> None:
    keep_freed_memory()
    work = Work.load(sys.argv[1])
    server = Server(work)
    side = Side(work, json.loads(sys.argv[3]))
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
