"""What a trainer of TRL asks for its batches: it waits there for the next request."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from serve import Phases, Server
from transformers import PreTrainedTokenizerFast
from work import EOS, PAD, Work, word


class Batches:
    """A data loader that gives a cycle's batches whenever a cycle is asked for; so a cycle is what
    happens until the trainer asks for more."""

    def __init__(
        self, server: Server, phases: Phases, dataset: Any,
        of_cycle: Callable[[dict[str, Any]], Iterable[Any]],
        found: Callable[[], dict[str, Any]],
    ) -> None:
        """Give what ``of_cycle`` returns for a request; ``found`` is what a check saves."""
        self.dataset = dataset
        self._server, self._phases = server, phases
        self._of_cycle, self._found = of_cycle, found
        self.cycle = 0

    def __iter__(self) -> Iterator[Any]:
        for request in self._server.requests():
            self.cycle += 1
            batches = list(self._of_cycle(request))
            start = time.perf_counter()
            yield from batches
            seconds = time.perf_counter() - start
            if request["do"] == "check":
                np.savez(request["save"], **self._found())
                self._server.answer(saved=request["save"])
            else:
                self._server.answer_cycle(self.cycle, seconds, self._phases.take(seconds))
        # The trainer would ask for ever.
        raise SystemExit


def tokenizer_of(work: Work) -> PreTrainedTokenizerFast:
    """Return the benchmark's tokenizer."""
    return PreTrainedTokenizerFast(
        tokenizer_file=f"{work.models}/policy/tokenizer.json", eos_token=word(EOS),
        pad_token=word(PAD), padding_side="left")


def common_settings(work: Work) -> dict[str, Any]:
    """Return the settings that are not left to TRL, for float32 on the processor."""
    return {
        "output_dir": tempfile.mkdtemp(), "use_cpu": True, "bf16": False, "max_steps": 10**6,
        "learning_rate": work.learning_rate, "lr_scheduler_type": "constant",
        "adam_epsilon": 1e-5, "max_grad_norm": 0.0, "report_to": "none", "save_strategy": "no",
        "disable_tqdm": True, "seed": work.seed}


def flat_weights(model: Any) -> np.ndarray:
    """Return all weights of a model in one row, by name."""
    return np.concatenate([weights.detach().numpy().ravel()
                           for _, weights in sorted(model.named_parameters())])
