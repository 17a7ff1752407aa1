"""TRL 0.11.4's side: the ``PPOTrainer`` of most tutorials, with a value head on the trunk."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sequences import prompt_ids, steer_multinomial
from serve import Phases, Server
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast
from trl import AutoModelForCausalLMWithValueHead, PPOConfig, PPOTrainer
from work import EOS, PAD, Work, word


class Side:
    """A trainer and the loop that the tutorials write around it."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.phases = Phases()
        self.cycle = 0
        self.saw: dict[str, Any] = {}
        self.tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=f"{work.models}/policy/tokenizer.json", eos_token=word(EOS),
            pad_token=word(PAD))
        policy, reference = (
            AutoModelForCausalLMWithValueHead.from_pretrained(f"{work.models}/{name}")
            for name in ("policy", "reference"))
        head = json.loads(Path(work.models, "value_head.json").read_text())
        policy.v_head.summary.weight.data.copy_(torch.tensor([head]))
        policy.v_head.summary.bias.data.zero_()
        policy.v_head.dropout = nn.Identity()
        self.reward = AutoModelForSequenceClassification.from_pretrained(
            f"{work.models}/reward").eval()
        self.trainer = PPOTrainer(
            PPOConfig(
                batch_size=work.rows, mini_batch_size=work.rows // work.mini_batches,
                ppo_epochs=work.epochs, learning_rate=work.learning_rate, adap_kl_ctrl=False,
                init_kl_coef=work.kl_coef, vf_coef=work.vf_coef, seed=work.seed),
            policy, reference, self.tokenizer,
            optimizer=torch.optim.Adam(
                policy.parameters(), lr=work.learning_rate, eps=1e-5))
        self._watch()

    def _watch(self) -> None:
        forward, advantages = self.trainer.batched_forward_pass, self.trainer.compute_advantages

        def forwards(*args: Any, **kwargs: Any) -> Any:
            found = forward(*args, **kwargs)
            self.saw.setdefault("forward", []).append([
                x.detach() for x in (found[0], found[2])])
            return found

        def judged(*args: Any) -> Any:
            found = advantages(*args)
            self.saw["advantages"] = found[1]
            return found

        self.trainer.batched_forward_pass = forwards
        self.trainer.compute_advantages = judged

    def run(
        self, prompts: list[torch.Tensor], forced: torch.Tensor | None = None
    ) -> dict[str, Any]:
        """Run one cycle as the tutorials do; return the trainer's statistics."""
        self.cycle += 1
        self.saw = {}
        with self.phases.time("sampling"), steer_multinomial(self.work, self.cycle, forced):
            responses = self.trainer.generate(
                prompts, batch_size=self.work.rows, return_prompt=False, do_sample=True,
                top_k=0, top_p=1.0, max_new_tokens=self.work.response_length,
                eos_token_id=EOS, pad_token_id=PAD)
        with self.phases.time("reward"), torch.no_grad():
            padded = self.tokenizer.pad(
                {"input_ids": [torch.cat(pair) for pair in zip(prompts, responses, strict=True)]},
                return_tensors="pt", padding_side="right")
            scores = self.reward(**padded).logits[:, 0]
        self.saw["scores"] = scores
        stats = self.trainer.step(prompts, responses, list(scores))
        self.phases.seconds["reference"] += stats["time/ppo/forward_pass"]
        return stats

    def check(self, ours: str, path: str) -> None:
        """Run one cycle on the sequences of ``ours`` and save the numbers."""
        given = np.load(ours)
        prompts, forced = (torch.tensor(given[k]) for k in ("prompts", "tokens"))
        stats = self.run(list(prompts), forced)
        policy, reference = self.saw["forward"][:2]
        before = slice(self.work.prompt_length - 1, None)
        with torch.no_grad():
            logits = self.trainer.model(torch.cat([prompts, forced], dim=1))[0][:, before]
            after = torch.gather(
                logits[:, :-1].log_softmax(-1), 2, forced.unsqueeze(-1)).squeeze(-1)
        np.savez(
            path, tokens=forced, logprobs=policy[0][:, before], values=policy[1][:, before],
            ref_logprobs=reference[0][:, before], scores=self.saw["scores"],
            advantages=self.saw["advantages"][:, before], after=after,
            policy_loss=float(stats["ppo/loss/policy"]),
            value_loss=float(stats["ppo/loss/value"]),
            approxkl=float(stats["ppo/policy/approxkl"]))


def main() -> None:
    work = Work.load(sys.argv[1])
    server = Server(work)
    side = Side(work)
    prompts = [torch.tensor(ids) for ids in prompt_ids(work)]
    for request in server.requests():
        if request["do"] == "check":
            side.check(request["ours"], request["save"])
            server.answer(saved=request["save"])
        else:
            start = time.perf_counter()
            side.run(prompts)
            seconds = time.perf_counter() - start
            server.answer_cycle(side.cycle, seconds, side.phases.take(seconds))


if __name__ == "__main__":
    main()
