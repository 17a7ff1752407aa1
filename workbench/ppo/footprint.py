"""What loaded models cost in memory: measured by running them on a handful of tokens.

Formulas from hidden size, layers and heads would have to know every architecture, every attention
kernel, and what each saves for its backward pass. Instead the models themselves are run on four
tiny shapes while every tensor they allocate is counted. The bytes of an operation are a polynomial
in rows and length, so the four give the costs of any shape, on every device and in every
precision, for milliseconds of work and next to no memory. No parameter's gradient is made.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers.pytorch_utils import Conv1D

from workbench.ppo.device import Placement, find_placement
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.kernels import packed_weights
from workbench.ppo.kv_cache import make_cache
from workbench.ppo.optimizer import state_bytes
from workbench.ppo.policy import Policy
from workbench.ppo.token_statistics import token_statistics

_LENGTH = 16  # tokens of the shorter probes; the longer ones have twice as many


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
    def of(cls, model: Any) -> Weights:
        """Count a transformers model."""
        head, embeddings = model.get_output_embeddings(), model.get_input_embeddings().weight
        outer = {id(embeddings), *(id(p) for p in (head.parameters() if head else ()))}
        adapted = [m.weight.shape for m in model.modules()
                   if isinstance(m, nn.Linear | Conv1D) and m is not head]
        return cls(
            bytes=_bytes(model),
            parameters=sum(p.numel() for p in model.parameters()),
            trunk_parameters=sum(p.numel() for p in model.base_model.parameters()),
            adapter_parameters=sum(sum(shape) for shape in adapted),
            head_parameters=head.weight.numel() if head else 0,
            largest_layer=max((p.numel() for p in model.parameters() if id(p) not in outer),
                              default=0))


class Footprint:
    """The loaded models as memory sees them; measured when first asked, and remembered."""

    def __init__(self, policy: Policy, reward: Any) -> None:
        """Count the weights.

        Args:
            reward: a reward model, or anything that scores and takes no memory worth counting.
        """
        self._model, self.device = policy.model, policy.device
        # A reward may be a sum of several; a Python file has no model.
        parts = [part.reward for part in getattr(reward, "parts", ())] or [reward]
        scorers = [m for m in (getattr(part, "model", None) for part in parts)
                   if isinstance(m, nn.Module)]
        self._scorer = scorers[0] if scorers else None
        self.weights = Weights.of(policy.model)
        self._width = policy.value_head.in_features
        self.reward_bytes = sum(_bytes(scorer) for scorer in scorers)
        self._scorers = scorers
        self._measured: dict[Any, Any] = {}

    def rewards(self) -> list[Cost]:
        """Return what each reward model costs while it scores."""
        if "rewards" not in self._measured:
            self._measured["rewards"] = [reward_costs(scorer) for scorer in self._scorers]
        return self._measured["rewards"]

    def costs(self, hp: Hyperparameters) -> PolicyCosts:
        """Return what the policy costs under these settings.

        Raises:
            UnsupportedModelError: it has no gradient checkpointing, and that is asked for.
        """
        placement = Placement(self.device, find_placement(hp.precision).dtype)
        key = ("policy", placement.dtype, hp.gradient_checkpointing)
        if key not in self._measured:
            self._measured[key] = policy_costs(
                self._model, placement, gradient_checkpointing=hp.gradient_checkpointing)
        return self._measured[key]

    def value_costs(self, hp: Hyperparameters) -> Trunk | None:
        """Return what a separate value model costs in training; None where it shares the trunk."""
        if hp.value_model == "shared":
            return None
        if hp.value_model == "policy" or self._scorer is None:
            return self.costs(hp).trunk
        placement = Placement(self.device, find_placement(hp.precision).dtype)
        key = ("reward", placement.dtype, hp.gradient_checkpointing)
        if key not in self._measured:
            reader = Policy(self._model, placement, value_trunk=self._scorer.base_model,
                            gradient_checkpointing=hp.gradient_checkpointing)
            self._measured[key] = trunk_costs(
                self._scorer.base_model,
                reader.value_states, _LENGTH, self.device)
        return self._measured[key]

    def value_parameters(self, hp: Hyperparameters) -> int:
        """Return the parameters of a separate value model."""
        if hp.value_model == "reward" and self._scorer is not None:
            trunk: Any = self._scorer.base_model
            return sum(p.numel() for p in trunk.parameters())
        return 0 if hp.value_model == "shared" else self.weights.trunk_parameters

    def trained(self, hp: Hyperparameters) -> int:
        """Return how many parameters learn."""
        weights = self.weights
        policy = weights.adapter_parameters * hp.lora_rank or weights.parameters
        return policy + self._width + 1 + self.value_parameters(hp)

    def optimizer_bytes(self, hp: Hyperparameters) -> int:
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
    model: Any, placement: Placement, *, gradient_checkpointing: bool
) -> PolicyCosts:
    """Measure a causal language model of transformers.

    Raises:
        UnsupportedModelError: it has no gradient checkpointing, and that is asked for.
    """
    policy = Policy(model, placement, gradient_checkpointing=gradient_checkpointing)
    width, vocabulary = policy.value_head.in_features, policy.config.vocab_size
    length = min(_LENGTH, (policy.context_length or 2 * _LENGTH) // 2 - 1)

    def reading(rows: int, tokens: int) -> list[int]:
        with torch.no_grad(), _Live(model) as live:
            policy.hidden_states(_ids(rows, tokens, policy.device))
        return [live.peak]

    def writing(rows: int, tokens: int) -> list[int]:
        cache = make_cache(model.config, tokens)
        with torch.no_grad(), policy.autocast(), _Live(model) as live:
            _write(policy, cache, rows, 0, tokens)
            return [live.peak, live.now]

    def step(rows: int, tokens: int) -> list[int]:
        cache = make_cache(model.config, tokens)
        with torch.no_grad(), policy.autocast(), _Live(model) as live:
            _write(policy, cache, rows, 0, tokens - 1)
            live.peak = before = live.now
            _write(policy, cache, rows, tokens - 1, tokens)
            return [live.peak - before]

    def packing() -> int:
        with torch.no_grad(), _Live(model) as live, packed_weights(model, placement.dtype):
            return live.now

    def head(training: bool, entropy_gradient: bool = False) -> Callable[[int, int], list[int]]:
        def probe(rows: int, tokens: int) -> list[int]:
            states = torch.zeros(rows * tokens, width, device=policy.device)
            taken = torch.zeros(rows * tokens, dtype=torch.long, device=policy.device)
            with torch.set_grad_enabled(training), _Live(model, states, taken) as live:
                leaf = states.requires_grad_(training)
                logits = policy.logits(leaf)
                if training:
                    logprobs, entropy = token_statistics(
                        logits, taken, entropy_gradient=entropy_gradient)
                    del logits
                    loss = logprobs.sum() + (entropy.sum() if entropy_gradient else 0.0)
                    torch.autograd.grad(loss, [leaf])
                else:
                    logits.log_softmax(dim=-1)
            return [live.peak]
        return probe

    with _all_trained(model):
        wrote, cache = _fit(writing, length)
        return PolicyCosts(
            trunk=trunk_costs(policy.trunk, policy.hidden_states, length, policy.device),
            reading=_fit(reading, length)[0], writing=wrote, cache=cache,
            step=_fit(step, length)[0], packed=packing(),
            head=_fit(head(False), length)[0], head_training=_fit(head(True), length)[0],
            head_entropy=_fit(head(True, True), length)[0],
            width=width, vocabulary=vocabulary)


def trunk_costs(
    trunk: Any, run: Callable[[Tensor], Tensor], length: int, device: torch.device
) -> Trunk:
    """Measure a trunk's training pass; ``run`` gives its hidden states."""
    found: list[Tensor] = []

    def probe(rows: int, tokens: int) -> list[int]:
        hook = trunk.get_input_embeddings().register_forward_hook(
            lambda _module, _args, out: found.append(out))
        with torch.enable_grad(), _Live(trunk) as live:
            hidden = run(_ids(rows, tokens, device))
            hook.remove()
            kept = live.now
            # Down to the embeddings and no further: no weight's gradient takes memory.
            torch.autograd.grad(hidden, [found.pop()], torch.ones_like(hidden))
        return [kept, live.peak]

    with _all_trained(trunk):
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

    return _fit(probe, _LENGTH)[0]


class _Live(TorchDispatchMode):
    """Counts the bytes of tensors that come and go while it is on, and the most at any time.

    What lives already (``there``) is not counted. An operation's own scratch space is not seen.
    """

    def __init__(self, *there: nn.Module | Tensor) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, Any] = {}
        for thing in there:
            self._known |= _storages(thing)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
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
    costs = []
    for one, longer, two, both in zip(*(probe(*shape) for shape in shapes), strict=True):
        pair = max(0.0, (both - longer - 2 * (two - one)) / (2 * length**2))
        token = max(0.0, (two - one) / length - pair * length)
        shared = max(0.0, (longer - one) / length - token - 3 * pair * length)
        rest = one - length * (shared + token + length * pair)
        costs.append(Cost(max(0.0, rest), shared, token, pair))
    return costs


def _bytes(model: nn.Module) -> int:
    return sum(s.nbytes() for s in _storages(model).values())


def _write(policy: Policy, cache: Any, rows: int, start: int, end: int) -> None:
    """Run a step of sampling, with the mask that prompts of several lengths need."""
    attention = _ids(rows, end, policy.device)
    attention[-1, 0] = 0
    positions = torch.arange(start, end, device=policy.device).expand(rows, -1)
    policy.trunk(input_ids=_ids(rows, end - start, policy.device), attention_mask=attention,
                 position_ids=positions, cache=cache, use_cache=True)


def _ids(rows: int, length: int, device: torch.device) -> Tensor:
    return torch.ones(rows, length, dtype=torch.long, device=device)


def _storages(thing: nn.Module | Tensor) -> dict[int, Any]:
    tensors = [thing] if isinstance(thing, Tensor) else [*thing.parameters(), *thing.buffers()]
    return {s._cdata: s for s in (t.untyped_storage() for t in tensors)}


@contextlib.contextmanager
def _all_trained(module: nn.Module) -> Iterator[None]:
    """Let every weight want a gradient, as in training, and leave the weights as they were."""
    before = [(p, p.requires_grad) for p in module.parameters()]
    try:
        for parameter, _ in before:
            parameter.requires_grad_(parameter.is_floating_point())
        yield
    finally:
        for parameter, wanted in before:
            parameter.requires_grad_(wanted)
