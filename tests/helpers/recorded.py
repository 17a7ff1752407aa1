"""Everything that is recorded of a run, to hold two runs against each other bit for bit."""

from __future__ import annotations

from typing import Any

from workbench.store.store import Store


def outcome(store: Store, run_id: int, last: int) -> tuple[Any, ...]:
    """Return metrics without wall times, completions, token traces, and the checkpoint after cycle
    ``last``."""
    metrics = {name: s.values for name, s in store.metrics(run_id).items()
               if "second" not in name}
    texts = [store.completions(run_id, c, kind)
             for c in range(last + 1) for kind in ("rollout", "comparison")]
    traces = [(t.position, t.pieces, {k: v.tobytes() for k, v in t.numbers.items()},
               t.likeliest and {k: v.tobytes() for k, v in t.likeliest.logprobs.items()})
              for c in range(last + 1) for t in store.traces(run_id, c)]
    arrays, state = store.checkpoints.read(run_id, last)
    return metrics, texts, traces, {k: v.tobytes() for k, v in arrays.items()}, state["numbers"]
