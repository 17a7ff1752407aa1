"""The tokens of marked completions: what each gives to the implicit reward, which is the one that
is logged; and what they were marked."""

import math

import numpy as np
import pytest
from helpers.marks import make_kto, parse, ragged

from workbench.kto.tokens import TOKENS
from workbench.models.control import Unattended


def run(cycles=2, **settings):
    kto = make_kto(ragged(), eos=(2,))
    hp = parse(held_out_share=0, learning_rate=1e-3, **settings)
    kto.begin(["A"], hp)
    return kto, hp, [kto.run_cycle(c, hp, [0], Unattended()) for c in range(1, cycles + 1)]


def read(trace, hp):
    return TOKENS.read(trace.pieces, {n: x.tolist() for n, x in trace.numbers.items()},
                       trace.worth, hp.model_dump())


@pytest.mark.parametrize("settings", [
    {}, {"lora_rank": 2}, {"micro_batch_tokens": 16}, {"temperature": 0.7}, {"beta": 2.0}])
def test_shares_add_up_to_the_rewards_that_are_logged(settings):
    kto, hp, results = run(**settings)
    near = 1e-5 * max(1, hp.beta)
    for result in results:
        traces = result.traces
        assert [t.position for t in traces] == list(range(2 * hp.batch_size))
        for trace in traces:
            assert sum(step.share for step in read(trace, hp)) == pytest.approx(
                trace.worth, abs=near)
        for mark in ("good", "bad"):
            worth = np.array([t.worth for t in traces
                              if TOKENS.sides.title(t.position, t.numbers) == mark])
            name = f"rewards/{mark}"
            assert worth.mean() == pytest.approx(result.metrics[name], abs=near)
            assert np.allclose(np.sort(worth), np.sort(result.spreads[name]), atol=near)
    assert abs(results[1].metrics["rewards/good_less_bad"]) > 1e-4  # it has learned by then
    # They are the completions that were drawn, with their prompts and marks.
    known = {(text.prompt.text, tuple(ids), text.score)
             for text, ids in zip(kto.table.texts, kto.table.responses, strict=True)}
    assert {(t.prompt_text, tuple(t.tokens.tolist()), float(t.numbers["mark"][0]))
            for t in traces} <= known


def test_tokens_that_are_not_kept_change_nothing():
    _, _, kept = run()
    _, _, plain = run(keep_tokens=0)
    for one, other in zip(kept, plain, strict=True):
        assert not other.traces
        assert {n: v for n, v in one.metrics.items() if "second" not in n} == {
            n: v for n, v in other.metrics.items() if "second" not in n}


def test_a_step_into_shows_the_completions_before_they_are_learned_from():
    kto, hp, _ = run(cycles=0)
    drafts = {}

    class Held(Unattended):
        def part_done(self, part, make):
            drafts[part] = make().traces

    result = kto.run_cycle(1, hp, [0], Held())
    assert set(drafts) == {"draw", "update"}
    assert [t.tokens.tolist() for t in drafts["draw"]] == [
        t.tokens.tolist() for t in result.traces]
    shown = drafts["draw"][0]
    assert math.isnan(shown.worth)
    assert "still to come" in TOKENS.say(read(shown, hp)[0], hp.model_dump())
    assert TOKENS.sides.title(0, shown.numbers) in ("good", "bad")
    assert drafts["update"] == result.traces
