"""Pairs that people judge, scored by the reward in memory between the parts of a run."""

import pytest
from helpers.short_runs import start

from workbench.store.judged import PairToJudge, Side
from workbench.store.records import Message
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

TURNS = (Message("user", "one"), Message("assistant", "two"), Message("user", "three"))


def test_they_are_scored_as_the_completions_of_a_run_are(ready, store):
    """What a try scores is scored the same as a pair; what the reward has scored is left alone."""
    ready.send(do.Try(7, ("one", "one"), (do.TrySource("start"),), length=8))
    tried = ready.wait(ev.TryScored).completions
    ready.wait(ev.TryFinished)
    assert tried[0].text != tried[1].text
    first, second = (Side(each.text) for each in tried)
    set_id = store.judgements.make_set("Mine").result()
    store.judgements.add(set_id, [
        PairToJudge("one", first, second),
        PairToJudge("three", Side("yes"), Side("no"), TURNS, turns=True)]).result()
    ready.send(do.ScorePairs(3, set_id))
    done = ready.wait(ev.PairsScored)
    assert (done.id, done.count) == (3, 2)
    pair, turns = (each.pair for each in store.judgements.pairs(set_id))
    assert [pair.first.score, pair.second.score] == pytest.approx([each.score for each in tried])
    assert turns.first.score != turns.second.score
    assert pair.scored_by == turns.scored_by != ""
    ready.send(do.ScorePairs(4, set_id))
    assert ready.wait(ev.PairsScored).count == 0


def test_a_running_run_is_not_disturbed(ready, store):
    set_id = store.judgements.make_set("Mine").result()
    ready.send(start(num_cycles=50))
    ready.wait_for(State.RUNNING)
    ready.send(do.ScorePairs(1, set_id))
    assert "between the parts of a run" in ready.wait(ev.CommandRefused).sentence
    ready.send(do.Stop())
    ready.wait_for(State.FINISHED)
