"""DPO end to end on problems whose answer is known, and what must change nothing."""

import math

import numpy as np
import pytest
import torch
from helpers.preferences import bradley_terry, make_dpo, parse, ragged

from workbench.dpo.metrics import METRICS
from workbench.learning.held_out import held_out
from workbench.learning.metrics import HELD, HELD_OUT
from workbench.models.capabilities import Batching
from workbench.models.control import Interrupted, Unattended
from workbench.models.policy_tokenizer import PromptError
from workbench.records import Pair


def run(dpo, hp, cycles=(1, 2)):
    return [dpo.run_cycle(cycle, hp, [0], Unattended()) for cycle in cycles]


def numbers(results):
    return [{name: value for name, value in result.metrics.items()
             if not name.startswith(("seconds", "tokens_per"))} for result in results]


@pytest.mark.parametrize("loss_type", ["sigmoid", "robust"])
def test_one_token_policy_reaches_what_the_theorem_says(loss_type):
    # On pairs drawn from a Bradley-Terry reward r the best policy is pi_ref exp(r / beta).
    beta = 1.0
    dpo = make_dpo([])
    ids = torch.tensor([[ord("A") - 32]])

    @torch.no_grad()
    def distribution(policy):
        return policy.model(ids).logits[0, -1].softmax(-1)

    start = distribution(dpo.policy)
    rewards = torch.tensor([1.5 * (i % 7 == 3) - 1.0 * (i % 5 == 3) for i in range(len(start))])
    best = (start.log() + rewards / beta).softmax(-1)
    pairs = bradley_terry(20_000, start, rewards)
    more = {}
    if loss_type == "robust":  # one label in ten is flipped
        flipped = np.random.default_rng(1).random(len(pairs)) < 0.1
        pairs = [Pair(p.prompt, p.rejected, p.chosen, (), False, False) if flip else p
                 for p, flip in zip(pairs, flipped, strict=True)]
        more = {"label_smoothing": 0.1}
    dpo.learn_from(pairs)
    hp = parse(num_cycles=8, batch_size=1024, steps_per_cycle=10, beta=beta, learning_rate=5e-3,
               held_out_share=0, response_length=1, loss_type=loss_type, **more)
    dpo.begin(["A"], hp)
    assert 0.5 * (distribution(dpo.policy) - best).abs().sum() > 0.3
    run(dpo, hp, range(1, 9))
    assert 0.5 * (distribution(dpo.policy) - best).abs().sum() < 0.05


@pytest.mark.parametrize("tokens", [0, 64, 7])
def test_before_the_first_step_the_policy_prefers_nothing(tokens):
    # Whatever dropout the model asks for is off, and all is read alike: ln 2, and no margin. What
    # rounding leaves of one, which depends on what is read together, is a tie, and that no win.
    dpo = make_dpo(ragged())
    hp = parse(learning_rate=0, micro_batch_tokens=tokens)
    dpo.begin(["A"], hp)
    for result in run(dpo, hp):
        for prefix in ("", "eval/"):
            assert result.metrics[f"{prefix}loss/preference"] == pytest.approx(
                math.log(2), abs=1e-6)
            assert result.metrics[f"{prefix}rewards/margins"] == pytest.approx(0, abs=2e-6)
            assert result.metrics[f"{prefix}rewards/accuracies"] == 0
        assert result.metrics["objective/kl"] == pytest.approx(0, abs=1e-5)
    named = {metric.name for metric in METRICS
             if not metric.absent.startswith(("The SFT", "No prompts"))}
    assert set(result.metrics) == named


def gradient(settings, *, order=1, architecture="gpt2", batching=Batching.PADDED):
    """Return the gradient and the metrics of one step on six pairs."""
    pairs = ragged(6)
    dpo = make_dpo(pairs[::order], architecture=architecture, eos=(2,))
    hp = parse(batch_size=6, steps_per_cycle=1, max_grad_norm=0, held_out_share=0, **settings)
    dpo.begin(["A"], hp)
    with torch.no_grad():  # a little away from the start policy, so that pairs differ
        torch.manual_seed(3)
        for p in dpo.policy.parameters():
            p.add_(0.02 * torch.randn_like(p))
    object.__setattr__(dpo.policy.capabilities, "reading", batching)
    kept = {}

    def keep(*_):
        kept.update({n: p.grad.clone() for n, p in dpo.policy.named_parameters()
                     if p.grad is not None})

    dpo.optimizer.register_step_pre_hook(keep)
    return kept, dpo.run_cycle(1, hp, [0], Unattended()).metrics


def assert_near(one, other):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * max(1, one.abs().max().item()))


def assert_same(one, other):
    (grads, metrics), (others, also) = one, other
    assert grads.keys() == others.keys()
    for name, grad in grads.items():
        assert_near(grad, others[name])
    for name in ("loss/preference", "rewards/margins", "logps/chosen", "policy/grad_norm"):
        assert metrics[name] == pytest.approx(also[name], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("loss", [
    {}, {"loss_type": "ipo"}, {"loss_type": "ipo", "average_log_prob": True},
    {"loss_type": "hinge", "sft_coef": 0.3}, {"label_smoothing": 0.1}])
def test_the_gradient_is_that_of_the_formula(loss):
    """Of whole sums, by plain transformers and automatic differentiation."""
    from workbench.dpo.objective import preference_loss, sft_loss

    grads, metrics = gradient(loss)
    dpo = make_dpo(ragged(6), eos=(2,))
    hp = parse(batch_size=6, steps_per_cycle=1, held_out_share=0, **loss)
    dpo.begin(["A"], hp)

    def sums(model):
        found = []
        for prompt, *sides in zip(
                dpo.table.prompts, dpo.table.chosen, dpo.table.rejected, strict=True):
            for side in sides:
                logits = model(torch.tensor([[*prompt, *side]])).logits[0, len(prompt) - 1 : -1]
                total = logits.log_softmax(-1).gather(-1, torch.tensor(side)[:, None]).sum()
                found.append(total / len(side) if hp.average_log_prob else total)
        return torch.stack(found)

    with torch.no_grad(), dpo.reference() as start:
        reference = sums(start.model)
    with torch.no_grad():
        torch.manual_seed(3)
        for p in dpo.policy.parameters():
            p.add_(0.02 * torch.randn_like(p))
    policy = sums(dpo.policy.model)
    losses, _ = preference_loss(
        policy[0::2], policy[1::2], reference[0::2], reference[1::2], beta=hp.beta,
        loss_type=hp.loss_type, label_smoothing=hp.label_smoothing)
    if hp.sft_coef:
        lengths = torch.tensor([len(side) for side in dpo.table.chosen])
        losses = losses + hp.sft_coef * sft_loss(policy[0::2], lengths)
    losses.mean().backward()
    for name, p in dpo.policy.named_parameters():
        if p.grad is not None:
            assert_near(p.grad, grads[name])
    own = losses.mean().item() - hp.sft_coef * metrics.get("loss/sft", 0.0)
    assert metrics["loss/preference"] == pytest.approx(own, rel=1e-5)


@pytest.mark.parametrize("settings", [
    {}, {"loss_type": "ipo"}, {"loss_type": "ipo", "average_log_prob": True},
    {"loss_type": "hinge", "sft_coef": 0.3}])
@pytest.mark.parametrize("other", [
    {"micro": 7}, {"micro": 1}, {"order": -1}, {"batching": Batching.SINGLE},
    {"batching": Batching.EQUAL}])
def test_how_pairs_are_cut_and_ordered_changes_no_gradient(settings, other):
    other = dict(other)
    cut = {"micro_batch_tokens": other.pop("micro", 0)}
    assert_same(gradient(settings), gradient({**settings, **cut}, **other))


def test_a_longer_pair_beside_it_changes_no_reference():
    alone, beside = make_dpo(ragged(3)), make_dpo([*ragged(3), Pair("A", "x" * 50, "y")])
    sums = []
    for dpo in (alone, beside):
        hp = parse(held_out_share=0)
        dpo.begin(["A"], hp)
        dpo.prepare(hp, Unattended())
        sums.append(dpo.reference_sums[:6])
    torch.testing.assert_close(*sums, rtol=0, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"lora_rank": 2}, {"sft_coef": 0.1}])
def test_a_resume_is_as_if_it_had_never_stopped(settings):
    pairs, hp = ragged(), parse(learning_rate=1e-3, **settings)
    whole = make_dpo(pairs)
    whole.begin(["A", "b"], hp)
    whole.prepare(hp, Unattended())
    first = run(whole, hp)
    arrays, numbers_then = whole.snapshot()  # the arrays are the weights themselves
    kept = {name: array.copy() for name, array in arrays.items()}, numbers_then
    rest = run(whole, hp, (3, 4))
    again = make_dpo(pairs)
    again.begin(["A", "b"], hp)
    again.restore(*kept)
    assert again.reference_sums is not None  # it is not read again
    assert numbers(run(again, hp, (3, 4))) == numbers(rest)
    assert numbers(first)[0]["rewards/margins"] != numbers(rest)[1]["rewards/margins"]
    arrays, others = whole.snapshot()[0], again.snapshot()[0]
    assert arrays.keys() == others.keys()
    assert all(np.array_equal(arrays[name], others[name]) for name in arrays)


def test_a_fork_by_which_the_start_policy_reads_otherwise_asks_it_anew():
    hp = parse(learning_rate=1e-3, held_out_share=0.5)
    cold = parse(learning_rate=1e-3, held_out_share=0.2, temperature=0.5)
    dpo, fresh = make_dpo(ragged()), make_dpo(ragged())
    dpo.begin(["A", "b"], hp)
    dpo.prepare(hp, Unattended())
    run(dpo, hp)
    fresh.begin(["A", "b"], cold)
    fresh.prepare(cold, Unattended())
    before, split = dpo.reference_sums.clone(), list(dpo.table.held_out)
    dpo.apply(hp, cold)
    assert list(dpo.table.held_out) == list(fresh.table.held_out) != split
    run(dpo, cold, (3,))
    torch.testing.assert_close(dpo.reference_sums, fresh.reference_sums, rtol=0, atol=1e-5)
    assert (dpo.reference_sums - before).abs().min() > 0.01
    dpo.apply(cold, cold.with_changes({"beta": 0.3}))
    assert dpo.reference_sums is not None


def test_another_algorithms_checkpoint_is_gone_on_from():
    """The reference is the start policy, whatever the weights."""
    hp = parse(learning_rate=1e-3)
    dpo = make_dpo(ragged())
    dpo.begin(["A"], hp)
    run(dpo, hp)
    arrays, position = dpo.snapshot()
    kept = dpo.reference_sums.clone()
    del arrays["pairs/reference"]
    dpo.begin(["A"], hp)
    dpo.restore(arrays, position)
    assert run(dpo, hp, (3,))[0].metrics["rewards/margins"] != 0
    assert torch.equal(dpo.reference_sums, kept)


def test_live_settings_change_what_follows():
    dpo, hp = make_dpo(ragged()), parse(learning_rate=1e-3)
    dpo.begin(["A"], hp)
    run(dpo, hp, (1,))
    new = hp.with_changes({"beta": 1.0, "loss_type": "hinge", "batch_size": 2})
    dpo.apply(hp, new)
    metrics = run(dpo, new, (2,))[0].metrics
    assert metrics["pairs/passes"] == pytest.approx((8 + 4) / len(dpo.table.training))
    deeper = new.with_changes({"gradient_checkpointing": True})
    dpo.apply(new, deeper)  # made again with the same weights
    assert dpo.reference_sums is not None
    assert run(dpo, deeper, (3,))[0].metrics["policy/steps"] == 2


def test_a_prompt_is_learned_from_or_held_out():
    dpo = make_dpo(ragged(24))
    dpo.begin(["A"], parse(held_out_share=0.3))
    table = dpo.table
    sides = [{tuple(table.prompts[p]) for p in places}
             for places in (table.training, table.held_out)]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert sorted([*table.training, *table.held_out]) == list(range(24))
    before = list(table.held_out)
    dpo.begin(["A"], parse(held_out_share=0.3, seed=1))
    assert list(dpo.table.held_out) != before


def test_what_cannot_be_learned_from_is_counted():
    dpo = make_dpo([
        Pair("A", "b", "c"), Pair("A", "same", "same"), Pair("A", "x" * 70, "y"),
        Pair("A", "Hi.<|im_end|>", "c"), Pair("[INST] A [/INST]", "b", "c")])
    dpo.begin(["A"], parse())
    assert dpo.remark() == (
        "1 pair to learn from, 0 held out (there are too few prompts to hold out "
        "10\N{NO-BREAK SPACE}% of them); left out: 1 with control tokens of another tokenizer "
        "(<|im_end|>), 1 with control tokens of another tokenizer ([INST]), 1 whose completions "
        "are the same tokens, 1 longer than the policy's 64 tokens.")
    assert "eval/loss/preference" not in run(dpo, parse(), (1,))[0].metrics
    dpo.learn_from([Pair("A", "b", "b")])
    with pytest.raises(PromptError, match=r"None of the 1 pair can be learned from: 1 whose"):
        dpo.begin(["A"], parse())
    dpo.learn_from([])
    with pytest.raises(PromptError, match=r"There are no pairs to learn from"):
        dpo.begin(["A"], parse())


def test_an_end_is_learned_only_where_there_was_one():
    dpo = make_dpo([Pair("A", "b", "cd", rejected_ended=False)], eos=(2,))
    dpo.begin(["A"], parse())
    assert (dpo.table.chosen, dpo.table.rejected) == ([[66, 2]], [[67, 68]])


def test_stopping_within_a_cycle_leaves_the_position():
    class Stop(Unattended):
        def step(self, phase, done, total):
            if done:
                raise Interrupted

    dpo, hp = make_dpo(ragged()), parse()
    dpo.begin(["A"], hp)
    dpo.prepare(hp, Unattended())
    with pytest.raises(Interrupted):
        dpo.run_cycle(1, hp, [0], Stop())
    assert dpo.position == 0


def test_a_sample_of_the_held_out_pairs_is_read(unattended):
    dpo, fresh = make_dpo(ragged(24)), make_dpo(ragged(24))
    hp = parse(held_out_share=0.5, eval_pairs=3)
    dpo.begin(["A"], hp)
    dpo.prepare(hp, unattended)
    apart = dpo.table.held_out

    def read(trainer, most=3):
        return list(trainer.sampled(apart, most, hp))

    few = read(dpo)
    assert len(few) == 3
    assert few != list(apart[:3])
    assert set(few) < set(read(dpo, 5)) < set(apart)
    assert read(dpo, len(apart)) == list(apart)
    measured = []
    dpo._read = lambda policy, places, *rest: measured.append(list(places)) or (
        type(dpo)._read(dpo, policy, places, *rest))
    assert dpo.run_cycle(1, hp, [0], unattended).metrics[HELD] == 3
    assert measured == [few]
    arrays, numbers = dpo.snapshot()
    before = {name: number for name, number in numbers.items() if name != "samples_held_out"}
    fresh.begin(["A"], hp)
    fresh.restore(arrays, numbers)
    assert read(fresh) == few
    # A run of an earlier version goes on with those that it has read, also where it is made anew.
    fresh.restore(arrays, before)
    assert read(fresh) == list(apart[:3])
    fresh.restore_numbers(fresh.numbers)
    again = fresh.snapshot()
    fresh.begin(["A"], hp)
    assert read(fresh) == few
    fresh.restore(*again)
    assert read(fresh) == list(apart[:3])
    # One that goes on from another algorithm has read none.
    fresh.begin(["A"], hp)
    fresh.restore({name: a for name, a in arrays.items() if name != dpo.REFERENCE}, before)
    assert read(fresh) == few


def test_of_held_out_prompts_no_pair_is_learned_from():
    prompts = ["A", "B", "C", "D"]
    pairs = [Pair(prompt, "E", "F", (), False, False) for prompt in prompts for _ in range(2)]
    dpo = make_dpo(pairs)
    hp = parse(learning_rate=1e-2, held_out_share=0, held_out_prompts=2, held_out_every=1)
    dpo.begin(prompts, hp)
    apart = {prompts[i] for i in held_out(4, 2)}
    assert {pairs[i].prompt for i in dpo.table.training} == set(prompts) - apart
    assert {pairs[i].prompt for i in dpo.table.held_out} == apart
    assert HELD_OUT in run(dpo, hp)[-1].metrics
    dpo.learn_from([pair for pair in pairs if pair.prompt in apart])
    with pytest.raises(PromptError, match="All pairs are of held-out prompts"):
        dpo.begin(prompts, hp)
