"""The whole distribution at a place of a completion, read between the parts of a run."""

import numpy as np
import torch
from helpers.short_runs import start

from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.side_request import NOT_KEPT, OTHER_MODELS


def read(client, **where):
    client.send(do.ReadDistribution(**{
        "id": 5, "run_id": 1, "cycle": 1, "position": 0, "at": 1, **where}))
    return client.wait(ev.DistributionRead).found


def test_it_is_what_transformers_say_of_the_row_alone(ready, store, folders, tmp_path):
    from transformers import AutoModelForCausalLM

    ready.send(start())
    ready.wait_for(State.FINISHED)
    found = read(ready)
    trace = store.trace(1, 1, 0)
    assert found.taken == trace.tokens[1]
    ready.send(do.ExportRun(1, str(tmp_path / "trained")))
    ready.wait(ev.Exported)
    ids = torch.tensor([[*store.run_prompt_ids(1)[trace.prompt], int(trace.tokens[0])]])
    for folder, logprobs in (folders[0], found.start), (tmp_path / "trained", found.logprobs):
        with torch.no_grad():
            logits = AutoModelForCausalLM.from_pretrained(folder)(ids).logits[0, -1]
        # At temperature 1, whatever the run samples at.
        np.testing.assert_allclose(logprobs, logits.double().log_softmax(-1), atol=1e-5)
    assert np.abs(found.start - found.logprobs).max() > 1e-2
    assert found.reader == "Run 1 after cycle 3"
    for logprobs in (found.start, found.logprobs):
        assert set(np.argsort(-logprobs)[:12].tolist()) <= found.pieces.keys()
    assert found.pieces[found.taken] == trace.pieces[1]


def test_what_cannot_be_read_says_why(ready, folders, tmp_path):
    ready.send(start(step=True))
    ready.wait_for(State.PAUSED)
    for where in ({"cycle": 2}, {"position": 9}, {"at": 99}, {"at": -1}, {"run_id": 8}):
        ready.send(do.ReadDistribution(**{
            "id": 1, "run_id": 1, "cycle": 1, "position": 0, "at": 0, **where}))
        assert ready.wait(ev.ReadingDistributionFailed).sentence == NOT_KEPT
    ready.send(do.Stop())
    ready.wait_for(State.FINISHED)
    from helpers.folders import save_reward

    ready.send(do.LoadModels(folders[0], str(save_reward(tmp_path / "another"))))
    ready.wait_for(State.READY)
    ready.send(do.ReadDistribution(1, 1, 1, 0, 0))
    assert ready.wait(ev.ReadingDistributionFailed).sentence == OTHER_MODELS


def test_a_running_run_is_not_disturbed(ready):
    ready.send(start(num_cycles=50))
    ready.wait(ev.CycleFinished)
    ready.send(do.ReadDistribution(1, 1, 1, 0, 0))
    assert ready.wait(ev.CommandRefused).sentence.startswith("Pause first: ")
    ready.send(do.Stop())
    assert ready.wait(ev.RunFinished).outcome == "stopped"


def test_it_waits_for_what_is_being_written(ready):
    ready.send(start(step=True))
    ready.wait_for(State.PAUSED)
    once = iter([do.ReadDistribution(7, 1, 1, 0, 0)])
    ready.listen(lambda e: [ready.send(c) for c in once] if isinstance(e, ev.WritingOn) else None)
    ready.send(do.WriteOn(1, 1, 1, 0, 0))
    assert ready.wait(ev.WroteOn).id == 1
    assert ready.wait(ev.DistributionRead).id == 7
