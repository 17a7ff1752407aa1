"""The reward model: a sequence classifier that reads text with its own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, tensor

from workbench.feedback.classifier import Classifier
from workbench.feedback.reward_text import Reader, Reads
from workbench.models.control import Control
from workbench.models.device import Placement
from workbench.models.kernels import use_native_gelu
from workbench.models.phases import Phase
from workbench.records import Exchange


class Reward(Protocol):
    """Anything that scores whole completions."""

    def score(
        self, exchanges: Sequence[Exchange], *, control: Control, phase: Phase = Phase.SCORING
    ) -> Tensor:
        """Return one float32 score a completion, (b,), on the CPU."""


class RewardModel:
    """Scores whole completions. It sees text only, so its tokenizer need not be the policy's."""

    def __init__(
        self, model: Any, tokenizer: Any, label: int, placement: Placement,
        folder: Path | None = None, *, reads: Reads = "auto", end_token: bool = False,
    ) -> None:
        """Wrap a sequence classifier on ``placement.device``.

        Args:
            label: the output that is the score.
            folder: where it was read from.
            reads, end_token: as :class:`workbench.feedback.reward_text.Reader` has them.
        """
        use_native_gelu(model)
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.label = label
        self.folder = folder
        self.placement = placement
        self.plain = reads == "auto" and not end_token
        """Whether it reads as its folder suggests."""
        self.reader = Reader(tokenizer, reads=reads, end_token=end_token)
        self.classifier = Classifier(model, label, placement.device)

    @property
    def max_length(self) -> int | None:
        """How many tokens it reads at most."""
        return self.reader.limit

    def try_out(self, source: str) -> None:
        """Try the model on a few texts, and find what it reads and how.

        Raises:
            LoadError: it cannot score text.
        """
        self.classifier.try_out(self.reader, source)

    def score(
        self, exchanges: Sequence[Exchange], *, control: Control, phase: Phase = Phase.SCORING
    ) -> Tensor:
        """Return one float32 score a completion, (b,), on the CPU.

        Raises:
            RewardError: a text cannot be read.
        """
        return self.judge(exchanges, control=control, phase=phase)[0]

    def judge(
        self, exchanges: Sequence[Exchange], *, control: Control, phase: Phase = Phase.SCORING
    ) -> tuple[Tensor, Tensor]:
        """Return what :meth:`score` does, and how many tokens of each text's beginning were left
        out because it was too long, (b,) int64."""
        rows = self.reader.read(exchanges)
        scores = self.classifier.score(rows, lambda done: control.step(phase, done, len(rows)))
        return scores, tensor([row.cut for row in rows])
