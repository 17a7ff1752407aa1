"""TRL 1.16.0's side of training a reward model: its trainer's loop runs untouched. A cycle is one
pass over the pairs.

``trl-1.16.0-reward`` takes a step's pairs through the model at once and keeps all activations;
``trl-1.16.0-reward-defaults`` has TRL's defaults: eight pairs at once, activations recomputed.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from datasets import Dataset
from sequences import pairs, text
from serve import Phases, Server
from transformers import AutoModelForSequenceClassification
from trl import RewardConfig, RewardTrainer
from trl_batches import Batches, common_settings, flat_weights, tokenizer_of
from work import EOS, Work, head_weights, word

_AT_ONCE = 8


class Side:
    """A trainer whose data loader is the requests."""

    def __init__(self, work: Work, server: Server, *, defaults: bool) -> None:
        self.work = work
        self.phases = Phases()
        self.saw: dict[str, Any] = {}
        each = work.rows // work.mini_batches
        self.at_once = min(_AT_ONCE, each) if defaults else each
        model = AutoModelForSequenceClassification.from_pretrained(
            f"{work.models}/policy", num_labels=1)
        with torch.no_grad():
            model.score.weight.copy_(torch.tensor([head_weights(model.score.in_features)]))
        config = RewardConfig(
            **common_settings(work), per_device_train_batch_size=self.at_once,
            gradient_accumulation_steps=each // self.at_once, gradient_checkpointing=defaults)
        self.trainer = RewardTrainer(
            args=config, model=model, processing_class=tokenizer_of(work),
            train_dataset=Dataset.from_list([
                {"chosen": f"{text(p)} {text(c[:-1])} {word(EOS)}",
                 "rejected": f"{text(p)} {text(r[:-1])} {word(EOS)}"} for p, c, r in pairs(work)]))
        self.examples = list(self.trainer.train_dataset)
        loader = Batches(
            server, self.phases, self.trainer.train_dataset, self._batches, self._found)
        self.trainer.get_train_dataloader = lambda: loader
        self._watch()

    def _watch(self) -> None:
        """Keep what a check compares."""
        compute_loss = self.trainer.compute_loss

        def loss(model: Any, inputs: Any, **kwargs: Any) -> Any:
            found, outputs = compute_loss(model, inputs, **{**kwargs, "return_outputs": True})
            self.saw |= {"loss": found.detach(), "scores": outputs.logits.detach().squeeze(-1)}
            return (found, outputs) if kwargs.get("return_outputs") else found

        self.trainer.compute_loss = loss

    def _batches(self, request: dict[str, Any]) -> list[Any]:
        self.saw["before"] = flat_weights(self.trainer.model) if request["do"] == "check" else None
        return [self.trainer.data_collator(self.examples[first : first + self.at_once])
                for first in range(0, len(self.examples), self.at_once)]

    def _found(self) -> dict[str, Any]:
        """What a check saves: of rows that are all the chosen ones, then all the rejected ones."""
        scores = torch.stack(self.saw["scores"].chunk(2), dim=1)
        after = flat_weights(self.trainer.model)
        return {
            "tokens": [token for e in self.examples for name in ("chosen_ids", "rejected_ids")
                       for token in e[name]],
            "scores": scores.flatten(), "loss": self.saw["loss"],
            "margins": (scores[:, 0] - scores[:, 1]).mean(), "weights": after,
            "moved": after - self.saw["before"]}


def main() -> None:
    work = Work.load(sys.argv[1])
    Side(work, Server(work), defaults=sys.argv[2].endswith("defaults")).trainer.train()


if __name__ == "__main__":
    main()
