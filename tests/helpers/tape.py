"""What a CUDA graph does to a step, done on a CPU: record the operations, then play them again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

# On a GPU the host waits for the values of these, or for a number that it sends there; isin for
# many ids.
_WAITING = {"_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select", "_unique2",
            "unique_dim", "unique_consecutive", "repeat_interleave", "lift_fresh", "isin"}


class Tape(TorchDispatchMode):
    """Notes every operation of the step that is run within.

    Raises:
        RuntimeError: an operation would make the host wait for a GPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func._schema.name.split("::")[1]
        by_mask = name in ("index", "index_put", "index_put_") and any(
            i is not None and i.dtype == torch.bool for i in args[1])
        if name in _WAITING or by_mask:
            raise RuntimeError(f"The host must not wait for a GPU, as {name} does.")
        out = func(*args, **kwargs)
        self.operations.append((func, args, kwargs, out))
        return out

    def play(self) -> None:
        """Run the operations again: on the same tensors, with the same numbers, into the same."""
        for func, args, kwargs, out in self.operations:
            if func.is_view:
                continue
            again = func(*args, **kwargs)
            returns = func._schema.returns
            outs, agains = (x if len(returns) > 1 else (x,) for x in (out, again))
            for declared, old, new in zip(returns, outs, agains, strict=True):
                if declared.alias_info is None and isinstance(old, Tensor):
                    old.copy_(new)

    def script(self) -> list[tuple[Any, ...]]:
        """All that a recording would hold: operations, numbers, shapes, and which memory."""
        made: dict[int, int] = {}
        lines = []

        def note(x: Any) -> Any:
            if not isinstance(x, Tensor):
                return x
            place: Any = id(x)
            if x.layout == torch.strided:
                storage = x.untyped_storage()._cdata
                place = ("made", made[storage]) if storage in made else ("held", x.data_ptr())
            return place, x.shape, x.dtype

        for number, (func, args, kwargs, out) in enumerate(self.operations):
            lines.append((func, *tree_leaves(tree_map(note, (args, kwargs)))))
            for tensor in tree_leaves(out):
                if isinstance(tensor, Tensor) and all(
                        r.alias_info is None for r in func._schema.returns):
                    made[tensor.untyped_storage()._cdata] = number
        return lines


class TapeRecorder:
    """Records steps on a CPU."""

    def __init__(self) -> None:
        self.rehearsals = self.plays = 0
        self.tapes: list[Tape] = []

    def rehearse(self, step):
        self.rehearsals += 1
        with Tape():
            step()

    def record(self, step):
        tape = Tape()
        with tape:
            states = step()
        self.tapes.append(tape)

        def play():
            self.plays += 1
            tape.play()
            return states

        return play
