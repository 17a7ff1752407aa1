"""TRL 1.16.0's side of KTO: its trainer's loop runs untouched. A cycle is one pass over the
completions, a step's at once, all activations kept."""

from __future__ import annotations

import sys
from typing import Any

import torch
from datasets import Dataset
from sequences import marks, text
from serve import Phases, Server
from transformers import AutoModelForCausalLM
from trl import KTOConfig, KTOTrainer
from trl_batches import Batches, common_settings, flat_weights, tokenizer_of
from work import EOS, Work, word


class Side:
    """A trainer whose data loader is the requests."""

    def __init__(self, work: Work, server: Server) -> None:
        self.phases = Phases()
        self.saw: dict[str, Any] = {}
        self.at_once = work.rows // work.mini_batches
        # As on our side: z is above 0.
        policy, reference = (AutoModelForCausalLM.from_pretrained(f"{work.models}/{name}")
                             for name in ("reference", "policy"))
        config = KTOConfig(
            **common_settings(work), per_device_train_batch_size=self.at_once,
            gradient_checkpointing=False)
        self.trainer = KTOTrainer(
            args=config, model=policy, ref_model=reference, processing_class=tokenizer_of(work),
            train_dataset=Dataset.from_list([
                {"prompt": f"{text(prompt)} ", "completion": text(completion[:-1]) + word(EOS),
                 "label": good} for prompt, completion, good in marks(work)]))
        self.examples = list(self.trainer.train_dataset)
        loader = Batches(
            server, self.phases, self.trainer.train_dataset, self._batches, self._found)
        self.trainer.get_train_dataloader = lambda: loader
        self._watch()

    def _watch(self) -> None:
        """Time the reference, and keep what a check compares: of either model what it finds last,
        which is not the mismatched completions."""
        reference, policy = self.trainer.ref_model, self.trainer.model
        compute_loss = self.trainer.compute_loss

        def kept(name: str, forward: Any) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                found = forward(*args, **kwargs)
                self.saw[name] = found.log_probs.detach().sum(dim=1)
                return found
            return call

        def loss(*args: Any, **kwargs: Any) -> Any:
            found = compute_loss(*args, **kwargs)
            self.saw["loss"] = found.detach()
            self.saw |= {name: told[-1] for name, told in self.trainer._metrics["train"].items()}
            return found

        reference.forward = self.phases.timed(
            kept("ref_logprobs", reference.forward), lambda *_, **__: "reference")
        policy.forward = kept("logprobs", policy.forward)
        self.trainer.compute_loss = loss

    def _batches(self, request: dict[str, Any]) -> list[Any]:
        self.saw["before"] = flat_weights(self.trainer.model) if request["do"] == "check" else None
        return [self.trainer.data_collator(self.examples[first : first + self.at_once])
                for first in range(0, len(self.examples), self.at_once)]

    def _found(self) -> dict[str, Any]:
        """What a check saves."""
        lengths = torch.tensor([len(e["completion_ids"]) for e in self.examples])
        after = flat_weights(self.trainer.model)
        return {
            "tokens": [token for e in self.examples for ids in (
                e["prompt_ids"], e["completion_ids"]) for token in ids],
            "logprobs": self.saw["logprobs"] / lengths,
            "ref_logprobs": self.saw["ref_logprobs"] / lengths, "loss": self.saw["loss"],
            "kl": self.saw["kl"], "good": self.saw["rewards/chosen"],
            "bad": self.saw["rewards/rejected"], "weights": after,
            "moved": after - self.saw["before"]}


def main() -> None:
    work = Work.load(sys.argv[1])
    Side(work, Server(work)).trainer.train()


if __name__ == "__main__":
    main()
