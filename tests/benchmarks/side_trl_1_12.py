"""TRL 1.12.0's side: ``trl.experimental.ppo``, with a separate value model.

The trainer's loop runs untouched. It asks its data loader for the next batch, and there it waits
for the next request; so a cycle is what happens between two such questions.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from sequences import prompt_ids, steer_multinomial
from serve import Phases, Server
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer
from work import EOS, PAD, Work, word


class Side:
    """A trainer whose data loader is the requests."""

    def __init__(self, work: Work, server: Server) -> None:
        self.work, self.server = work, server
        self.phases = Phases()
        self.cycle = 0
        self.forced: torch.Tensor | None = None
        self.saw: dict[str, list[torch.Tensor]] = {}
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=f"{work.models}/policy/tokenizer.json", eos_token=word(EOS),
            pad_token=word(PAD), padding_side="left")
        policy, reference = (
            AutoModelForCausalLM.from_pretrained(f"{work.models}/{name}")
            for name in ("policy", "reference"))
        self.reward = AutoModelForSequenceClassification.from_pretrained(f"{work.models}/reward")
        value = AutoModelForSequenceClassification.from_pretrained(
            f"{work.models}/policy", num_labels=1)
        head = json.loads(Path(work.models, "value_head.json").read_text())
        # With a bias, which the other sides' value heads have.
        value.score = torch.nn.Linear(len(head), 1)
        value.score.weight.data.copy_(torch.tensor([head]))
        value.score.bias.data.zero_()
        folder = tempfile.mkdtemp()
        config = PPOConfig(
            output_dir=folder, use_cpu=True, bf16=False, gradient_checkpointing=False,
            per_device_train_batch_size=work.rows, gradient_accumulation_steps=1,
            num_mini_batches=work.mini_batches, num_ppo_epochs=work.epochs,
            response_length=work.response_length, temperature=1.0, stop_token="eos",
            total_episodes=10**6 * work.rows, num_sample_generations=0,
            learning_rate=work.learning_rate, lr_scheduler_type="constant", adam_epsilon=1e-5,
            kl_coef=work.kl_coef, vf_coef=work.vf_coef, report_to="none", save_strategy="no",
            disable_tqdm=True, seed=work.seed)
        self.trainer = PPOTrainer(
            args=config, processing_class=tokenizer, model=policy, ref_model=reference,
            reward_model=self.reward, value_model=value,
            train_dataset=Dataset.from_dict({"input_ids": prompt_ids(work)}))
        self.trainer.dataloader = self
        self._watch()

    def _watch(self) -> None:
        """Time the phases, fix the response lengths, and keep what a check compares."""
        module, phases = ppo_trainer, self.phases
        generate, whiten = module.batch_generation, module.masked_whiten
        log_softmax, get_reward = module.selective_log_softmax, module.get_reward

        def sampling(*args: Any, **kwargs: Any) -> Any:
            with phases.time("sampling"), steer_multinomial(self.work, self.cycle, self.forced):
                return generate(*args, **kwargs)

        def score(model: Any, *args: Any) -> Any:
            name = "reward" if model is self.reward else "value"
            with phases.time(name):
                found = get_reward(model, *args)
            self.saw.setdefault(name, []).append(found[1] if name == "reward" else found[0])
            return found

        def kept(name: str, function: Any) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                found = function(*args, **kwargs)
                self.saw.setdefault(name, []).append(found.detach())
                return found
            return call

        reference = self.trainer.ref_model
        module.batch_generation = sampling
        module.forward = phases.timed(
            module.forward, lambda model, *_: "reference" if model is reference else None)
        module.get_reward = score
        module.selective_log_softmax = kept("logprobs", log_softmax)
        module.masked_whiten = kept("advantages", whiten)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        """Give the trainer a batch whenever a cycle is asked for."""
        for request in self.server.requests():
            self.cycle += 1
            self.saw = {}
            prompts = torch.tensor(prompt_ids(self.work))
            if request["do"] == "check":
                ours = np.load(request["ours"])
                prompts, self.forced = (torch.tensor(ours[k]) for k in ("prompts", "tokens"))
            start = time.perf_counter()
            yield {"input_ids": prompts}
            seconds = time.perf_counter() - start
            if request["do"] == "check":
                self._save(request["save"], prompts)
                self.server.answer(saved=request["save"])
            else:
                self.server.answer_cycle(self.cycle, seconds, self.phases.take(seconds))
        # The trainer would ask for ever.
        raise SystemExit

    def _save(self, path: str, prompts: torch.Tensor) -> None:
        before, saw = slice(self.work.prompt_length - 1, -1), self.saw
        with torch.no_grad():
            ids = torch.cat([prompts, self.forced], dim=1)
            logits = self.trainer.model.policy(input_ids=ids).logits[:, before]
            after = torch.gather(logits.log_softmax(-1), 2, self.forced.unsqueeze(-1)).squeeze(-1)
        logged = self.trainer.state.log_history[-1]
        np.savez(
            path, tokens=self.forced, logprobs=saw["logprobs"][0],
            ref_logprobs=saw["logprobs"][1], values=saw["value"][0][:, before].squeeze(-1),
            scores=saw["reward"][0], advantages=saw["advantages"][0], after=after,
            policy_loss=logged["loss/policy_avg"],
            value_loss=logged["loss/value_avg"],
            approxkl=logged["policy/approxkl_avg"])


def main() -> None:
    work = Work.load(sys.argv[1])
    Side(work, Server(work)).trainer.train()


if __name__ == "__main__":
    main()
