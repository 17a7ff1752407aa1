"""TRL 1.16.0's side of DPO: its trainer's loop runs untouched. A cycle is one pass over the pairs.

``trl-1.16.0-dpo`` takes a step's pairs through the model at once and keeps all activations;
``trl-1.16.0-dpo-defaults`` has TRL's defaults: eight pairs at once, activations recomputed.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from datasets import Dataset
from sequences import pairs, text
from serve import Phases, Server
from transformers import AutoModelForCausalLM
from trl import DPOConfig, DPOTrainer
from trl_batches import Batches, common_settings, flat_weights, tokenizer_of
from work import EOS, Work, word

_AT_ONCE = 8


class Side:
    """A trainer whose data loader is the requests."""

    def __init__(self, work: Work, server: Server, *, defaults: bool) -> None:
        self.work = work
        self.phases = Phases()
        self.saw: dict[str, Any] = {}
        each = work.rows // work.mini_batches
        self.at_once = min(_AT_ONCE, each) if defaults else each
        policy, reference = (AutoModelForCausalLM.from_pretrained(f"{work.models}/{name}")
                             for name in ("policy", "reference"))
        config = DPOConfig(
            **common_settings(work), per_device_train_batch_size=self.at_once,
            gradient_accumulation_steps=each // self.at_once, gradient_checkpointing=defaults,
            loss_type=[work.loss])
        self.trainer = DPOTrainer(
            args=config, model=policy, ref_model=reference, processing_class=tokenizer_of(work),
            train_dataset=Dataset.from_list([
                {"prompt": f"{text(p)} ", "chosen": text(c[:-1]) + word(EOS),
                 "rejected": text(r[:-1]) + word(EOS)} for p, c, r in pairs(work)]))
        self.examples = list(self.trainer.train_dataset)
        loader = Batches(
            server, self.phases, self.trainer.train_dataset, self._batches, self._found)
        self.trainer.get_train_dataloader = lambda: loader
        self._watch()

    def _watch(self) -> None:
        """Time the reference, and keep what a check compares."""
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
        """What a check saves: of rows that are all the chosen ones, then all the rejected ones."""
        known = [(e["prompt_ids"], e["chosen_ids"], e["rejected_ids"]) for e in self.examples]
        lengths = torch.tensor([[len(c), len(r)] for _, c, r in known])
        logprobs, reference = (
            torch.stack(self.saw[name].chunk(2), dim=1) for name in ("logprobs", "ref_logprobs"))
        after = flat_weights(self.trainer.model)
        margins = self.trainer.args.beta * ((logprobs - reference) @ torch.tensor([1.0, -1.0]))
        return {
            "tokens": [token for pair in known for ids in pair for token in ids],
            "logprobs": logprobs / lengths, "ref_logprobs": reference / lengths,
            "loss": self.saw["loss"], "margins": margins.mean(), "weights": after,
            "moved": after - self.saw["before"]}


def main() -> None:
    work = Work.load(sys.argv[1])
    Side(work, Server(work), defaults=sys.argv[2].endswith("defaults")).trainer.train()


if __name__ == "__main__":
    main()
