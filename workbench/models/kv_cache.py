"""Keys and values of past tokens, in memory that is taken once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import (
    CacheLayerMixin,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)

_GROWING = DynamicLayer, DynamicSlidingWindowLayer


class _RoomyLayer(DynamicLayer):
    """A layer that writes new tokens into room left for them, where its parent copies all.

    Keys and values handed out are views of (b, heads, tokens so far, d). A sliding window is a mask
    of the model's: a layer that forgot what is outside it would go wrong with a model that does not
    heed what its configuration says of windows.
    """

    is_sliding: bool

    def __init__(self, capacity: int, *, sliding: bool = False) -> None:
        super().__init__()
        self._capacity = capacity
        self.is_sliding = sliding
        self._room: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Append (b, heads, n, d) each and return all there are."""
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._room is None:
            self.lazy_initialization(key_states, value_states)
            self._room = (self._empty(key_states), self._empty(value_states))
        keys, values = self._room
        keys[..., start:end, :] = key_states
        values[..., start:end, :] = value_states
        self.keys, self.values = keys[..., :end, :], values[..., :end, :]
        return self.keys, self.values

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep these rows of the batch."""
        if self._room is not None:
            end = self.get_seq_length()
            keys, values = (room[beam_idx] for room in self._room)
            self._room = (keys, values)
            self.keys, self.values = keys[..., :end, :], values[..., :end, :]

    def _empty(self, like: Tensor) -> Tensor:
        return torch.empty(
            *like.shape[:-2], self._capacity, like.shape[-1], dtype=like.dtype, device=like.device)


class _FixedLayer(CacheLayerMixin):
    """A layer whose keys and values stay where they are, for steps that are recorded.

    The first update reads the prompts, as a layer that grows would. Each later one writes a single
    token at ``slot`` and hands out all of (b, heads, capacity, d): what lies beyond the slot is
    zero until it is written, and masked by transformers, which takes ``slot`` for the length so
    far. A sliding window is a mask too: no layer forgets, so all are of one length.
    """

    # Masks are then made without a look at their values, which the host would have to wait for.
    is_compileable = True
    keys: Any
    values: Any

    def __init__(self, capacity: int, slot: Tensor) -> None:
        super().__init__()
        self._capacity, self._slot = capacity, slot

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Take the room for keys and values like these."""
        self.keys, self.values = (
            like.new_zeros(*like.shape[:-2], self._capacity, like.shape[-1])
            for like in (key_states, value_states))
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Write (b, heads, n, d) each; n is 1 after the first time."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            length = key_states.shape[-2]
            self.keys[..., :length, :] = key_states
            self.values[..., :length, :] = value_states
            return key_states, value_states
        self.keys.index_copy_(-2, self._slot, key_states)
        self.values.index_copy_(-2, self._slot, value_states)
        return self.keys, self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many keys there are to see, and which is the first."""
        return (self._capacity if self.is_initialized else query_length), 0

    def get_seq_length(self) -> Any:
        """Return the tokens so far: a number, then a tensor that the device alone reads."""
        return self._slot.squeeze(0) if self.is_initialized else 0

    def get_max_length(self) -> int:
        """Return the most tokens a row can have."""
        return self._capacity

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep these rows of the batch."""
        self.keys, self.values = self.keys[beam_idx], self.values[beam_idx]


def make_cache(config: Any, capacity: int, *, own: bool = False) -> DynamicCache:
    """Return an empty cache for at most ``capacity`` tokens a row.

    Layers with a state of another kind (a recurrent one, say) stay as transformers makes them.

    Args:
        own: let all layers be as transformers makes them.
    """
    cache = DynamicCache(config=config)
    if own:
        return cache
    cache.layers = [
        _RoomyLayer(capacity, sliding=isinstance(layer, DynamicSlidingWindowLayer))
        if type(layer) in _GROWING else layer
        for layer in cache.layers]
    return cache


def can_be_fixed(config: Any) -> bool:
    """Whether a model's cache can be one that never moves.

    Layers of other kinds (a recurrent state, an index, keys shared with another layer) are
    transformers' own alone.
    """
    return all(type(layer) in _GROWING
               for layer in DynamicCache(config=config).layers)


def make_fixed_cache(config: Any, capacity: int, slot: Tensor) -> Cache:
    """Return an empty cache that never moves, for a model where :func:`can_be_fixed`.

    Args:
        slot: (1,) where the next single token goes; whoever runs the model keeps it.
    """
    return Cache(layers=[_FixedLayer(capacity, slot) for _ in DynamicCache(config=config).layers])
