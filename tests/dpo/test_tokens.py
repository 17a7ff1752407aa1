"""The tokens of pairs: what each gives to the implicit reward, which is the one that is logged."""

import math
from pathlib import Path

import numpy as np
import pytest
from helpers.preferences import make_dpo, parse, ragged

from workbench.dpo.tokens import TOKENS
from workbench.learning.implicit_reward import COLUMNS
from workbench.models.control import Unattended
from workbench.records import TokenTrace
from workbench.store.store import Store


def run(cycles=2, **settings):
    dpo = make_dpo(ragged(), eos=(2,))
    hp = parse(held_out_share=0, learning_rate=1e-3, **settings)
    dpo.begin(["A"], hp)
    return dpo, hp, [dpo.run_cycle(c, hp, [0], Unattended()) for c in range(1, cycles + 1)]


def read(trace, hp):
    return TOKENS.read(trace.pieces, {n: x.tolist() for n, x in trace.numbers.items()},
                       trace.worth, hp.model_dump())


@pytest.mark.parametrize("settings", [
    {}, {"lora_rank": 2}, {"micro_batch_tokens": 16}, {"temperature": 0.7},
    {"loss_type": "ipo", "average_log_prob": True}, {"beta": 2.0}])
def test_shares_add_up_to_the_rewards_that_are_logged(settings):
    dpo, hp, results = run(**settings)
    for result in results:
        traces = result.traces
        assert [t.position for t in traces] == list(range(2 * 2 * hp.batch_size))
        for trace in traces:
            assert sum(step.share for step in read(trace, hp)) == pytest.approx(
                trace.worth, abs=1e-5)
        chosen, rejected = (np.array([t.worth for t in traces[i::2]]) for i in (0, 1))
        for name, found in (("chosen", chosen), ("rejected", rejected),
                            ("margins", chosen - rejected)):
            assert found.mean() == pytest.approx(result.metrics[f"rewards/{name}"], abs=1e-5)
        # Sums of many numbers, which another processor adds in another order.
        assert np.allclose(chosen - rejected, result.spreads["rewards/margins"], atol=5e-5)
    assert abs(results[1].metrics["rewards/margins"]) > 1e-3  # it has learned by then
    # They are the pairs that were drawn, with their prompts.
    table = dpo.table
    known = {(text, tuple(ids)) for text, *sides in zip(
        [t[0] for t in table.texts], table.chosen, table.rejected, strict=True) for ids in sides}
    assert {(t.prompt_text, tuple(t.tokens.tolist())) for t in traces} <= known


def test_tokens_that_are_not_kept_change_nothing():
    _, _, kept = run()
    _, _, plain = run(keep_tokens=0)
    for one, other in zip(kept, plain, strict=True):
        assert not other.traces
        assert {n: v for n, v in one.metrics.items() if "second" not in n} == {
            n: v for n, v in other.metrics.items() if "second" not in n}


def test_a_step_into_shows_the_pairs_before_they_are_learned_from():
    dpo, hp, _ = run(cycles=0)
    drafts = {}

    class Held(Unattended):
        def part_done(self, part, make):
            drafts[part] = make().traces

    result = dpo.run_cycle(1, hp, [0], Held())
    assert set(drafts) == {"draw", "update"}
    assert [t.tokens.tolist() for t in drafts["draw"]] == [
        t.tokens.tolist() for t in result.traces]
    drawn = drafts["draw"][0]
    assert math.isnan(drawn.worth)
    first = read(drawn, hp)[0]
    assert "still to come" in TOKENS.say(first, hp.model_dump())
    assert [column.text(first) for column in COLUMNS[:4]] == ["–"] * 4
    assert COLUMNS[4].text(first) != "–"
    assert drafts["update"] == result.traces


def test_they_are_read_back_as_they_were(tmp_path: Path):
    store = Store(tmp_path)
    run_id = store.create_run(name="", policy="", reward="", models={}, hyperparameters={},
                              prompts=[], algorithm="dpo").result()
    traces = [
        TokenTrace(i, -1, np.array([1, 2], np.int32), ("a", "b"),
                   {"logprob": np.array([-1, -2], np.float32)}, None, "Say", worth)
        for i, worth in enumerate((0.25, math.nan))]
    store.record_cycle(run_id, 1, metrics={}, rollout=(), comparison=(), traces=traces,
                       keep_traces=1).result()
    one, other = store.traces(run_id, 1)
    assert (one.prompt, one.prompt_text, one.worth) == (-1, "Say", 0.25)
    assert math.isnan(other.worth)
    store.record_cycle(run_id, 2, metrics={}, rollout=(), comparison=(), keep_traces=1).result()
    assert store.traces(run_id, 1) == []  # that of no prompt that could be pinned
    store.close()
