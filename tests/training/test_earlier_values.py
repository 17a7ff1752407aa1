"""What the value head of a checkpoint foresees of a completion, read between the parts of a run."""

import numpy as np
import pytest
from helpers.short_runs import start

from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.side_request import NOT_KEPT

KINDS = pytest.mark.parametrize(
    "settings", [{}, {"lora_rank": 2}, {"value_model": "policy"}],
    ids=["all weights", "adapters", "separate value model"])


def read(client, **where):
    client.send(do.ReadValues(**{
        "id": 5, "run_id": 1, "cycle": 3, "position": 0, "checkpoint": 1, **where}))
    return client.wait(ev.ValuesRead).values


@KINDS
def test_the_head_that_wrote_a_completion_foresees_what_was_recorded(ready, store, settings):
    ready.send(start(**settings))
    ready.wait_for(State.FINISHED)
    for cycle in (2, 3):
        for position in (0, 1):
            recorded = store.trace(1, cycle, position).numbers["value"]
            # What cycle n learned from was written after cycle n - 1.
            found = read(ready, cycle=cycle, position=position, checkpoint=cycle - 1)
            np.testing.assert_allclose(found, recorded, atol=1e-5)
    recorded = store.trace(1, 3, 0).numbers["value"]
    assert np.abs(np.array(read(ready, checkpoint=1)) - recorded).max() > 1e-4
    assert np.abs(np.array(read(ready, checkpoint=3)) - recorded).max() > 1e-4


def test_what_cannot_be_read_says_why(ready, store):
    ready.send(start(lora_rank=2))
    ready.wait_for(State.FINISHED)
    ready.send(do.ReadValues(1, 1, 9, 0, 1))
    assert ready.wait(ev.ReadingValuesFailed).sentence == NOT_KEPT
    ready.send(do.ReadValues(2, 1, 3, 0, 7))
    failed = ready.wait(ev.ReadingValuesFailed)
    assert (failed.id, "7" in failed.sentence) == (2, True)
    # Another rank since: its weights are no longer those of this policy.
    ready.send(start(lora_rank=4))
    ready.wait_for(State.FINISHED)
    ready.send(do.ReadValues(3, 1, 3, 0, 1))
    assert "another LoRA rank" in ready.wait(ev.ReadingValuesFailed).sentence
