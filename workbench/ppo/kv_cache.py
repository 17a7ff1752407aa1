"""Keys and values of past tokens, in memory that is taken once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class _RoomyLayer(DynamicLayer):
    """A layer that writes new tokens into room left for them, where its parent copies all.

    Keys and values handed out are views of (b, heads, tokens so far, d).
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity
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

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows of the batch."""
        if self._room is not None:
            end = self.get_seq_length()
            keys, values = (room[indices] for room in self._room)
            self._room = (keys, values)
            self.keys, self.values = keys[..., :end, :], values[..., :end, :]

    def _empty(self, like: Tensor) -> Tensor:
        return torch.empty(
            *like.shape[:-2], self._capacity, like.shape[-1], dtype=like.dtype, device=like.device)


def make_cache(config: Any, capacity: int) -> DynamicCache:
    """Return an empty cache for at most ``capacity`` tokens a row.

    Layers that forget on their own terms (a sliding window, a recurrent state) stay as
    transformers makes them.
    """
    cache = DynamicCache(config=config)
    cache.layers = [
        _RoomyLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
