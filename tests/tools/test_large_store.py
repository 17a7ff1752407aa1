"""The store that measurements are made on is one that the workbench reads."""

from tools.large_store import COMPARED, PINNED, WHOLE, make

from workbench.algorithms import headlines
from workbench.store.store import Store


def test_a_large_store_is_a_store(home):
    make(home, runs=10, cycles=3, long=WHOLE + 2)
    store = Store(home)
    runs = {run.id: run for run in store.runs()}
    assert [run.cycles for run in runs.values()] == [WHOLE + 2, *[3] * 10]
    assert (runs[10].parent, runs[10].parent_cycle) == (9, 1)
    assert set(store.metric_spans(headlines())) == set(runs)
    assert len(store.completions(11, 5)) == COMPARED
    assert len(store.completions(11, 5, "rollout")) == len(store.run_prompts(11))
    assert store.traced_positions(11, 1) == list(range(PINNED))
    assert len(store.traces(11, 3)) == len(store.run_prompts(11))
    store.close()
