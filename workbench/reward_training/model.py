"""A sequence classifier in training: on a policy's trunk, or the reward model that is there."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from workbench.feedback.classifier import head_name
from workbench.feedback.reward_model import RewardModel
from workbench.feedback.reward_text import Reads, Row
from workbench.models import ranks
from workbench.models.capabilities import Batching
from workbench.models.device import Placement, tokens_at_once
from workbench.models.forward import cut_by_width, micro_batches
from workbench.models.four_bit import packed_layers
from workbench.models.merging import SHARD
from workbench.models.policy import (
    Policy,
    UnsupportedModelError,
    checkpoint_layers,
    no_cache,
    recomputing,
)
from workbench.models.sampling import Completions
from workbench.models.sharding import is_shared_out
from workbench.models.sources import LoadError
from workbench.models.trainable import add_adapters
from workbench.records import Exchange

_STD = 0.02
_PROBES = (
    Exchange("The tea", " was hot.", "The tea was hot."),
    Exchange("a", " b", "a b"),
    Exchange("Hello, cat", " on the mat, in the rain.", "Hello, cat on the mat, in the rain."))


def of_policy(policy: Policy, tokenizer: Any) -> Any:
    """Return a classifier with one output on a copy of the policy's trunk: a head without bias,
    small and random, so that all scores begin near 0.

    Raises:
        UnsupportedModelError: transformers has no classifier of this kind.
    """
    if packed_layers(policy.model):
        raise UnsupportedModelError(
            "The policy's weights are packed into 4 bits, and a reward model is a copy of them "
            "that learns: load a policy whose weights are not packed.")
    config = copy.deepcopy(policy.config)
    config.num_labels = 1
    config.id2label, config.label2id = {0: "reward"}, {"reward": 0}
    if config.pad_token_id is None or config.pad_token_id == tokenizer.eos_token_id:
        config.pad_token_id = _padding(tokenizer)
    kind = type(policy.model).__name__
    try:
        with torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(config)
    except ValueError as error:
        raise UnsupportedModelError(
            f"transformers has no classifier for the policy's architecture ({kind}); choose "
            "another policy, or let a reward model go on (begins_as).") from error
    heads = [name for name, child in model.named_children() if name != model.base_model_prefix
             and any(True for _ in child.parameters())]
    head = getattr(model, heads[0]) if len(heads) == 1 else None
    if type(model.base_model) is not type(policy.trunk) or not isinstance(head, nn.Linear):
        raise UnsupportedModelError(
            f"The classifier of transformers for the policy's architecture ({kind}) is built in "
            "another way than its language model; choose another policy, or let a reward model go "
            "on (begins_as).")
    setattr(model, model.base_model_prefix, copy.deepcopy(policy.trunk))
    # Drawn on the CPU: a seed gives the same numbers on every device.
    made = nn.Linear(head.in_features, 1, bias=head.bias is not None)
    nn.init.normal_(made.weight, std=_STD)
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    setattr(model, heads[0], made.to(policy.device))
    return model


def of_reward(reward: Any) -> Any:
    """Return a copy of a reward model, to go on learning.

    Raises:
        UnsupportedModelError: it is no single classifier with one output.
    """
    if not isinstance(reward, RewardModel) or reward.model.config.num_labels != 1:
        raise UnsupportedModelError(
            "The reward that is loaded is no single sequence classifier with one output, so it "
            "cannot go on learning: load one, or set Begins as (begins_as) to policy.")
    return copy.deepcopy(reward.model).float()


def _padding(tokenizer: Any) -> int | None:
    """Return a token to pad with that ends no text; the end token where there is none."""
    end = tokenizer.eos_token_id
    known = (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id)
    return next((token for token in known if token is not None and token != end), end)


class RewardInTraining(nn.Module):
    """A sequence classifier that learns, and gives each row of tokens the score that plain
    transformers gives it alone.

    Where its trunk reads from left to right, the score is made of the state of the row's last
    token, without a mask, so that every token before it has a score as well: that of the text up
    to it. Whether that is the classifier's own number is found by trying; else it is asked itself.
    """

    def __init__(
        self, model: Any, tokenizer: Any, placement: Placement, *, reads: Reads = "auto",
        end_token: bool = False, lora_rank: int = 0, gradient_checkpointing: bool = False,
        branches: int = 0,
    ) -> None:
        """Train ``model``, which lies on ``placement.device``.

        Args:
            reads, end_token: as :class:`workbench.feedback.reward_text.Reader` has them.
            branches: the width of the trunk's states, if two texts that begin alike can share a
                row (:mod:`workbench.models.branches`); else 0.

        Raises:
            UnsupportedModelError: it cannot score text, or cannot be trained as asked.
        """
        super().__init__()
        self.reward = model
        self.placement = placement
        # Padding that is the end token would hide it.
        end_token = end_token and model.config.pad_token_id != tokenizer.eos_token_id
        whole = Placement(placement.device, torch.float32)
        scorer = RewardModel(model, tokenizer, 0, whole, reads=reads, end_token=end_token)
        try:
            scorer.try_out("that is to be trained")
        except LoadError as error:
            raise UnsupportedModelError(str(error)) from error
        self.reader, self.classifier = scorer.reader, scorer.classifier
        self.end_token, self._branches = end_token, branches
        self._head = head_name(model)
        self._checkpointed: list[Any] = []
        self.states_suffice = self._head is not None and self._try_states()
        """Whether a score is made of the state of a row's last token alone."""
        if gradient_checkpointing:
            self._checkpointed = checkpoint_layers(model)
        if lora_rank:
            add_adapters(model.base_model, lora_rank)
            for parameter in self._outside():
                parameter.requires_grad_(True)
        else:
            model.requires_grad_(True)

    @property
    def has_head(self) -> bool:
        """Whether it is known which layer makes the score of a state."""
        return self._head is not None

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.placement.device

    def scores(self, rows: Sequence[Row]) -> Tensor:
        """Return the score of each of a few rows, (n,) float32, with their gradient. Where ranks
        share out the weights all ask at the same time, if only for no rows."""
        if not is_shared_out(self):
            return self._scores(rows) if rows else torch.zeros(0, device=self.device)
        padded = self.states_suffice or self.classifier.batching is Batching.PADDED
        calls = 1 if padded else ranks.most(len(rows))
        asked = [*rows, *self.reader.read(_PROBES[:1]) * (calls - len(rows))]
        return self._scores(asked)[: len(rows)]

    def _scores(self, rows: Sequence[Row]) -> Tensor:
        if self.states_suffice:
            states = self._states(rows)
            return self._score(states[torch.arange(len(rows)), self._ends(rows)])
        with self._autocast(), recomputing(self._checkpointed):
            if self.classifier.batching is Batching.PADDED:
                return self.classifier.logits(rows)
            return torch.cat([self.classifier.logits([row]) for row in rows])

    def score_pairs(
        self, rows: Sequence[Row], max_tokens: int
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Yield the places of some of n pairs and the scores of their rows, (2k,) float32, with
        their gradient, until all have been read. What the rows of a pair begin with alike is read
        once, where that takes fewer operations.

        Args:
            rows: 2n, the two of each pair in turn.
            max_tokens: at once, padding included; 0 for what suits the device.
        """
        if not self.states_suffice:
            for pairs in _side_by_side(rows, tokens_at_once(max_tokens, self.device)):
                some = [rows[2 * p + side] for p in pairs for side in (0, 1)]
                yield pairs, self.scores(some)
            return
        ends = self._ends(rows)
        shared = [min(tokens_alike(rows[i], rows[i + 1]), ends[i], ends[i + 1])
                  for i in range(0, len(rows), 2) for _ in range(2)]
        # The last token of a response is never fed: nothing is predicted from it.
        completions = Completions.of_ids(
            [row.ids[:alike] for row, alike in zip(rows, shared, strict=True)],
            [[*row.ids[alike : end + 1], 0] for row, alike, end in zip(
                rows, shared, ends, strict=True)], self.device, siblings=2)
        last = completions.lengths - 1
        for batch in micro_batches(
                completions, torch.arange(len(rows)), max_tokens=max_tokens, device=self.device,
                together=2, branches=self._branches):
            states = self.hidden_states(
                batch.input_ids, batch.positions, batch.seen).flatten(0, 1)
            whole = batch.column == last[batch.row]
            found, order = batch.row[whole].sort()
            yield (found[::2] // 2).tolist(), self._score(states[batch.source[whole][order]])

    @torch.no_grad()
    def token_scores(self, rows: Sequence[Row]) -> list[Tensor]:
        """Return the score of each row's text up to each of its tokens, (L,) on the CPU; NaN but
        for the last where they are not known."""
        if self.states_suffice:
            found = self._score(self._states(rows)).cpu()
            return [scores[: len(row.ids)] for scores, row in zip(found, rows, strict=True)]
        last = self.scores(rows).cpu()
        return [torch.cat([torch.full((len(row.ids) - 1,), torch.nan), last[i : i + 1]])
                for i, row in enumerate(rows)]

    @contextlib.contextmanager
    def in_full_precision(self) -> Iterator[None]:
        """Let everything within be float32."""
        placement, self.placement = self.placement, Placement(self.device, torch.float32)
        try:
            yield
        finally:
            self.placement = placement

    @contextlib.contextmanager
    def standardised(self, mean: float, deviation: float) -> Iterator[bool]:
        """Let scores be (r - mean)÷deviation for as long as the context lasts, by the weights of
        the head; not a bit of them is another afterwards. Gives whether the mean could be held as
        well: a head without bias, after a norm without one, has no place for it."""
        if self._head is None:
            raise ValueError("it is not known which layer makes the score")
        head = self._linear()
        before = {p: p.detach().clone() for p in (head.weight, *self._shifts())}
        try:
            with torch.no_grad():
                head.weight /= deviation
                yield self._shift(-mean / deviation, 1 / deviation, before)
        finally:
            with torch.no_grad():
                for parameter, value in before.items():
                    parameter.copy_(value)

    def save(self, folder: str) -> None:
        """Save the classifier as it stands as a plain folder; adapters are merged.

        Raises:
            OSError: the folder cannot be written.
        """
        model = self.reward
        if any(hasattr(module, "base_layer") for module in model.modules()):
            model = copy.deepcopy(model)
            for parent in list(model.modules()):
                for name, child in parent.named_children():
                    if hasattr(child, "base_layer"):
                        child.merge()
                        setattr(parent, name, child.get_base_layer())
        model.save_pretrained(folder, max_shard_size=SHARD)

    def _states(self, rows: Sequence[Row]) -> Tensor:
        """Return the trunk's states of rows side by side, (n, L, H)."""
        longest = max(len(row.ids) for row in rows)
        ids = torch.tensor([[*row.ids, *[0] * (longest - len(row.ids))] for row in rows],
                           device=self.device)
        return self.hidden_states(ids)

    def hidden_states(
        self, input_ids: Tensor, positions: Tensor | None = None, seen: Tensor | None = None
    ) -> Tensor:
        """Run the trunk over whole texts, padded on the right, as
        :meth:`workbench.models.policy.Policy.hidden_states` does: (b, L, H) of (b, L) ids."""
        trunk = self.reward.base_model
        more = {} if positions is None else {"position_ids": positions, "attention_mask": seen}
        with self._autocast(), recomputing(self._checkpointed):
            return trunk(input_ids=input_ids, **more, **no_cache(trunk))[0]

    def _score(self, states: Tensor) -> Tensor:
        """Return the scores (...) of states (..., H), in float32."""
        head = self._linear()
        with torch.autocast(self.device.type, enabled=False):
            return nn.functional.linear(states.float(), head.weight, head.bias).squeeze(-1)

    def _ends(self, rows: Sequence[Row]) -> list[int]:
        """Return where the classifier reads the score: at the last token that is no padding."""
        padding = self.reward.config.get_text_config().pad_token_id
        return [next((i for i in range(len(row.ids) - 1, -1, -1) if row.ids[i] != padding),
                     len(row.ids) - 1) for row in rows]

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.placement.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.placement.dtype)

    def _linear(self) -> nn.Linear:
        assert self._head is not None
        return self.reward.get_submodule(self._head)

    def _outside(self) -> list[nn.Parameter]:
        """The parameters that are none of the trunk's."""
        inside = {id(p) for p in self.reward.base_model.parameters()}
        return [p for p in self.reward.parameters() if id(p) not in inside]

    @torch.no_grad()
    def _try_states(self) -> bool:
        rows = self.reader.read(_PROBES)
        try:
            with self.in_full_precision():
                found = self._score(self._states(rows)[torch.arange(len(rows)), self._ends(rows)])
            right = torch.cat([self.classifier.run([row]) for row in rows])
        except (IndexError, RuntimeError, TypeError, ValueError):
            return False  # it is no trunk that reads tokens alone
        return torch.allclose(found.cpu(), right, rtol=1e-3, atol=1e-4 * max(
            1e-2, right.abs().max().item()))

    def _shifts(self) -> list[nn.Parameter]:
        """Return the weights that can hold a constant: the head's bias, or that of the norm whose
        states it reads."""
        head = self._linear()
        if head.bias is not None:
            return [head.bias]
        norms = [m for m in self.reward.base_model.modules() if isinstance(m, nn.LayerNorm)
                 and m.bias is not None and m.bias.shape[0] == head.in_features]
        return [norms[-1].bias] if norms else []

    def _shift(self, by: float, times: float, before: dict[Any, Tensor]) -> bool:
        """Add a constant to all scores, if there is a place for it; found by trying.

        Args:
            times: what scores are multiplied with already.
        """
        head, rows = self._linear(), self.reader.read(_PROBES)
        scores = self.classifier.score(rows, lambda _: None)
        for bias in self._shifts():
            if bias is head.bias:
                bias.mul_(times).add_(by)
                return True
            weight = head.weight[0].float()
            bias.add_(by * weight / weight.square().sum().clamp(min=1e-12))
            moved = self.classifier.score(rows, lambda _: None) - scores
            if bool(((moved - by).abs() <= 1e-3 * max(1.0, abs(by))).all()):
                return True
            bias.copy_(before[bias])
        return False


def tokens_alike(one: Row, other: Row) -> int:
    """Return how many tokens two rows begin with alike."""
    pairs = enumerate(zip(one.ids, other.ids, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one.ids), len(other.ids)))


def _side_by_side(rows: Sequence[Row], max_tokens: int) -> Iterator[list[int]]:
    """Split pairs by length so that hardly any padding is computed; yield the places of each
    part. Where ranks are together, each gets its share, and all as many: some are empty."""
    width = [max(len(rows[i].ids), len(rows[i + 1].ids)) for i in range(0, len(rows), 2)]
    order = sorted(ranks.share(width), key=lambda p: -width[p])
    cuts = list(cut_by_width([width[p] for p in order for _ in range(2)], max_tokens, together=2))
    wanting = ranks.most(len(cuts)) - len(cuts)
    first = 0
    for count, _ in cuts:
        yield order[first // 2 : (first + count) // 2]
        first += count
    yield from ([] for _ in range(wanting))
