"""What Tokens shows of a completion that ILQL learned from is what policy and values say of it."""

import math

import numpy as np
import pytest
import torch
from helpers.scored import TEXTS, make, stir

from workbench.ilql.tokens import TOKENS
from workbench.records import Likeliest


def test_what_is_kept_is_what_policy_and_values_say(unattended):
    ilql, hp = make(beta=2.0, keep_tokens=3, batch_size=6, temperature=0.7, gamma=0.9)
    stir(ilql)
    heads, policy = ilql.heads, ilql.policy
    known = []
    for prompt, response in zip(ilql.table.prompts, ilql.table.responses, strict=True):
        with torch.no_grad():
            states = policy.hidden_states(
                torch.tensor([[*prompt, *response]]))[0, len(prompt) - 1:-1]
            logits = policy.logits(states)
            known.append((logits, heads.target(states), heads.values(states)))
    traces = ilql.run_cycle(1, hp, [0], unattended).traces
    assert len(traces) == 6
    seen = set()
    for trace in traces:
        ids = [int(token) for token in trace.tokens]
        place = next(i for i, (prompt, response) in enumerate(
            zip(ilql.table.prompts, ilql.table.responses, strict=True))
            if response == ids and ilql.table.texts[i].prompt.text == trace.prompt_text)
        seen.add(place)
        logits, q, values = known[place]
        rewards = torch.zeros(len(ids))
        rewards[-1] = ilql.table.rewards[place]
        after = torch.cat([values[1:], torch.zeros(1)])
        at = torch.tensor(ids).unsqueeze(-1)
        steered = logits.log_softmax(-1) + 2 * (q - values.unsqueeze(-1))
        for name, expected in (
            ("q", q.gather(-1, at)[:, 0]), ("value", values), ("target", rewards + 0.9 * after),
            ("advantage", q.gather(-1, at)[:, 0] - values),
            ("return", rewards[-1] * 0.9 ** torch.arange(len(ids) - 1, -1, -1)),
            ("logprob", (logits / 0.7).log_softmax(-1).gather(-1, at)[:, 0]),
            ("steered_logprob", (steered / 0.7).log_softmax(-1).gather(-1, at)[:, 0]),
        ):
            torch.testing.assert_close(torch.tensor(trace.numbers[name]), expected, rtol=1e-4,
                                       atol=1e-4)
        best = steered.topk(5, dim=-1).indices
        assert trace.likeliest.tokens[:, :-1].tolist() == best.tolist()
        assert trace.likeliest.tokens[:, -1].tolist() == ids
        torch.testing.assert_close(
            torch.tensor(trace.likeliest.logprobs["q_advantage"][:, :-1]),
            (q - values.unsqueeze(-1)).gather(-1, best), rtol=1e-4, atol=1e-4)
        with_values = (steered / 0.7).log_softmax(-1)
        torch.testing.assert_close(
            torch.tensor(trace.likeliest.logprobs["steered"][:, :-1]),
            with_values.gather(-1, best), rtol=1e-4, atol=1e-4)
        assert trace.worth == ilql.table.texts[place].score
        assert trace.prompt == -1
        assert trace.prompt_text == TEXTS[place].prompt.text
        steps = TOKENS.read(trace.pieces, {
            name: column.tolist() for name, column in trace.numbers.items()}, trace.worth, {})
        steps = TOKENS.others(steps, trace.likeliest)
        for row, step in enumerate(steps):
            own = (q[row, ids[row]] - values[row]).item()
            assert step.advantage == pytest.approx(own, abs=1e-4)
            others = {trace.likeliest.pieces[int(token)]: (q[row, token] - values[row]).item()
                      for token in best[row] if int(token) != ids[row]
                      and with_values[row, token] >= math.log(0.01)}
            assert len(step.better) == len(others)
            if not others:
                continue
            assert step.instead.advantage == pytest.approx(max(others.values()), abs=1e-4)
            assert step.instead.piece == max(others, key=others.get)
        assert steps[-1].last
        assert steps[-1].reward == pytest.approx(ilql.table.rewards[place])
    assert seen == set(range(6))


def test_only_others_are_named_that_might_have_been_written():
    steps = TOKENS.read((" a", " b"), {name: [0.0, 0.0] for name in (
        "value", "q", "target", "logprob", "steered_logprob", "reward")}, 1.0, {})
    pieces = {1: " a", 2: ".", 3: " c", 4: " b"}
    chances = np.log(np.array([[0.97, 0.0005, 0.02, 0.97], [0.992, 0.0005, 0.0075, 0.992]]))
    worth = {"before": np.log(np.full((2, 4), 0.25)),
             "q_advantage": np.array([[0.1, 0.08, -0.2, 0.1], [0.1, 0.08, -0.2, 0.1]])}
    noted = np.array([[1, 2, 3, 1], [4, 2, 3, 4]])
    one, none = TOKENS.others(steps, Likeliest(noted, pieces, worth | {"steered": chances}))
    assert one.instead.piece == " c"
    said = TOKENS.say(one, {})
    assert "Others that would be written here: <b>" in said
    assert "+0.08" not in said
    assert none.instead is None
    assert "No other would be written here as often as once in a" in TOKENS.say(none, {})
    assert [column.text(none) for column in TOKENS.columns if column.title == "Instead"] == ["–"]
    # An earlier version did not record how likely they were.
    assert [step.instead.piece for step in TOKENS.others(steps, Likeliest(noted, pieces, worth))
            ] == [".", "."]


def test_nothing_is_read_for_tokens_that_are_not_kept(unattended):
    ilql, hp = make(keep_tokens=0)
    assert list(ilql.run_cycle(1, hp, [0], unattended).traces) == []


def test_what_is_said_of_a_token():
    numbers = {"value": [0.25, 0.5], "q": [0.75, 0.25], "target": [0.5, 1.0],
               "logprob": [-0.6931472, 0.0], "steered_logprob": [-0.105360516, 0.0],
               "reward": [0.0, 1.0]}
    first, last = TOKENS.read((" a", "b<"), numbers, 2.5, {})
    assert TOKENS.say(first, {}).endswith(
        "Q − V +0.50: better than its state, which is worth 0.25. Chance 50\N{NO-BREAK SPACE}%, "
        "steered 90\N{NO-BREAK SPACE}%.")
    assert "b&lt;" in TOKENS.say(last, {})
    assert "Q − V −0.25: worse than its state" in TOKENS.say(last, {})
    line = TOKENS.line
    assert line is not None
    assert line.flag(last) == "score 2.50\n+1.00 deviations"
    assert line.gap(last) == "not yet foreseen: 0.50"
    assert [line.estimate(s) for s in (first, last)] == [0.25, 0.5]
    assert line.say(last).endswith("then score 2.50, +1.00 deviations; Q − V −0.25.")
