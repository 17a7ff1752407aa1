"""What loaded models cost in memory: measured by running them on a handful of tokens.

Formulas from hidden size, layers and heads would have to know every architecture, every attention
kernel, and what each saves for its backward pass. Instead the models themselves are run on four
tiny shapes while every tensor they allocate is counted. The bytes of an operation are a polynomial
in rows and length, so the four give the costs of any shape, on every device and in every
precision, for milliseconds of work and next to no memory. No weight's gradient is made. Adapters
are measured as they run, at two small ranks: what they cost is linear in the rank.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers.pytorch_utils import Conv1D

from workbench.feedback.weighted_reward import models_of
from workbench.models import four_bit
from workbench.models.capabilities import Batching, Capabilities
from workbench.models.decoders import read_on
from workbench.models.device import Placement, placement_on
from workbench.models.kernels import packed_weights
from workbench.models.kv_cache import make_cache
from workbench.models.optimizer import state_bytes
from workbench.models.policy import Policy
from workbench.models.probe_copy import probe_copy, undisturbed
from workbench.models.token_statistics import token_statistics
from workbench.settings import Settings

S = TypeVar("S", bound=Settings)

LENGTH = 16  # tokens of the shorter probes; the longer ones have twice as many
_RANKS = 2, 4  # of the adapters that are measured


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes of ``rows`` sequences of ``length`` tokens."""

    constant: float
    length: float
    """Once for all rows, such as positions."""
    token: float
    pair: float
    """Of attention without a lean kernel."""

    def __call__(self, rows: int, length: int) -> int:
        """Return the bytes."""
        each = self.token + length * self.pair
        return round(self.constant + length * (self.length + rows * each))


@dataclass(frozen=True, slots=True)
class Trunk:
    """A transformer in training: what its forward pass keeps, and the most that ever lives."""

    kept: Cost
    peak: Cost


@dataclass(frozen=True, slots=True)
class Weights:
    """Of one model: bytes as loaded, and numbers of parameters in training."""

    bytes: int
    parameters: int
    trunk_parameters: int
    adapter_parameters: int
    """With adapters of rank 1."""
    head_parameters: int
    largest_layer: int
    """Parameters of the largest matrix between embeddings and head."""

    @classmethod
    def of(cls, model: Any, trunk: nn.Module) -> Weights:
        """Count a transformers model, whose ``trunk`` reads the texts."""
        head, embeddings = model.get_output_embeddings(), model.get_input_embeddings().weight
        outer = {id(embeddings), *(id(p) for p in (head.parameters() if head else ()))}
        adapted = [
            (m.in_features, m.out_features) if isinstance(m, nn.Linear) else m.weight.shape
            for m in trunk.modules() if isinstance(m, nn.Linear | Conv1D) and m is not head]
        return cls(
            bytes=_bytes(model),
            parameters=four_bit.count(model),
            trunk_parameters=sum(p.numel() for p in trunk.parameters()),
            adapter_parameters=sum(sum(shape) for shape in adapted),
            head_parameters=head.weight.numel() if head else 0,
            largest_layer=max((p.numel() for p in model.parameters() if id(p) not in outer),
                              default=0))


class Footprint(Generic[S]):
    """The loaded models as memory sees them; measured when first asked, and remembered."""

    def __init__(self, policy: Policy, reward: Any) -> None:
        """Count the weights.

        Args:
            reward: a reward model, or anything that scores and takes no memory worth counting.
        """
        self.model, self.device = policy.model, policy.device
        self.capabilities = policy.capabilities
        scorers = models_of(reward)
        self.scorer = scorers[0] if scorers else None
        self.weights = Weights.of(policy.model, policy.trunk)
        self.width = policy.value_width
        self.reward_bytes = sum(_bytes(scorer) for scorer in scorers)
        self._scorers = scorers
        self._measured: dict[Any, Any] = {}

    @property
    def branches(self) -> int:
        """The width of the states, if completions of one prompt can share a row; else 0."""
        return self.width if self.capabilities.branches else 0

    def rewards(self) -> list[Cost]:
        """Return what each reward model costs while it scores."""
        if "rewards" not in self._measured:
            self._measured["rewards"] = [reward_costs(scorer) for scorer in self._scorers]
        return self._measured["rewards"]

    def costs(self, hp: S) -> PolicyCosts:
        """Return what the policy costs under these settings.

        Raises:
            UnsupportedModelError: it has no gradient checkpointing, and that is asked for.
        """
        if not hp.lora_rank:
            return self.policy_costs(hp, 0)
        low, high = (self.policy_costs(hp, rank) for rank in _RANKS)
        return _extrapolated(low, high, (hp.lora_rank - _RANKS[0]) / (_RANKS[1] - _RANKS[0]))

    def placement(self, hp: S) -> Placement:
        """Return where and in which precision a run computes."""
        return placement_on(self.device, hp.precision)

    def policy_costs(self, hp: S, rank: int) -> PolicyCosts:
        """Return what the policy costs with adapters of ``rank``; 0: with all weights trained."""
        checkpointing = hp.gradient_checkpointing
        return self.once(("policy", checkpointing, rank), hp, lambda placement: policy_costs(
            self.model, placement, gradient_checkpointing=checkpointing, lora_rank=rank,
            capabilities=self.capabilities))

    def once(self, what: Any, hp: S, measure: Callable[[Placement], Any]) -> Any:
        """Return what ``measure`` finds in the precision set; measured when first asked for."""
        placement = self.placement(hp)
        key = (what, placement.dtype)
        if key not in self._measured:
            self._measured[key] = measure(placement)
        return self._measured[key]

    def trained(self, hp: S) -> int:
        """Return how many parameters learn."""
        return self.weights.adapter_parameters * hp.lora_rank or self.weights.parameters

    def optimizer_bytes(self, hp: S) -> int:
        """Return the bytes of the optimiser's state."""
        return state_bytes(hp.optimizer, self.trained(hp))


@dataclass(frozen=True, slots=True)
class PolicyCosts:
    """What a policy costs beyond its weights, in one precision."""

    trunk: Trunk
    reading: Cost
    writing: Cost
    cache: Cost
    step: Cost
    """One more token, by the length of the cache with it."""
    packed: int
    """The copy of the weights that sampling is fast with."""
    head: Cost
    head_training: Cost
    head_entropy: Cost
    """In training with an entropy bonus."""
    width: int
    vocabulary: int


def policy_costs(
    model: Any, placement: Placement, *, gradient_checkpointing: bool, lora_rank: int = 0,
    capabilities: Capabilities | None = None,
) -> PolicyCosts:
    """Measure a causal language model of transformers, which stays as it is.

    Args:
        lora_rank: of the adapters that are trained; 0 where every weight is.

    Raises:
        UnsupportedModelError: it has no gradient checkpointing, and that is asked for.
    """
    with undisturbed(placement.device):
        return _policy_costs(Policy(
            probe_copy(model, lora_rank=lora_rank), placement,
            gradient_checkpointing=gradient_checkpointing, capabilities=capabilities))


def _policy_costs(policy: Policy) -> PolicyCosts:
    model, dtype = policy.model, policy.placement.dtype
    width, vocabulary = policy.value_width, policy.config.vocab_size
    length = min(LENGTH, (policy.context_length or 2 * LENGTH) // 2 - 1)

    def reading(rows: int, tokens: int) -> list[int]:
        with torch.no_grad(), _Live(model) as live:
            policy.hidden_states(_ids(rows, tokens, policy.device))
        return [live.peak]

    def writing(rows: int, tokens: int) -> list[int]:
        if not policy.capabilities.cached:
            return [*reading(rows, tokens), 0]
        cache = make_cache(model.config, tokens, own=policy.capabilities.own_cache)
        with torch.no_grad(), policy.autocast(), _Live(model) as live:
            _write(policy, cache, rows, 0, tokens)
            return [live.peak, live.now]

    def step(rows: int, tokens: int) -> list[int]:
        if not policy.capabilities.cached:
            return reading(rows, tokens)
        cache = make_cache(model.config, tokens, own=policy.capabilities.own_cache)
        with torch.no_grad(), policy.autocast(), _Live(model) as live:
            _write(policy, cache, rows, 0, tokens - 1)
            live.peak = before = live.now
            _write(policy, cache, rows, tokens - 1, tokens)
            return [live.peak - before]

    def packing() -> int:
        with torch.no_grad(), _Live(model) as live, packed_weights(model, dtype):
            return live.now

    def head(training: bool, entropy_gradient: bool = False) -> Callable[[int, int], list[int]]:
        def probe(rows: int, tokens: int) -> list[int]:
            torch.clear_autocast_cache()  # or the first alone would pay for its copies
            states = torch.zeros(rows * tokens, width, device=policy.device)
            taken = torch.zeros(rows * tokens, dtype=torch.long, device=policy.device)
            with torch.set_grad_enabled(training), _Live(model, states, taken) as live:
                leaf = states.requires_grad_(training)
                logprobs, entropy = token_statistics(
                    policy.logits(leaf), taken, entropy_gradient=entropy_gradient)
                if training:
                    loss = logprobs.sum() + (entropy.sum() if entropy_gradient else 0.0)
                    torch.autograd.grad(loss, [leaf])
            return [live.peak]
        return probe

    wrote, cache = _fit(writing, length)
    return PolicyCosts(
        trunk=trunk_costs(policy.trunk, policy.hidden_states, length, policy.device),
        reading=_fit(reading, length)[0], writing=wrote, cache=cache,
        step=_fit(step, length)[0], packed=packing(),
        head=_fit_tokens(head(False)), head_training=_fit_tokens(head(True)),
        head_entropy=_fit_tokens(head(True, True)),
        width=width, vocabulary=vocabulary)


def trunk_costs(
    trunk: Any, run: Callable[[Tensor], Tensor], length: int, device: torch.device
) -> Trunk:
    """Measure a trunk's training pass; ``run`` gives its hidden states.

    The trunk's weights, or those of its adapters, must want a gradient.
    """
    adapters = [p for p in trunk.parameters() if p.requires_grad]
    found: list[Tensor] = []

    def probe(rows: int, tokens: int) -> list[int]:
        hook = trunk.get_input_embeddings().register_forward_hook(
            lambda _module, _args, out: found.append(out))
        with torch.enable_grad(), _Live(trunk) as live:
            hidden = run(_ids(rows, tokens, device))
            hook.remove()
            kept = live.now
            # Down to the embeddings, or the lowest adapter where they are frozen, and no further:
            # no other weight's gradient takes memory.
            lowest = found.pop()
            torch.autograd.grad(hidden, [lowest if lowest.requires_grad else adapters[0]],
                                torch.ones_like(hidden))
        return [kept, live.peak]

    return Trunk(*_fit(probe, length))


@torch.no_grad()
def reward_costs(model: Any) -> Cost:
    """Measure a sequence classifier at work, with the mask that padding needs."""
    device = next(model.parameters()).device

    def probe(rows: int, tokens: int) -> list[int]:
        ids = _ids(rows, tokens, device)
        attention = torch.ones_like(ids)
        attention[-1, -1] = 0
        with _Live(model) as live:
            model(input_ids=ids, attention_mask=attention)
        return [live.peak]

    with undisturbed(device):
        return _fit(probe, LENGTH)[0]


class _Live(TorchDispatchMode):
    """Counts the bytes of tensors that come and go while it is on, and the most at any time.

    What lives already (``there``) is not counted. Of an operation's own scratch space only the
    copy is seen that oneDNN makes of a weight which it finds in rows (a wide head's).
    """

    def __init__(self, *there: nn.Module | Tensor) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, Any] = {}
        for thing in there:
            self._known |= _storages(thing)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.mkldnn._linear_pointwise.default and (
                weight := args[1]).layout is torch.strided:
            self.peak = max(
                self.peak, self.now + weight.nbytes + result.nbytes)  # result is not noted yet
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.layout is torch.strided:
                storage = leaf.untyped_storage()
                self._note(storage._cdata, storage.nbytes(), storage)
            elif isinstance(leaf, Tensor):  # in a layout of the kernels' own
                self._note(id(leaf), leaf.numel() * leaf.itemsize, leaf)
        return result

    def _note(self, key: int, size: int, thing: object) -> None:
        if key in self._known:
            return

        def gone(_: object) -> None:
            self.now -= size
            del self._known[key]

        self._known[key] = weakref.ref(thing, gone)
        self.now += size
        self.peak = max(self.peak, self.now)


def _fit(probe: Callable[[int, int], list[int]], length: int) -> list[Cost]:
    """Find the costs that ``probe(rows, tokens)`` has, one for each number it gives."""
    shapes = ((1, length), (1, 2 * length), (2, length), (2, 2 * length))
    costs, found = [], []
    for shape in shapes:
        torch.clear_autocast_cache()  # or the first shape alone would pay for its copies
        found.append(probe(*shape))
    for one, longer, two, both in zip(*found, strict=True):
        pair = max(0.0, (both - longer - 2 * (two - one)) / (2 * length**2))
        token = max(0.0, (two - one) / length - pair * length)
        shared = max(0.0, (longer - one) / length - token - 3 * pair * length)
        rest = one - length * (shared + token + length * pair)
        costs.append(Cost(max(0.0, rest), shared, token, pair))
    return costs


def _fit_tokens(probe: Callable[[int, int], list[int]]) -> Cost:
    """Find the cost of what does not know of sequences. It goes over a large vocabulary a few
    tokens at a time, so that fewer would tell of those alone."""
    (one,), (two,) = probe(1, 2 * LENGTH), probe(1, 4 * LENGTH)
    token = (two - one) / (2 * LENGTH)
    return Cost(max(0.0, one - 2 * LENGTH * token), 0.0, token, 0.0)


def _bytes(model: nn.Module) -> int:
    return sum(s.nbytes() for s in _storages(model).values())


def _write(policy: Policy, cache: Any, rows: int, start: int, end: int) -> None:
    """Run a step of sampling, with the mask that prompts of several lengths need."""
    ids, more = _ids(rows, end - start, policy.device), {}
    if policy.capabilities.writing is Batching.PADDED:
        more["attention"] = _ids(rows, end, policy.device)
        more["attention"][-1, 0] = 0
        more["positions"] = torch.arange(start, end, device=policy.device).expand(rows, -1)
    read_on(policy.trunk, ids, cache, **more)


def _ids(rows: int, length: int, device: torch.device) -> Tensor:
    return torch.ones(rows, length, dtype=torch.long, device=device)


def _storages(thing: nn.Module | Tensor) -> dict[int, Any]:
    tensors = [thing] if isinstance(thing, Tensor) else [
        *thing.parameters(), *thing.buffers(), *four_bit.scales(thing)]
    return {s._cdata: s for s in (t.untyped_storage() for t in tensors)}


def _extrapolated(low: Any, high: Any, steps: float) -> Any:
    """Go ``steps`` times as far from one set of costs as the other is."""
    if is_dataclass(low):
        kind: Any = type(low)
        return kind(*(_extrapolated(getattr(low, field.name), getattr(high, field.name), steps)
                      for field in fields(low)))
    found = low + (high - low) * steps
    return round(found) if isinstance(low, int) else found
