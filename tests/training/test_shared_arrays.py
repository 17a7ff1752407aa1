"""Arrays that the first process reads for all."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from workbench.training.shared_arrays import SharedArrays


def test_only_the_names_go_along_to_another_process() -> None:
    arrays = {"weights": np.arange(100_000.0), "moments": np.ones(3)}
    shared = SharedArrays(arrays)
    sent = pickle.dumps(shared)
    assert len(sent) < 1000
    assert list(pickle.loads(sent)) == list(shared) == ["weights", "moments"]
    assert all(np.array_equal(shared[name], array) for name, array in arrays.items())
    assert shared.get("nothing") is None
    with pytest.raises(KeyError):
        pickle.loads(sent)["nothing"]
