"""ILQL end to end: from random walks it learns which way is short."""

from copy import deepcopy

import pytest
import torch
from helpers.random_walks import (
    GOAL,
    LONGEST,
    NODES,
    Graph,
    letters_tokenizer,
    pretrained,
    walks_reward,
)
from helpers.scored import TEXTS, make, stir

from workbench.health import Watch
from workbench.ilql.cycle import ILQLTrainer
from workbench.ilql.heads import QHeads
from workbench.ilql.hyperparameters import ILQLSettings
from workbench.ilql.metrics import METRICS
from workbench.ilql.objective import conservative_loss, q_loss, value_loss
from workbench.ilql.rules import RULES, WATCHED
from workbench.models.policy_tokenizer import PromptError
from workbench.records import ScoredText, TextPrompt

SETTINGS = {"batch_size": 100, "response_length": LONGEST - 1, "learning_rate": 1e-3,
            "keep_tokens": 0, "comparison_prompts": NODES - 1, "lr_scheduler_type": "constant",
            "polyak": 0.005}


def walked(graph, count=1000):
    walks = graph.walks(count, torch.Generator().manual_seed(1)).tolist()
    found = []
    for walk in walks:
        arrived = GOAL in walk
        if arrived:
            walk = walk[: walk.index(GOAL)]
        text = "".join(chr(ord("a") + node) for node in walk)
        score = graph.optimality(text + "a") if arrived else 0.0
        if len(text) > 1 or arrived:
            found.append(ScoredText(TextPrompt(text[0]), text[1:], score, ended=arrived))
    return found


def trainer(graph, settings):
    ilql = ILQLTrainer(pretrained(graph, seed=0), walks_reward(graph), letters_tokenizer())
    ilql.learn_from(walked(graph))
    prompts = [chr(ord("a") + node) for node in range(NODES) if node != GOAL]
    ilql.begin(prompts, settings)
    return ilql, prompts


@pytest.mark.slow
def test_the_more_values_count_the_shorter_the_walks(unattended):
    graph = Graph(0)
    hp = ILQLSettings.parse({**SETTINGS, "steps_per_cycle": 50, "num_cycles": 6})
    ilql, prompts = trainer(graph, hp)
    for cycle in range(1, hp.num_cycles + 1):
        ilql.run_cycle(cycle, hp, range(len(prompts)), unattended)
    found = []
    for beta in (0.0, 1.0, 100.0):
        written = ilql.compare(range(len(prompts)), hp.with_changes({"beta": beta}), unattended)
        found.append(sum(w.score for w in written) / len(written))
    assert found[0] < found[1] < found[2]
    assert found[2] > 0.9


def gradient(**settings):
    ilql, hp = make(max_grad_norm=0, **settings)
    stir(ilql)
    kept = {}

    def keep(*_):
        for name, p in ilql.policy.named_parameters():
            if p.grad is not None:
                kept[name] = p.grad.clone()
    ilql.optimizer.register_step_pre_hook(keep)
    return ilql, hp, kept, keep


def test_the_gradient_is_that_of_the_formulas(unattended):
    ilql, hp, kept, _ = gradient(cql_coef=0.3, awac_coef=0.7, gamma=0.9, tau=0.8, learning_rate=0,
                                 q_learning_rate=0)
    completions, rewards = ilql.table.batch(range(6), torch.device("cpu"))
    mask = completions.mask
    rows = []
    for row, prompt in enumerate(completions.prompts):
        response = completions.response(row)
        hidden = ilql.policy.hidden_states(torch.tensor([prompt + response]))
        rows.append(hidden[0, len(prompt) - 1:-1])
    states = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    taken = completions.tokens.unsqueeze(-1)
    heads = ilql.heads
    values = heads.values(states)
    after = torch.cat([values[:, 1:], torch.zeros(6, 1)], dim=1)
    following = torch.cat([mask[:, 1:], torch.zeros(6, 1, dtype=torch.bool)], dim=1)
    q1, q2 = heads.online(states)
    target = heads.target(states).gather(-1, taken).squeeze(-1)
    logprobs = ilql.policy.logits(states).log_softmax(-1).gather(-1, taken).squeeze(-1)
    loss = (q_loss(q1.gather(-1, taken).squeeze(-1), q2.gather(-1, taken).squeeze(-1),
                   after.masked_fill(~following, 0.0), rewards, mask, gamma=0.9)
            + value_loss(values, target, mask, tau=0.8)
            + 0.3 * (conservative_loss(q1, completions.tokens, mask)
                     + conservative_loss(q2, completions.tokens, mask))
            - 0.7 * (logprobs * mask).sum() / mask.sum())
    names = {name: p for name, p in ilql.policy.named_parameters() if p.requires_grad}
    expected = dict(zip(names, torch.autograd.grad(loss, list(names.values()), allow_unused=True),
                        strict=True))
    metrics = ilql.run_cycle(1, hp, [0], unattended).metrics
    assert metrics["loss/total"] == pytest.approx(loss.item(), rel=1e-5)
    came = torch.cat([reward[:n].sum() * 0.9 ** torch.arange(n - 1, -1, -1)
                      for reward, n in zip(rewards, completions.lengths, strict=True)])
    best = torch.minimum(*(q.gather(-1, taken).squeeze(-1) for q in (q1, q2)))[mask]
    assert metrics["val/q_explained_variance"] == pytest.approx(
        max(-1.0, 1 - ((came - best).square().mean() / came.var(correction=0)).item()), rel=1e-4)
    for name, found in kept.items():
        torch.testing.assert_close(found, expected[name], rtol=1e-3, atol=1e-6)
    assert {name for name, g in expected.items() if g is not None} == set(kept)
    assert set(metrics) == {metric.name for metric in METRICS}


def test_micro_batches_and_the_order_of_rows_change_nothing(unattended):
    found = []
    for texts, tokens in ((TEXTS, 10_000), (TEXTS, 16), (TEXTS[::-1], 10_000)):
        ilql, hp, kept, _ = gradient(texts=texts, micro_batch_tokens=tokens)
        ilql.run_cycle(1, hp, [0], unattended)
        found.append(kept)
    for other in found[1:]:
        for name, g in found[0].items():
            torch.testing.assert_close(other[name], g, rtol=1e-3, atol=1e-5)


def test_beta_of_zero_is_the_policy_alone(unattended):
    ilql, hp = make(beta=0.0)
    stir(ilql)
    plain = ilql.compare([0, 1], hp, unattended)
    ilql.policy.steering = None
    ilql._steer = lambda settings: None
    assert ilql.compare([0, 1], hp, unattended) == plain
    assert ilql.compare([0, 1], hp.with_changes({"beta": 30.0}), unattended) == plain  # not asked


def test_what_is_written_has_the_chances_it_was_drawn_by(unattended):
    ilql, hp = make(beta=3.0, steer_top_k=4)
    stir(ilql)
    written = ilql._compare([0, 1], hp, unattended).completions
    for row, prompt in enumerate(written.prompts):
        ids = prompt + written.response(row)
        states = ilql.policy.hidden_states(torch.tensor([ids]))[0, len(prompt) - 1:-1]
        logits = ilql.heads.steered(ilql.policy.logits(states), states, beta=3.0, top_k=4)
        assert (torch.isfinite(logits).sum(dim=-1) == 4).all()
        own = logits.log_softmax(-1).gather(-1, torch.tensor(written.response(row))[:, None])[:, 0]
        length = int(written.lengths[row])
        torch.testing.assert_close(written.logprobs[row, :length], own, rtol=1e-4, atol=1e-4)
        assert torch.isfinite(written.entropies).all()


@pytest.mark.parametrize("settings", [{}, {"lora_rank": 2}])
def test_it_goes_on_bit_for_bit(unattended, settings):
    ilql, hp = make(steps_per_cycle=3, polyak=0.3, **settings)
    ilql.run_cycle(1, hp, [0], unattended)
    arrays, numbers = deepcopy(ilql.snapshot())
    straight = ilql.run_cycle(2, hp, [0, 1], unattended)
    again, _ = make(steps_per_cycle=3, polyak=0.3, **settings)
    again.restore(arrays, numbers)
    resumed = again.run_cycle(2, hp, [0, 1], unattended)
    for name, value in straight.metrics.items():
        if not name.startswith(("seconds", "tokens_per")):
            assert resumed.metrics[name] == value, name
    assert resumed.comparison == straight.comparison


def test_scores_are_standardised_and_equal_ones_say_nothing():
    ilql, _ = make()
    rewards = torch.tensor(ilql.table.rewards)
    assert rewards.mean().item() == pytest.approx(0, abs=1e-6)
    assert rewards.std(unbiased=False).item() == pytest.approx(1, abs=1e-6)
    equal = [ScoredText(text.prompt, text.completion, 0.3, text.ended) for text in TEXTS]
    assert make(equal)[0].table.rewards == [0.0] * 6


def test_what_cannot_be_learned_from_is_counted():
    texts = [*TEXTS, ScoredText(TextPrompt("A"), "", 1.0, False),
             ScoredText(TextPrompt("A"), "B" * 64, 1.0)]
    assert make(texts)[0].remark() == (
        "6 completions to learn from; left out: 1 empty, 1 longer than the policy's 64 tokens.")
    equal = [ScoredText(text.prompt, text.completion, 0.3, text.ended) for text in TEXTS]
    assert make(equal)[0].remark() == (
        "6 completions to learn from. All their scores are equal, so that no token is worth more "
        "than another; choose other completions.")
    ilql, hp = make(held_out_prompts=1)
    left = hp.with_changes({"held_out_prompts": 0})
    assert "left out: " in ilql.remark()
    assert "of held-out prompts" in ilql.remark()
    ilql.apply(hp, left)
    assert ilql.remark() == "6 completions to learn from."
    with pytest.raises(PromptError, match="no scored completions to learn from"):
        make([])
    with pytest.raises(PromptError, match="None of the scored completions"):
        make(texts[-1:])


def findings(unattended, cycles=6, **settings):
    ilql, hp = make(num_cycles=cycles, **settings)
    watch = Watch(RULES, WATCHED)
    said = [watch.check(ilql.run_cycle(cycle, hp, [0], unattended).metrics, hp)
            for cycle in range(1, cycles + 1)]
    return said[-1]


def test_health_speaks_of_values_that_feed_on_one_another(unattended):
    def diverging(**settings):
        return [f for f in findings(unattended, **settings) if f.rule == "ilql_diverging"]
    assert diverging(steps_per_cycle=5) == []
    found, = diverging(steps_per_cycle=20, q_learning_rate=0.5, polyak=1.0, cql_coef=0.0,
                       gamma=1.0, tau=0.999)
    assert "values feed on one another" in found.sentence
    rule = next(rule for rule in RULES if rule.name == "ilql_diverging")
    assert rule.suggestion(ILQLSettings.parse({"cql_coef": 0.5})) == {"cql_coef": 1.0}


def test_heads_are_drawn_from_the_same_numbers_on_every_device():
    def next_number(device):
        torch.manual_seed(1)
        QHeads(8, 5, torch.device(device))
        return torch.rand(())

    assert next_number("meta") == next_number("cpu")


def test_a_single_token_is_learned_from(unattended):
    ilql, hp = make([ScoredText(TextPrompt("A"), "B", 1.0, False)] * 6)
    assert ilql.run_cycle(1, hp, [0], unattended).metrics["loss/q"] == pytest.approx(0, abs=1e-6)
