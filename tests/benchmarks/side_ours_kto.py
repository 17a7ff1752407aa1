"""The workbench's side of KTO: its own trainer. A cycle is one pass over the completions, with the
start policy's reading of them."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import torch
from sequences import marks, text
from serve import Server, matmul_rate
from side_ours import flat_weights, policy_tokenizer, silent
from work import Work

from workbench.feedback.loading import load_reward
from workbench.kto import cycle as cycle_module
from workbench.kto.cycle import KTOTrainer
from workbench.kto.hyperparameters import KTOSettings
from workbench.kto.loss import MarkLoss
from workbench.memory_allocator import keep_freed_memory
from workbench.models.control import Unattended
from workbench.models.device import find_placement
from workbench.models.loading import load_policy
from workbench.models.randomness import prompt_at
from workbench.records import ScoredText, TextPrompt


class Side:
    """One KTO trainer and the settings of the comparison."""

    def __init__(self, work: Work, settings: dict[str, str]) -> None:
        self.work = work
        self.cycle = 0
        placement = find_placement()
        # The one with noise finds random tokens less likely: against it, z is above 0.
        loaded = load_policy(f"{work.models}/policy", placement, silent)
        moved = load_policy(f"{work.models}/reference", placement, silent)
        reward = load_reward(f"{work.models}/reward", placement, silent).reward
        self.hp = KTOSettings.parse({
            "num_cycles": 1000, "seed": work.seed, "batch_size": work.rows // work.mini_batches,
            "steps_per_cycle": work.mini_batches, "held_out_share": 0.0,
            "learning_rate": work.learning_rate, "lr_scheduler_type": "constant",
            "response_length": work.response_length, "max_grad_norm": 0.0, "keep_tokens": 0,
            **settings})
        self.trainer = KTOTrainer(loaded.policy, reward, policy_tokenizer(work))
        self.trainer.learn_from([
            ScoredText(TextPrompt(text(prompt)), text(completion[:-1]), float(good))
            for prompt, completion, good in marks(work)])
        self.trainer.begin([text(marks(work)[0][0])], self.hp)
        self.trainer.policy.model.load_state_dict(moved.policy.model.state_dict())
        self.loss: MarkLoss | None = None

        def watched(*args: Any) -> MarkLoss:
            self.loss = MarkLoss(*args)
            return self.loss

        cycle_module.MarkLoss = watched  # type: ignore[misc,assignment]

    def run(self) -> tuple[float, dict[str, float], Any]:
        """Make one pass; return its seconds, its phases and its result."""
        self.cycle += 1
        start = time.perf_counter()
        self.trainer.prepare(self.hp, Unattended())
        reference = time.perf_counter() - start
        result = self.trainer.run_cycle(self.cycle, self.hp, [0], Unattended())
        # Completing the compared prompt is not part of KTO.
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
        lengths = torch.tensor([len(ids) for ids in table.responses])
        metrics, after = result.metrics, flat_weights(self.trainer.policy.model)
        np.savez(
            path, tokens=[token for i in range(count) for ids in (
                table.prompts[i], table.responses[i]) for token in ids],
            logprobs=self.loss.sums[torch.tensor(drawn).argsort()] / lengths,
            ref_logprobs=self.trainer.reference_sums[0::2] / lengths, loss=metrics["loss/kto"],
            kl=metrics["loss/reference_point"], good=metrics["rewards/good"],
            bad=metrics["rewards/bad"], weights=after, moved=after - before)


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
