"""Writing one token after the other: the trunk over a cache, whatever is done with its states."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from workbench.models.capabilities import Batching
from workbench.models.cuda_graphs import CudaRecorder, GraphedStep
from workbench.models.device import tokens_at_once
from workbench.models.kernels import cast_weights, packed_weights
from workbench.models.kv_cache import can_be_fixed, make_cache, make_fixed_cache
from workbench.models.policy import Policy
from workbench.models.sharding import gathered, is_shared_out

Choose = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``choose(hidden, rows, t)`` returns the (n,) tokens that come next.

``hidden`` is (n, H), ``rows`` the (n,) places of these prompts among all, and ``t`` is (1,): it is
their token number t. It may write what it finds out into tensors, at ``[rows, t]``. It is recorded
on a GPU, so it must not ask for a value, and must do the same whenever it is called again.
"""

# Rows that have ended are dropped from the batch once this share of it is dead.
_COMPACT_AT = 0.15
# A GPU reads the weights once a step for however many rows, so fewer rows save little, and each
# number of rows needs a recording, which costs about three steps as Python runs them.
_RECORD_ANEW_AT = 0.5
_STEPS_WORTH_A_RECORDING = 8
_STEPS_WORTH_ANOTHER = 64
# Attention kernels read masks in pieces of this many slots and would copy others first.
_CAPACITY_STEP = 16

# Models whose steps could not be recorded.
_not_recordable: WeakSet[nn.Module] = WeakSet()


class Writer(Protocol):
    """Writes tokens to prompts, one to each a step."""

    tokens: Tensor
    """(b, T), 0 where nothing was written; a row that has ended may go on for a while."""

    def step(self) -> None:
        """Write one more token to every row still in the batch."""

    def end(self, rows: Tensor) -> None:
        """Let ``rows``, (n,) places among all, be ended by what they have written."""

    def drop_ended(self) -> bool:
        """Leave rows out that have ended, where that pays; return whether any goes on."""

    def close(self) -> None:
        """Let go of what the steps needed; the tokens stay."""


class Decoder:
    """Writes tokens to b prompts over a cache that grows with them.

    Args of the constructor:
        prompts: b lists of at least one token id.
        length: T, the most tokens that are written.
        choose: picks the tokens; see :data:`Choose`.
        eos_ids: a row has ended after the first of these.
    """

    _reads_once = True
    """Whether what equal prompts leave in the cache can be copied."""

    def __init__(
        self, policy: Policy, prompts: Sequence[Sequence[int]], length: int, choose: Choose,
        eos_ids: Sequence[int],
    ) -> None:
        device, rows = policy.device, len(prompts)
        self._trunk, self._choose, self._length = policy.trunk, choose, length
        self._width = max(map(len, prompts))
        ids = torch.zeros(rows, self._width, dtype=torch.long)
        attention = torch.ones(rows, self._width + length, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, self._width - len(prompt):] = torch.tensor(prompt)
            attention[row, : self._width - len(prompt)] = 0
        self._padded = bool((attention == 0).any())
        # Without padding a model knows best where it is: some count from elsewhere than 0.
        self._placed = policy.capabilities.writing is Batching.PADDED
        self._attention = attention.to(device)
        self._positions = (self._attention.cumsum(dim=1) - 1).clamp(min=0)
        self._eos = torch.tensor(list(eos_ids), dtype=torch.long, device=device)
        self._fed = ids.to(device)
        self._cache: Any = self._make_cache(policy)
        once = [row for row in range(rows) if not row or prompts[row] != prompts[row - 1]]
        self._once = torch.tensor(once, device=device)
        """The first row of each prompt: those after it that have the same one read it with it."""
        counts = torch.tensor([*once[1:], rows]) - torch.tensor(once)
        self._copies = torch.arange(len(once)).repeat_interleave(counts).to(device)
        self._rows = torch.arange(rows, device=device)
        """The places of the rows still in the batch."""
        self._going = torch.ones(rows, dtype=torch.bool, device=device)
        self._t = torch.zeros(1, dtype=torch.long, device=device)
        self.written = 0
        """How many tokens each row has been given."""
        self.tokens = torch.zeros(rows, length, dtype=torch.long, device=device)
        """(b, T), 0 where nothing was written; a row that has ended may go on for a while."""

    def step(self) -> None:
        """Write one more token to every row still in the batch."""
        if self._reads_once and not self.written and len(self._once) < len(self._rows):
            hidden = self._read(self._once)[self._copies]
            self._keep_cache(self._copies)
        else:
            hidden = self._read(slice(None))
        chosen = self._choose(hidden, self._rows, self._t)
        self.tokens[self._rows, self._t] = chosen
        self._going &= ~self._ends(chosen)
        self._fed = chosen.unsqueeze(-1)
        self._t += 1
        self.written += 1

    def _read(self, rows: Tensor | slice) -> Tensor:
        """Read what was fed last to some rows; return the (n, H) states of the last tokens."""
        fed, end = self._fed[rows], self._width + self.written
        return self._run(
            fed, self._attention[rows, :end] if self._padded else None,
            self._positions[rows, end - fed.shape[1] : end])

    def end(self, rows: Tensor) -> None:
        """Let ``rows``, (n,) places among all, be ended by what they have written."""
        self._going &= ~torch.isin(self._rows, rows)

    def drop_ended(self) -> bool:
        """Leave rows out that have ended, where that pays; return whether any goes on."""
        going = int(self._going.sum())
        if 0 < going <= (1 - _COMPACT_AT) * len(self._rows):
            keep = self._going.nonzero().squeeze(-1)
            self._keep(keep)
            self._going, self._fed = self._going[keep], self._fed[keep]
        return going > 0

    def close(self) -> None:
        """Let go of what the steps needed; the tokens stay."""

    def _make_cache(self, policy: Policy) -> Any:
        return make_cache(policy.model.config, self._width + self._length,
                          own=policy.capabilities.own_cache)

    def _run(self, ids: Tensor, attention: Tensor | None, positions: Tensor) -> Tensor:
        """Read (n, m) more tokens; return the (n, H) states of the last ones."""
        return read_on(
            self._trunk, ids, self._cache, attention=attention,
            positions=positions if self._placed else None)[:, -1]

    def _ends(self, chosen: Tensor) -> Tensor:
        # torch.isin sorts where there are many ids, which a GPU's host would have to wait for.
        return (chosen.unsqueeze(-1) == self._eos).any(dim=-1)

    def _keep(self, keep: Tensor) -> None:
        self._keep_cache(keep)
        self._rows, self._attention = self._rows[keep], self._attention[keep]
        self._positions = self._positions[keep]


    def _keep_cache(self, keep: Tensor) -> None:
        self._cache.reorder_cache(keep)


def read_on(
    trunk: nn.Module, ids: Tensor, cache: Any, *, attention: Tensor | None = None,
    positions: Tensor | None = None,
) -> Tensor:
    """Read (n, m) more tokens after what ``cache`` holds; return their (n, m, H) states."""
    more = {} if positions is None else {"position_ids": positions}
    if attention is not None:
        more["attention_mask"] = attention
    return trunk(input_ids=ids, cache=cache, use_cache=True, **more).last_hidden_state


class RereadingDecoder(Decoder):
    """Writes the same tokens without a cache: each reads its text again, as training does."""

    _reads_once = False

    def _make_cache(self, policy: Policy) -> Any:
        self._policy = policy
        self._lengths = self._attention[:, : self._width].sum(dim=1)
        padding = self._width - self._lengths
        where = torch.arange(self._width, device=policy.device) + padding.unsqueeze(-1)
        prompts = self._fed.gather(1, where.clamp(max=self._width - 1))
        self._texts = pad(prompts, (0, self._length))

    def _run(self, ids: Tensor, attention: Tensor | None, positions: Tensor) -> Tensor:
        rows, last = torch.arange(len(ids), device=ids.device), self._lengths + self.written - 1
        if self.written:
            self._texts[rows, last] = ids[:, 0]
        longest = int(last.max()) + 1
        at_once = max(1, tokens_at_once(0, ids.device) // longest)
        return torch.cat([
            self._policy.hidden_states(self._texts[part, :longest])[
                torch.arange(len(part), device=part.device), last[part]]
            for part in rows.split(at_once)])

    def _keep_cache(self, keep: Tensor) -> None:
        self._texts, self._lengths = self._texts[keep], self._lengths[keep]


class GroupedDecoder:
    """Writes to prompts of many lengths where padding would change numbers: in groups of one
    length, a step in each before the next step."""

    def __init__(
        self, policy: Policy, prompts: Sequence[Sequence[int]], length: int, choose: Choose,
        eos_ids: Sequence[int], *, kind: type[Decoder], alone: bool = False,
    ) -> None:
        """Prepare as :class:`Decoder` does.

        Args:
            kind: writes to a group.
            alone: each row is a group of its own.
        """
        self.tokens = torch.zeros(len(prompts), length, dtype=torch.long, device=policy.device)
        """(b, T), 0 where nothing was written; a row that has ended may go on for a while."""
        groups: dict[int, list[int]] = {}
        for row, prompt in enumerate(prompts):
            groups.setdefault(row if alone else len(prompt), []).append(row)

        def choose_for(places: Tensor) -> Choose:
            def choose_there(hidden: Tensor, rows: Tensor, t: Tensor) -> Tensor:
                chosen = choose(hidden, places[rows], t)
                self.tokens[places[rows], t] = chosen
                return chosen
            return choose_there

        self._writers: list[tuple[Tensor, Decoder]] = []
        for rows in groups.values():
            places = torch.tensor(rows, device=policy.device)
            self._writers.append((places, kind(
                policy, [prompts[row] for row in rows], length, choose_for(places), eos_ids)))

    def step(self) -> None:
        """Write one more token to every row still in the batch."""
        for _, writer in self._writers:
            writer.step()

    def end(self, rows: Tensor) -> None:
        """Let ``rows``, (n,) places among all, be ended by what they have written."""
        for places, writer in self._writers:
            writer.end(torch.isin(places, rows).nonzero().squeeze(-1))

    def drop_ended(self) -> bool:
        """Leave rows out that have ended, where that pays; return whether any goes on."""
        self._writers = [(places, writer) for places, writer in self._writers
                         if writer.drop_ended()]
        return bool(self._writers)

    def close(self) -> None:
        """Let go of what the steps needed; the tokens stay."""
        self._writers.clear()


class FixedDecoder(Decoder):
    """Writes the same tokens by steps that are all alike: same shapes, same addresses.

    Such a step can be recorded. It does not make the host wait for the device either: how many
    rows go on is read a step late, when it is known anyway. So at most two steps are under way,
    and who wants to stop waits no longer than that.
    """

    def __init__(
        self, policy: Policy, prompts: Sequence[Sequence[int]], length: int, choose: Choose,
        eos_ids: Sequence[int], *, recorder: CudaRecorder | None = None,
    ) -> None:
        """Prepare as :class:`Decoder` does; without a recorder every step runs as it is.

        The model's cache must be one that :func:`~workbench.models.kv_cache.can_be_fixed`.
        """
        self._slot = torch.zeros(1, dtype=torch.long, device=policy.device)
        super().__init__(policy, prompts, length, choose, eos_ids)
        self._model = policy.model
        self._graph = GraphedStep(recorder, policy.placement.dtype) if recorder else None
        self._last_prompt_position = self._positions[:, self._width - 1, None]
        # Row t says who goes on before token t. Each step writes a row of its own, so that a step
        # run twice changes nothing.
        self._alive = torch.ones(length + 1, len(prompts), dtype=torch.bool, device=policy.device)
        self._count = torch.zeros((), dtype=torch.long, device=policy.device)
        self._on_gpu = policy.device.type == "cuda"
        # Pinned, so that a copy from the device need not be waited for.
        self._counts = torch.zeros(length, dtype=torch.long, pin_memory=self._on_gpu)
        self._under_way: deque[tuple[int, torch.cuda.Event | None]] = deque()

    def step(self) -> None:
        """Write one more token to every row still in the batch."""
        if self.written == 0:
            self._read_prompts()
        elif self._graph is None:
            self._step()
        else:
            self._graph(self._step)
            if self._graph.failed:
                _not_recordable.add(self._model)
        self._counts[self.written].copy_(self._count, non_blocking=True)
        done = None
        if self._on_gpu:
            # Waiting for it lets the window have the processor.
            done = torch.cuda.Event(blocking=True)
            done.record()
        self._under_way.append((self.written, done))
        self._t += 1
        self.written += 1

    def end(self, rows: Tensor) -> None:
        """Let ``rows``, (n,) places among all, be ended by what they have written."""
        self._alive[self.written] &= ~torch.isin(self._rows, rows)

    def drop_ended(self) -> bool:
        """Leave rows out that have ended, where that pays; return whether any goes on.

        What is not known yet is taken to go on.
        """
        going = len(self._rows)
        while len(self._under_way) > 1:
            step, done = self._under_way.popleft()
            if done is not None:
                done.synchronize()
            going = int(self._counts[step])
        if 0 < going <= _RECORD_ANEW_AT * len(self._rows) and (
                self._length - self.written >= _STEPS_WORTH_ANOTHER):
            keep = self._alive[self.written].nonzero().squeeze(-1)
            going = len(keep)
            if going:
                # The device has nothing under way: the host has just waited for it.
                self._forget()
                self._keep(keep)
                self._last_prompt_position = self._last_prompt_position[keep]
                self._alive = self._alive[:, keep]
        return going > 0

    def close(self) -> None:
        """Let go of the recording and the cache, when the device is done with them."""
        if self._on_gpu:
            torch.cuda.current_stream().synchronize()
        self._forget()
        self._cache = None

    def _make_cache(self, policy: Policy) -> Any:
        capacity = self._width + self._length
        capacity += -capacity % _CAPACITY_STEP
        more = capacity - self._attention.shape[1]
        # Slots that are not written yet are masked by the cache's length.
        self._attention = pad(self._attention, (0, more), value=1)
        return make_fixed_cache(policy.model.config, capacity, self._slot)

    def _read_prompts(self) -> None:
        self._take(self._run(
            self._fed, self._attention[:, : self._width] if self._padded else None,
            self._positions[:, : self._width]))

    def _step(self) -> Tensor:
        """Write token t from token t - 1. Gives the same when it is run again before t goes on."""
        torch.add(self._t, self._width - 1, out=self._slot)
        # Of shape (1,), t is an index that is used where it lies; a scalar would be fetched.
        fed = self.tokens[self._rows, self._t - 1].unsqueeze(-1)
        hidden = self._run(fed, self._attention, self._last_prompt_position + self._t)
        self._take(hidden)
        return hidden

    def _take(self, hidden: Tensor) -> None:
        chosen = self._choose(hidden, self._rows, self._t)
        self.tokens[self._rows, self._t] = chosen
        going = self._alive.index_select(0, self._t) & ~self._ends(chosen)
        self._alive.index_copy_(0, self._t + 1, going)
        self._count.copy_(going.sum())

    def _forget(self) -> None:
        if self._graph is not None:
            self._graph.forget()


def make_decoder(
    policy: Policy, prompts: Sequence[Sequence[int]], length: int, choose: Choose,
    eos_ids: Sequence[int],
) -> Writer:
    """Return what writes fastest on the policy's device, of what is exact with the policy.

    A CPU has no use for fixed shapes: it would compute what is masked. On a GPU each call makes
    its own recording. One kept from cycle to cycle would spare the three steps that this costs,
    of hundreds in a cycle's work, and would hold the cache's memory while the update needs it.
    torch.compile would take longer for the first recording than most runs sample.
    """
    if (
        policy.device.type == "cuda" and length >= _STEPS_WORTH_A_RECORDING
        and policy.model not in _not_recordable and not is_shared_out(policy.model)
        and steps_can_be_alike(policy)
        # What transformers says of models that ask for no value on their way.
        and getattr(policy.model, "_can_compile_fullgraph", False)
    ):
        return FixedDecoder(policy, prompts, length, choose, eos_ids, recorder=CudaRecorder())
    return make_growing(policy, prompts, length, choose, eos_ids)


def steps_can_be_alike(policy: Policy) -> bool:
    """Whether :class:`FixedDecoder` writes exactly, as far as is known."""
    can = policy.capabilities
    return (can.steps_alike and can.cached and not can.own_cache
            and can.writing is Batching.PADDED and can_be_fixed(policy.model.config))


def make_growing(
    policy: Policy, prompts: Sequence[Sequence[int]], length: int, choose: Choose,
    eos_ids: Sequence[int],
) -> Writer:
    """Return what writes by steps of growing length, in the way that is exact with the policy."""
    can = policy.capabilities
    kind = Decoder if can.cached else RereadingDecoder
    if can.writing is Batching.PADDED:
        return kind(policy, prompts, length, choose, eos_ids)
    return GroupedDecoder(policy, prompts, length, choose, eos_ids, kind=kind,
                          alone=can.writing is Batching.SINGLE)


@contextlib.contextmanager
def inference_weights(policy: Policy, *, whole: bool = True) -> Iterator[None]:
    """Let many tokens be written with the weights as they are, in the policy's precision.

    Those that ranks share out are gathered first, unless ``whole`` is false. A CPU's matrix kernels
    get a copy of the weights laid out for them, but where they are shared out for want of memory.
    On a GPU weights that autocast would lower the precision of, some once and frozen ones at every
    step, are lowered once.
    """
    model, dtype = policy.model, policy.placement.dtype
    if policy.device.type == "cuda" and dtype != torch.float32:
        # A recording must not use what autocast has kept: it is freed when the context ends.
        with gathered(model, whole), torch.autocast(
                "cuda", dtype=dtype, cache_enabled=False), cast_weights(model, dtype):
            yield
    else:
        packed = contextlib.nullcontext() if is_shared_out(model) else packed_weights(model, dtype)
        with gathered(model, whole), policy.autocast(), packed:
            yield
