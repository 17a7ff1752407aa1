"""The workbench's side of DPO: its own trainer. A cycle is one pass over the pairs, with the start
policy's reading of them."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import torch
from sequences import pairs, text
from serve import Server, matmul_rate
from side_ours import flat_weights, policy_tokenizer, silent
from work import Work

from workbench.dpo import cycle as cycle_module
from workbench.dpo.cycle import DPOTrainer
from workbench.dpo.hyperparameters import DPOSettings
from workbench.dpo.loss import PairLoss
from workbench.dpo.objective import preference_loss
from workbench.feedback.loading import load_reward
from workbench.memory_allocator import keep_freed_memory
from workbench.models.control import Unattended
from workbench.models.device import find_placement
from workbench.models.loading import load_policy
from workbench.models.randomness import prompt_at
from workbench.records import Pair


class Side:
    """One DPO trainer and the settings of the comparison."""

    def __init__(self, work: Work, settings: dict[str, str]) -> None:
        self.work = work
        self.cycle = 0
        placement = find_placement()
        loaded = load_policy(f"{work.models}/reference", placement, silent)
        moved = load_policy(f"{work.models}/policy", placement, silent)
        reward = load_reward(f"{work.models}/reward", placement, silent).reward
        self.hp = DPOSettings.parse({
            "num_cycles": 1000, "seed": work.seed, "batch_size": work.rows // work.mini_batches,
            "steps_per_cycle": work.mini_batches, "held_out_share": 0.0,
            "learning_rate": work.learning_rate, "lr_scheduler_type": "constant",
            "loss_type": work.loss, "average_log_prob": work.loss == "ipo",
            "response_length": work.response_length, "max_grad_norm": 0.0, "keep_tokens": 0,
            **settings})
        self.trainer = DPOTrainer(loaded.policy, reward, policy_tokenizer(work))
        self.trainer.learn_from(
            [Pair(text(p), text(c[:-1]), text(r[:-1])) for p, c, r in pairs(work)])
        self.trainer.begin([text(pairs(work)[0][0])], self.hp)
        self.trainer.policy.model.load_state_dict(moved.policy.model.state_dict())
        self.loss: PairLoss | None = None

        def watched(*args: Any) -> PairLoss:
            self.loss = PairLoss(*args)
            return self.loss

        cycle_module.PairLoss = watched  # type: ignore[misc,assignment]

    def run(self) -> tuple[float, dict[str, float], Any]:
        """Make one pass; return its seconds, its phases and its result."""
        self.cycle += 1
        start = time.perf_counter()
        self.trainer.prepare(self.hp, Unattended())
        reference = time.perf_counter() - start
        result = self.trainer.run_cycle(self.cycle, self.hp, [0], Unattended())
        # Completing the compared prompt is not part of DPO.
        update = result.metrics["seconds/update"]
        return reference + update, {"reference": reference, "update": update}, result

    def check(self, path: str) -> None:
        """Take one step and save everything that the other sides are to reproduce."""
        table, count = self.trainer.table, self.work.rows
        drawn = [prompt_at(self.hp.seed, self.trainer.position + i, count) for i in range(count)]
        before = flat_weights(self.trainer.policy.model)
        _, _, result = self.run()
        assert self.loss is not None
        assert self.trainer.reference_sums is not None
        order = torch.tensor(drawn).argsort()
        sums = self.loss.sums.view(-1, 2)[order]
        reference = self.trainer.reference_sums.view(-1, 2)
        lengths = torch.tensor([[len(table.chosen[i]), len(table.rejected[i])]
                                for i in range(count)])
        by = lengths if self.hp.average_log_prob else torch.ones_like(lengths)
        losses, _ = preference_loss(
            *(sums / by).T, *(reference / by).T, beta=self.hp.beta, loss_type=self.hp.loss_type)
        after = flat_weights(self.trainer.policy.model)
        np.savez(
            path, tokens=[token for i in range(count) for ids in (
                table.prompts[i], table.chosen[i], table.rejected[i]) for token in ids],
            logprobs=sums / lengths, ref_logprobs=reference / lengths, loss=losses.mean(),
            margins=result.metrics["rewards/margins"], weights=after, moved=after - before)


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
