"""TRL 1.16.0's side of GRPO: its trainer's loop runs untouched. A cycle is the steps taken on what
was generated for it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from sequences import prompt_ids, steer_multinomial, text
from serve import Phases, Server
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
from trl import GRPOConfig, GRPOTrainer
from trl.trainer import grpo_trainer
from trl_batches import Batches, common_settings, flat_weights, tokenizer_of
from work import Work


class Side:
    """A trainer whose data loader is the requests."""

    def __init__(self, work: Work, server: Server) -> None:
        self.work = work
        self.phases = Phases()
        self.forced: torch.Tensor | None = None
        self.saw: dict[str, Any] = {}
        policy = AutoModelForCausalLM.from_pretrained(f"{work.models}/policy")
        reference = AutoModelForCausalLM.from_pretrained(f"{work.models}/reference")
        reward = AutoModelForSequenceClassification.from_pretrained(f"{work.models}/reward")
        config = GRPOConfig(
            **common_settings(work), per_device_train_batch_size=work.rows,
            gradient_accumulation_steps=1, steps_per_generation=1, gradient_checkpointing=False,
            num_generations=work.group, num_iterations=work.epochs, beta=work.kl_coef,
            max_completion_length=work.response_length,
            # The gradient of KL itself, which the workbench has, not one weighted by the ratio.
            use_bias_correction_kl=False)
        prompts = [f"{text(ids)} " for ids in prompt_ids(work)]
        self.trainer = GRPOTrainer(
            model=policy, reward_funcs=reward, args=config, processing_class=tokenizer_of(work),
            reward_processing_classes=tokenizer_of(work),
            train_dataset=Dataset.from_dict({"prompt": prompts}))
        if self.trainer.ref_model is not None:  # it begins as a copy of what is trained
            self.trainer.ref_model.load_state_dict(reference.state_dict())
        self.loader = Batches(
            server, self.phases, self.trainer.train_dataset, self._batches, self._found)
        self.trainer.get_train_dataloader = lambda: self.loader
        self._watch()

    def _watch(self) -> None:
        """Time the phases, fix the response lengths, and keep what a check compares."""
        trainer, phases = self.trainer, self.phases
        generate, score = trainer._generate_single_turn, trainer._calculate_rewards
        read, compute_loss = trainer._get_per_token_logps_and_entropies, trainer.compute_loss
        prepare = trainer._generate_and_score_completions

        def sampling(*args: Any, **kwargs: Any) -> Any:
            with phases.time("sampling"), steer_multinomial(
                    self.work, self.loader.cycle, self.forced):
                return generate(*args, **kwargs)

        def scoring(*args: Any, **kwargs: Any) -> Any:
            with phases.time("reward"):
                self.saw["scores"] = score(*args, **kwargs)[:, 0]
            return self.saw["scores"].unsqueeze(1)

        def logps(model: Any, *args: Any, **kwargs: Any) -> Any:
            if torch.is_grad_enabled():
                found = read(model, *args, **kwargs)
                self.saw.setdefault("logprobs", []).append(found[0].detach())
                return found
            # Also the policy's own before the first step, where there are several.
            with phases.time("reference"):
                return read(model, *args, **kwargs)

        def prepared(*args: Any, **kwargs: Any) -> Any:
            self.saw["batch"] = prepare(*args, **kwargs)
            return dict(self.saw["batch"])

        def loss(*args: Any, **kwargs: Any) -> Any:
            found = compute_loss(*args, **kwargs)
            self.saw.setdefault("loss", []).append(found.detach())
            return found

        trainer._generate_single_turn, trainer._calculate_rewards = sampling, scoring
        trainer._get_per_token_logps_and_entropies, trainer.compute_loss = logps, loss
        trainer._generate_and_score_completions = prepared

    def _batches(self, request: dict[str, Any]) -> list[Any]:
        self.saw = {}
        prompts = self.trainer.train_dataset["prompt"]
        if request["do"] == "check":
            ours = np.load(request["ours"])
            self.forced = torch.tensor(ours["tokens"])
            prompts = [f"{text(ids)} " for ids in ours["prompts"].tolist()[:: self.work.group]]
            self.saw["before"] = flat_weights(self.trainer.model)
            # Rows would be shuffled, which changes nothing but their order.
            grpo_trainer.shuffle_sequence_dict = lambda batch: batch
        rows = [{"prompt": prompt} for prompt in prompts for _ in range(self.work.group)]
        return [rows] * self.work.epochs

    def _found(self) -> dict[str, Any]:
        assert self.forced is not None
        batch, mask = self.saw["batch"], self.saw["batch"]["completion_mask"].bool()
        after = flat_weights(self.trainer.model)
        with torch.no_grad():
            ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
            logits = self.trainer.model(
                input_ids=ids, attention_mask=torch.cat([batch["prompt_mask"], mask], dim=1)
            ).logits[:, batch["prompt_ids"].shape[1] - 1 : -1].log_softmax(-1)
            updated = logits.gather(2, batch["completion_ids"].unsqueeze(-1)).squeeze(-1)

        def real(numbers: torch.Tensor) -> torch.Tensor:
            return numbers.masked_fill(~mask, 0)

        return {
            "tokens": real(batch["completion_ids"]), "logprobs": real(self.saw["logprobs"][0]),
            "ref_logprobs": real(batch["ref_per_token_logps"]), "scores": self.saw["scores"],
            "advantages": batch["advantages"], "loss": torch.stack(self.saw["loss"]).mean(),
            "after": real(updated), "weights": after, "moved": after - self.saw["before"]}


def main() -> None:
    work = Work.load(sys.argv[1])
    Side(work, Server(work)).trainer.train()


if __name__ == "__main__":
    main()
