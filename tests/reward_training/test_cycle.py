"""The training of a reward model end to end on problems whose answer is known, and what must change
nothing."""

import copy
import math

import pytest
import torch
from helpers.reward_training import bradley_terry, make_trainer, parse, ragged

from workbench.models.control import Interrupted, Unattended
from workbench.models.phases import Phase
from workbench.models.policy import UnsupportedModelError
from workbench.models.policy_tokenizer import PromptError
from workbench.records import Pair
from workbench.reward_training.metrics import METRICS
from workbench.reward_training.objective import bradley_terry_loss
from workbench.reward_training.pairs import exchanges_of


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


def run(judge, hp, cycles=(1, 2)):
    return [judge.run_cycle(cycle, hp, [0], Unattended()) for cycle in cycles]


def numbers(result):
    return {name: value for name, value in result.metrics.items()
            if not name.startswith(("seconds", "tokens_per"))}


def weights(judge):
    return {name: p.detach().clone() for name, p in judge.learning.named_parameters()}


def test_it_learns_the_reward_that_the_choices_were_made_by(models):
    # Of enough choices by Bradley and Terry's chances, the differences of scores are those of the
    # reward; where all are to 0 is for nobody to tell.
    rewards = {" a": 1.0, " b": 0.3, " c": -0.2, " d": -1.2}
    judge = make_trainer(bradley_terry(12_000, rewards), models)
    hp = parse(num_cycles=6, batch_size=400, steps_per_cycle=20, learning_rate=2e-3,
               held_out_share=0)
    judge.begin(["A"], hp)
    results = run(judge, hp, range(1, 7))
    rows = judge.model.reader.read([
        exchanges_of(Pair("A", answer, ""), chat=False)[0] for answer in rewards])
    with torch.no_grad():
        found = judge.model.scores(rows)
    right = torch.tensor(list(rewards.values()))
    torch.testing.assert_close(found - found.mean(), right - right.mean(), atol=0.1, rtol=0)
    assert results[-1].metrics["reward_model/accuracy"] < 0.8  # as good as anybody can be


def test_before_the_first_step_it_prefers_hardly_anything(models):
    judge = make_trainer(ragged(), models)
    hp = parse(learning_rate=0)
    judge.begin(["A"], hp)
    before = weights(judge)
    for result in run(judge, hp):
        for prefix in ("", "eval/"):
            assert result.metrics[f"{prefix}reward_model/loss"] == pytest.approx(
                math.log(2), abs=0.05)
    assert all(torch.equal(before[name], now) for name, now in weights(judge).items())
    assert set(result.metrics) == {metric.name for metric in METRICS}


def test_the_policy_stays_as_it_is_and_writes_once(models):
    judge = make_trainer(ragged(), models)
    before = {name: p.clone() for name, p in judge.policy.named_parameters()}
    hp = parse(learning_rate=1e-2)
    judge.begin(["The tea", "A"], hp)
    start = judge.compare([0, 1], hp, Unattended())
    results = [judge.run_cycle(cycle, hp, [0, 1], Unattended()) for cycle in (1, 2)]
    assert all(torch.equal(before[name], p) for name, p in judge.policy.named_parameters())
    for result in results:
        assert [w.text for w in result.comparison] == [w.text for w in start]
        assert [w.kl for w in result.comparison] == [0.0, 0.0]
        assert result.metrics["reward_model/samples"] == pytest.approx(
            sum(w.score for w in result.comparison) / 2)
        assert result.rollout == ()
    scores = [[w.score for w in r.comparison] for r in results]
    assert scores[0] != scores[1]


def gradient(models, settings, *, order=1, architecture="gpt2", plain=False):
    """Return the gradient and the metrics of one step on six pairs."""
    pairs = ragged(6)
    judge = make_trainer(pairs[::order], models, architecture=architecture)
    hp = parse(batch_size=6, steps_per_cycle=1, max_grad_norm=0, held_out_share=0, **settings)
    judge.begin(["A"], hp)
    with torch.no_grad():  # away from the start, so that pairs differ
        torch.manual_seed(3)
        for p in judge.learning.parameters():
            if p.requires_grad:
                p.add_(0.02 * torch.randn_like(p))
    if plain:
        judge.model.states_suffice = False
    kept = {}

    def keep(*_):
        kept.update({n: p.grad.clone() for n, p in judge.learning.named_parameters()
                     if p.grad is not None})

    judge.optimizer.register_step_pre_hook(keep)
    return kept, judge.run_cycle(1, hp, [0], Unattended()).metrics, judge


def assert_same(one, other):
    (grads, metrics, _), (others, also, _) = one, other
    assert grads.keys() == others.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(
            grad, others[name], rtol=1e-4, atol=1e-5 * max(1, grad.abs().max().item()))
    for name in ("loss", "margin", "chosen", "length_correlation"):
        assert metrics[f"reward_model/{name}"] == pytest.approx(
            also[f"reward_model/{name}"], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@pytest.mark.parametrize("loss", [{}, {"centering": 0.1}])
def test_the_gradient_is_that_of_the_formula(models, architecture, loss):
    """By plain transformers, row by row, and automatic differentiation."""
    grads, metrics, _ = gradient(models, loss, architecture=architecture)
    _, _, judge = gradient(models, {**loss, "learning_rate": 0}, architecture=architecture)
    assert judge.model.states_suffice
    rows = judge.table.rows_of(range(6))
    scores = torch.cat([judge.model.reward(torch.tensor([row.ids])).logits[:, 0] for row in rows])
    losses, _ = bradley_terry_loss(scores[0::2], scores[1::2], **loss)
    losses.mean().backward()
    assert metrics["reward_model/loss"] == pytest.approx(losses.mean().item(), abs=1e-5)
    for name, p in judge.learning.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(p.grad, grads[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("change", [
    {"settings": {"micro_batch_tokens": 40}}, {"settings": {"micro_batch_tokens": 1}},
    {"order": -1}, {"plain": True}, {"settings": {"gradient_checkpointing": True}}])
def test_micro_batches_padding_and_order_change_no_gradient(models, change):
    more = dict(change)
    settings = more.pop("settings", {})
    assert_same(gradient(models, {}), gradient(models, settings, **more))


def test_margins_count_where_they_are_asked_for(models):
    pairs = [Pair(p.prompt, p.chosen, p.rejected, margin=2.0 if i else None)
             for i, p in enumerate(ragged(2))]
    judge = make_trainer(pairs, models)
    found = []
    for margins in (False, True):
        hp = parse(batch_size=2, steps_per_cycle=1, held_out_share=0, use_margins=margins,
                   learning_rate=0)
        judge.begin(["A"], hp)
        found.append(judge.run_cycle(1, hp, [0], Unattended()).metrics["reward_model/loss"])
    # Of scores near 0: ln 2 each, and -log s(-2) of the one with a margin.
    assert found[0] == pytest.approx(math.log(2), abs=0.05)
    assert found[1] == pytest.approx((math.log(2) + math.log(1 + math.exp(2))) / 2, abs=0.05)


def test_adapters_leave_the_copy_as_it_is(models):
    judge = make_trainer(ragged(), models)
    hp = parse(learning_rate=1e-2, lora_rank=2)
    judge.begin(["A"], hp)
    before = weights(judge)
    run(judge, hp)
    moved = {name for name, p in weights(judge).items() if not torch.equal(p, before[name])}
    assert "reward.score.weight" in moved
    assert moved == {name for name in before if "lora" in name} | {"reward.score.weight"}


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_a_snapshot_is_all_that_the_next_cycle_depends_on(models, lora_rank):
    judge = make_trainer(ragged(), models)
    hp = parse(learning_rate=1e-2, lora_rank=lora_rank)
    judge.begin(["A"], hp)
    run(judge, hp, (1, 2))
    arrays, kept = copy.deepcopy(judge.snapshot())
    first = judge.run_cycle(3, hp, [0], Unattended())
    other = make_trainer(ragged(), models)
    other.begin(["A"], hp)
    other.restore(arrays, kept)
    assert numbers(other.run_cycle(3, hp, [0], Unattended())) == numbers(first)


def test_the_reward_model_that_is_loaded_goes_on(models):
    judge = make_trainer(ragged(), models)
    hp = parse(learning_rate=1e-3, begins_as="reward", num_cycles=6)
    judge.begin(["A"], hp)
    assert not judge.model.states_suffice  # BERT reads both ways, and with a mask
    exchanges = judge.table.exchanges[:3]
    right = judge.reward.score(exchanges, control=Unattended())
    with torch.no_grad():
        found = judge.model.scores(judge.model.reader.read(exchanges))
    torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-5)
    results = run(judge, hp, range(1, 7))
    losses = [r.metrics["reward_model/loss"] for r in results]
    assert losses[-1] < losses[0]
    torch.testing.assert_close(judge.reward.score(exchanges, control=Unattended()), right)


def test_what_cannot_go_on_is_refused(models):
    judge = make_trainer(ragged(), models)
    judge.reward = object()
    with pytest.raises(UnsupportedModelError, match="no single sequence classifier"):
        judge.begin(["A"], parse(begins_as="reward"))
    judge.learn_from([])
    with pytest.raises(PromptError, match="no pairs to learn from"):
        judge.begin(["A"], parse())
    judge.learn_from([Pair("A", " b", " b")])
    with pytest.raises(PromptError, match="1 whose texts are the same tokens; choose others"):
        judge.begin(["A"], parse())


def test_pairs_of_one_prompt_are_on_one_side_and_held_out_prompts_are_not_learned_from(models):
    judge = make_trainer(ragged(16), models)
    hp = parse(held_out_share=0.25)
    judge.begin(["The tea", "The cat"], hp)
    table = judge.table

    def asked(places):
        return {table.exchanges[2 * p].prompt for p in places}

    assert len(table.held_out) == 4
    assert not asked(table.held_out) & asked(table.training)
    assert "12 pairs to learn from, 4 held out." in judge.remark()
    never = parse(held_out_share=0.25, held_out_prompts=1)
    judge.begin(["The tea", "The cat"], never)
    apart = judge.prompts[judge.held_out[0]].text
    assert apart in asked(judge.table.held_out)
    assert apart not in asked(judge.table.training)


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_held_out_pairs_are_told_of_only_where_there_are_some(models, share):
    judge, hp = make_trainer(ragged(), models), parse(held_out_share=share)
    judge.begin(["A"], hp)
    phases = set()

    class Watching(Unattended):
        def step(self, phase, done, total):
            phases.add(phase)

    judge.run_cycle(1, hp, [0], Watching())
    assert (Phase.EVALUATING in phases) == bool(share)
    label = hp.specs()["held_out_share"].label
    assert (f"0 held out ({label} is 0)" in judge.remark()) == (not share)


def test_long_texts_are_read_from_their_end(models):
    pairs = [*ragged(4), Pair("x" * 200, " good", " bad")]
    judge = make_trainer(pairs, models)
    judge.begin(["A"], parse(held_out_share=0))
    assert "The beginning of 2 texts is not read, which are too long for the model." in (
        judge.remark())
    assert max(len(row.ids) for row in judge.table.rows) == 128
    assert judge.run_cycle(1, parse(held_out_share=0), [0], Unattended()).metrics


def test_every_text_ends_with_the_end_token_where_that_is_asked(models):
    for wanted in (True, False):
        judge = make_trainer(ragged(4), models)
        judge.begin(["A"], parse(end_with_eos=wanted))
        ends = {row.ids[-1] for row in judge.table.rows}
        # This policy pads with nothing but its end token, which would hide it.
        assert (ends == {0}) is False
        judge = make_trainer(ragged(4), models, architecture="llama")
        judge.begin(["tea"], parse(end_with_eos=wanted))
        ends = {row.ids[-1] for row in judge.table.rows}
        assert (ends == {judge.model.reader.tokenizer.eos_token_id}) is wanted


class _Stops(Unattended):
    def __init__(self, after):
        self.left = after

    def step(self, phase, done, total):
        self.left -= 1
        if not self.left:
            raise Interrupted


def test_a_cycle_can_be_ended_at_every_step(models):
    judge = make_trainer(ragged(), models)
    hp = parse(learning_rate=1e-2)
    judge.begin(["A"], hp)
    with pytest.raises(Interrupted):
        judge.run_cycle(1, hp, [0], _Stops(2))
    assert judge.between_cycles  # nothing was applied yet
    with pytest.raises(Interrupted):
        judge.run_cycle(1, hp, [0], _Stops(5))
    assert not judge.between_cycles


def test_texts_that_begin_alike_share_a_row_and_learn_the_same(models):
    pairs = [Pair("The tea of the old house by the river was hot and good and " + "very " * (i % 5),
                  f"good{'!' * i}", "bad" + " so bad" * (i % 3)) for i in range(8)]
    found = {}
    for alone in (False, True):
        judge = make_trainer(pairs, models, architecture="llama")
        hp = parse(batch_size=8, steps_per_cycle=1, held_out_share=0, learning_rate=1e-3,
                   lr_scheduler_type="constant")
        judge.begin(["A"], hp)
        assert judge.model._branches
        widths = []
        trunk = judge.model.hidden_states
        judge.model.hidden_states = lambda ids, *more, trunk=trunk, widths=widths: (
            widths.append(tuple(ids.shape)) or trunk(ids, *more))
        if alone:
            judge.model._branches = 0
        metrics = [numbers(result) for result in run(judge, hp)]
        found[alone] = metrics, weights(judge), sum(a * b for a, b in widths)
    (metrics, learned, shared_tokens), (theirs, their_weights, tokens) = found[False], found[True]
    assert shared_tokens < 0.85 * tokens
    for mine, other in zip(metrics, theirs, strict=True):
        assert mine == pytest.approx(other, rel=1e-4, abs=1e-5, nan_ok=True)
    for name, weight in learned.items():
        torch.testing.assert_close(weight, their_weights[name], rtol=1e-4, atol=1e-6)
