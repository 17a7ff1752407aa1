"""KTO end to end on a problem whose answer is known, and what must change nothing."""

import math

import numpy as np
import pytest
import torch
from helpers.marks import drawn, make_kto, marked, parse, ragged

from workbench.health import Watch
from workbench.kto.hyperparameters import KTOSettings
from workbench.kto.metrics import METRICS
from workbench.kto.objective import kto_loss
from workbench.kto.rules import RULES, WATCHED
from workbench.learning.held_out import held_out
from workbench.learning.metrics import HELD_OUT
from workbench.models.capabilities import Batching
from workbench.models.control import Interrupted, Unattended
from workbench.models.policy_tokenizer import PromptError


def run(kto, hp, cycles=(1, 2)):
    return [kto.run_cycle(cycle, hp, [0], Unattended()) for cycle in cycles]


def numbers(results):
    return [{name: value for name, value in result.metrics.items()
             if not name.startswith(("seconds", "tokens_per"))} for result in results]


def stir(kto):
    """Move the policy a little away from the start policy."""
    torch.manual_seed(11)
    with torch.no_grad():
        for p in kto.policy.parameters():
            p.add_(0.02 * torch.randn_like(p))


@pytest.mark.parametrize("settings", [{}, {"desirable_weight": 3.0}])
def test_one_token_policy_becomes_the_start_policy_among_the_good(settings):
    # The minimum gives no chance to the bad; of the good each has the same log-ratio, for its slope
    # against that of the sum of all chances, s(1 - s) ÷ exp(h), is the same: π_start given good.
    kto = make_kto([])
    ids = torch.tensor([[ord("A") - 32]])

    @torch.no_grad()
    def distribution(policy):
        return policy.model(ids).logits[0, -1].softmax(-1)

    start = distribution(kto.policy)
    good = torch.tensor([i % 3 == 0 for i in range(len(start))])
    best = (start * good) / (start * good).sum()
    kto.learn_from(drawn(20_000, start, good))
    hp = parse(num_cycles=8, batch_size=1024, steps_per_cycle=10, beta=0.3, learning_rate=1e-2,
               held_out_share=0, response_length=1, **settings)
    kto.begin(["A"], hp)
    assert 0.5 * (distribution(kto.policy) - best).abs().sum() > 0.3
    run(kto, hp, range(1, 9))
    after = distribution(kto.policy)
    common = start > 1e-3  # of the others hardly any was drawn
    assert (after > start)[good & common].all()
    assert (after < start)[~good & common].all()
    assert 0.5 * (after - best).abs().sum() < 0.05


@pytest.mark.parametrize("tokens", [0, 64, 7])
def test_before_the_first_step_nothing_is_told_apart(tokens):
    # What rounding leaves, which depends on what is read together, is a tie: half of one.
    kto = make_kto(ragged(24))
    hp = parse(learning_rate=0, batch_size=6, held_out_share=0.4, micro_batch_tokens=tokens)
    kto.begin(["A"], hp)
    for result in run(kto, hp):
        for prefix in ("", "eval/"):
            assert result.metrics[f"{prefix}loss/kto"] == pytest.approx(0.5, abs=1e-6)
            assert result.metrics[f"{prefix}loss/reference_point"] == pytest.approx(0, abs=1e-5)
            assert result.metrics[f"{prefix}rewards/good_less_bad"] == pytest.approx(0, abs=2e-6)
            assert result.metrics[f"{prefix}rewards/told_apart"] == 0.5
        assert result.metrics["objective/kl"] == pytest.approx(0, abs=1e-5)
    named = {metric.name for metric in METRICS if not metric.absent.startswith("No prompts")}
    assert set(result.metrics) == named


LOSSES = [{}, {"beta": 1.0, "desirable_weight": 2.0, "undesirable_weight": 0.5}]


def gradient(settings, *, order=1, architecture="gpt2", batching=Batching.PADDED):
    """Return the gradient and the metrics of one step on six completions."""
    kto = make_kto(ragged(6)[::order], architecture=architecture, eos=(2,))
    hp = parse(batch_size=6, steps_per_cycle=1, max_grad_norm=0, held_out_share=0, **settings)
    kto.begin(["A"], hp)
    stir(kto)
    object.__setattr__(kto.policy.capabilities, "reading", batching)
    kept = {}

    def keep(*_):
        kept.update({n: p.grad.clone() for n, p in kto.policy.named_parameters()
                     if p.grad is not None})

    kto.optimizer.register_step_pre_hook(keep)
    return kept, kto.run_cycle(1, hp, [0], Unattended()).metrics


def assert_near(one, other):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * max(1, one.abs().max().item()))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_is_that_of_the_formula(loss):
    """Of whole sums, by plain transformers and automatic differentiation; z of the same batch."""
    grads, metrics = gradient(loss)
    kto = make_kto(ragged(6), eos=(2,))
    hp = parse(batch_size=6, steps_per_cycle=1, held_out_share=0, **loss)
    kto.begin(["A"], hp)
    table = kto.table

    def sums(model, responses):
        found = []
        for prompt, response in zip(table.prompts, responses, strict=True):
            logits = model(torch.tensor([[*prompt, *response]])).logits[0, len(prompt) - 1 : -1]
            found.append(logits.log_softmax(-1).gather(-1, torch.tensor(response)[:, None]).sum())
        return torch.stack(found)

    others = [table.responses[place] for place in table.partners]
    with torch.no_grad(), kto.reference() as start:
        own, mismatched = sums(start.model, table.responses), sums(start.model, others)
    stir(kto)
    with torch.no_grad():
        z = (sums(kto.policy.model, others) - mismatched).mean()
    assert z > 0.1  # or it would say nothing
    ratios = sums(kto.policy.model, table.responses) - own
    good = torch.tensor([text.score > 0 for text in table.texts])
    losses = kto_loss(ratios, good, beta=hp.beta, kl=z, desirable_weight=hp.desirable_weight,
                      undesirable_weight=hp.undesirable_weight)
    losses.mean().backward()
    for name, p in kto.policy.named_parameters():
        if p.grad is not None:
            assert_near(p.grad, grads[name])
    ratios, losses = ratios.detach(), losses.detach()
    rewards = hp.beta * ratios
    for name, right in (
        ("loss/kto", losses.mean()), ("loss/reference_point", z), ("marks/good", 0.5),
        ("rewards/good", rewards[good].mean()), ("rewards/bad", rewards[~good].mean()),
        ("rewards/good_less_bad", rewards[good].mean() - rewards[~good].mean()),
        ("logps/good", (ratios + own)[good].mean()), ("logps/bad", (ratios + own)[~good].mean()),
        ("rewards/told_apart",
         (rewards[good][:, None] > rewards[~good][None]).float().mean()),
    ):
        assert metrics[name] == pytest.approx(float(right), rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("settings", LOSSES)
@pytest.mark.parametrize("other", [
    {"micro": 7}, {"micro": 1}, {"order": -1}, {"batching": Batching.SINGLE},
    {"batching": Batching.EQUAL}])
def test_how_completions_are_cut_and_ordered_changes_no_gradient(settings, other):
    other = dict(other)
    cut = {"micro_batch_tokens": other.pop("micro", 0)}
    (grads, metrics), (others, also) = gradient(settings), gradient({**settings, **cut}, **other)
    assert grads.keys() == others.keys()
    for name, grad in grads.items():
        assert_near(grad, others[name])
    for name in ("loss/kto", "loss/reference_point", "rewards/good", "policy/grad_norm"):
        assert metrics[name] == pytest.approx(also[name], rel=1e-4, abs=1e-6)


def test_a_longer_completion_beside_it_changes_no_reference():
    texts = [marked("A", "bc", 1.0), marked("B", "d", 0.0), marked("C", "ee", 1.0)]
    sums = []
    for more in ([], [marked("D", "x" * 50, 0.0)]):
        kto = make_kto([*texts, *more])
        hp = parse(held_out_share=0)
        kto.begin(["A"], hp)
        kto.prepare(hp, Unattended())
        sums.append(kto.reference_sums[0:6:2])
    torch.testing.assert_close(*sums, rtol=0, atol=1e-5)


def test_a_partner_is_of_another_prompt_whatever_else_there_is():
    found = []
    for texts, share in ((ragged(24), 0), (ragged(24)[::-1], 0), (ragged(24), 0.3)):
        kto = make_kto(texts)
        kto.begin(["A"], parse(held_out_share=share))
        table = kto.table
        assert sorted(table.partners) == list(range(24))  # each once
        assert all(table.prompts[table.partners[place]] != table.prompts[place]
                   for place in range(24))
        found.append({(table.texts[i], table.texts[p]) for i, p in enumerate(table.partners)})
    # What stands where, and what is held out, says nothing: the start policy has read them once.
    assert found[0] == found[1] == found[2]


def test_a_partner_is_cut_to_what_the_policy_reads():
    kto = make_kto([marked("A" * 60, "bc", 1.0), marked("B", "d" * 50, 0.0)])
    kto.begin(["A"], parse(held_out_share=0))
    found = kto.table.mismatched([0, 1], torch.device("cpu"))
    assert found.lengths.tolist() == [4, 2]
    assert run(kto, parse(held_out_share=0), (1,))[0].metrics["policy/steps"] == 2


@pytest.mark.parametrize("settings", [{}, {"lora_rank": 2}, {"desirable_weight": 4.0}])
def test_a_resume_is_as_if_it_had_never_stopped(settings):
    texts, hp = ragged(), parse(learning_rate=1e-3, **settings)
    whole = make_kto(texts)
    whole.begin(["A", "b"], hp)
    whole.prepare(hp, Unattended())
    first = run(whole, hp)
    arrays, numbers_then = whole.snapshot()  # the arrays are the weights themselves
    kept = {name: array.copy() for name, array in arrays.items()}, numbers_then
    rest = run(whole, hp, (3, 4))
    again = make_kto(texts)
    again.begin(["A", "b"], hp)
    again.restore(*kept)
    assert again.reference_sums is not None  # it is not read again
    assert numbers(run(again, hp, (3, 4))) == numbers(rest)
    assert numbers(first)[0]["loss/kto"] != numbers(rest)[1]["loss/kto"]
    arrays, others = whole.snapshot()[0], again.snapshot()[0]
    assert arrays.keys() == others.keys()
    assert all(np.array_equal(arrays[name], others[name]) for name in arrays)


def test_live_settings_change_what_follows():
    kto, hp = make_kto(ragged()), parse(learning_rate=1e-3, held_out_share=0, batch_size=6)
    kto.begin(["A"], hp)
    run(kto, hp, (1,))
    new = hp.with_changes({"beta": 1.0, "good_at": "threshold", "good_threshold": 0.5,
                           "batch_size": 12})
    kto.apply(hp, new)
    metrics = run(kto, new, (2,))[0].metrics
    assert metrics["marks/passes"] == pytest.approx((12 + 24) / 12)
    assert metrics["marks/good"] == 0.5
    wrong = new.with_changes({"good_threshold": 2.0})
    with pytest.raises(PromptError, match=r"All 12 completions to learn from are bad, with scores "
                                          r"below 2\.00, and KTO needs good ones"):
        kto.apply(new, wrong)
    deeper = new.with_changes({"gradient_checkpointing": True})
    kto.apply(new, deeper)  # made again with the same weights
    assert run(kto, deeper, (3,))[0].metrics["policy/steps"] == 2


def test_good_are_those_from_the_mean_or_from_a_threshold():
    texts = [marked("A", "b", -3.0), marked("B", "c", 1.0), marked("C", "d", 1.5),
             marked("D", "e", 8.0)]
    kto = make_kto(texts)
    for settings, good in (
        ({}, [False, False, False, True]),  # their mean is 1.875
        ({"good_at": "threshold"}, [False, True, True, True]),
        ({"good_at": "threshold", "good_threshold": 1.5}, [False, False, True, True]),
    ):
        hp = parse(held_out_share=0, **settings)
        kto.begin(["A"], hp)
        assert kto.table.good(range(4), hp).tolist() == good


def test_all_of_one_kind_is_refused_in_a_sentence():
    kto = make_kto([marked("A", "b", 0.1), marked("B", "c", 0.1), marked("C", "d", 0.1)])
    with pytest.raises(PromptError, match=(
            "All 3 completions to learn from are (good, with scores of at least|bad, with scores "
            r"below) 0\.10, and KTO needs (good|bad) ones as well: choose others")):
        kto.begin(["A"], parse(held_out_share=0))
    with pytest.raises(PromptError, match=r"are good, with scores of at least −1\.00"):
        kto.begin(["A"], parse(held_out_share=0, good_at="threshold", good_threshold=-1.0))
    kto = make_kto([marked("A", "b", 0.1), marked("B", "c", 0.2)])
    with pytest.raises(PromptError, match="as well: set another Threshold in Good from "):
        kto.begin(["A"], parse(held_out_share=0, good_at="threshold", good_threshold=-1.0))


def test_what_is_marked_both_good_and_bad_is_named():
    kto = make_kto([*ragged(4), marked("A", " so  so", 1.0), marked("A", " so  so", 0.0),
                    marked("A", " so  so", 0.0), marked("B", " so  so", 0.0)])
    hp = parse(held_out_share=0)
    kto.begin(["A"], hp)
    assert kto.table.both_ways(hp) == [4]
    assert kto.say_prepared(hp, {}).endswith(
        " 1 text is marked both good and bad, and teaches both: “so so”.")
    # By another threshold none of them is good.
    others = parse(held_out_share=0, good_at="threshold", good_threshold=1.5)
    assert kto.table.both_ways(others) == []
    kto.learn_from([marked("A", text, float(good)) for text in "abcde" for good in (0, 1)])
    kto.begin(["A"], hp)
    assert kto.table.say_both_ways(hp) == (
        "5 texts are marked both good and bad, and teach both: “a”, “b”, “c” and 2 more.")
    kto.learn_from(ragged(4))
    kto.begin(["A"], hp)
    assert kto.say_prepared(hp, {}).endswith("with scores of at least 0.50.")


def test_what_cannot_be_learned_from_is_counted():
    kto = make_kto([*ragged(4), marked("A", "", 1.0, ended=False), marked("A", "x" * 70, 1.0)])
    kto.begin(["A"], parse(held_out_share=0))
    assert kto.remark() == ("4 completions to learn from, 0 held out (Held-out share is 0); left "
                            "out: 1 empty, 1 longer than the policy's 64 tokens.")
    kto.learn_from([])
    with pytest.raises(PromptError, match="no scored completions to learn from"):
        kto.begin(["A"], parse())


def test_a_cycle_that_draws_one_kind_alone_says_nothing_of_the_other():
    texts = [marked("A", "b", 0.0), *(marked(chr(66 + i), "cd", 1.0) for i in range(15))]
    kto, hp = make_kto(texts), parse(held_out_share=0, batch_size=4, steps_per_cycle=1)
    kto.begin(["A"], hp)
    found = [result.metrics for result in run(kto, hp, range(1, 5))]
    assert sum("rewards/bad" in metrics for metrics in found) == 1
    assert all("rewards/good" in metrics for metrics in found)
    assert all(math.isfinite(value) for metrics in found for value in metrics.values())


def test_stopping_within_a_cycle_leaves_the_position():
    class Stop(Unattended):
        def step(self, phase, done, total):
            if done:
                raise Interrupted

    kto, hp = make_kto(ragged()), parse()
    kto.begin(["A"], hp)
    kto.prepare(hp, Unattended())
    with pytest.raises(Interrupted):
        kto.run_cycle(1, hp, [0], Stop())
    assert kto.position == 0


def test_of_held_out_prompts_no_completion_is_learned_from():
    prompts = ["A", "B", "C", "D"]
    texts = [marked(prompt, "EF"[i], float(i), ended=False) for prompt in prompts for i in (0, 1)]
    kto = make_kto(texts)
    hp = parse(learning_rate=1e-2, held_out_share=0, held_out_prompts=2, held_out_every=1)
    kto.begin(prompts, hp)
    apart = {prompts[i] for i in held_out(4, 2)}
    assert {texts[i].prompt.text for i in kto.table.held_out} == apart
    assert {texts[i].prompt.text for i in kto.table.training} == set(prompts) - apart
    assert HELD_OUT in run(kto, hp)[-1].metrics
    kto.learn_from([text for text in texts if text.prompt.text in apart])
    with pytest.raises(PromptError, match="All completions are of held-out prompts"):
        kto.begin(prompts, hp)


def findings(texts, cycles=6, **settings):
    kto = make_kto(texts)
    hp = parse(num_cycles=cycles, held_out_share=0, **settings)
    kto.begin(["A"], hp)
    watch = Watch(RULES, WATCHED)
    return [watch.check(kto.run_cycle(cycle, hp, [0], Unattended()).metrics, hp)
            for cycle in range(1, cycles + 1)][-1]


def test_health_speaks_of_a_kind_that_is_scarce():
    texts = [marked(chr(66 + i), "cd"[i % 2] * (1 + i % 3), float(i < 2)) for i in range(16)]
    quiet = {"batch_size": 16, "steps_per_cycle": 1, "learning_rate": 1e-5}
    found = findings(texts, **quiet)
    assert [f.rule for f in found if "few" in f.rule] == ["kto_few_good"]
    assert "count 7.0 times as much" in " ".join(f.sentence for f in found)
    weighed = findings(texts, **quiet, desirable_weight=4.0)
    assert not any("few" in f.rule for f in weighed)
    others = [marked(t.prompt.text, t.completion, 1 - t.score) for t in texts]
    assert "kto_few_bad" in [f.rule for f in findings(others, **quiet)]
    rule = next(rule for rule in RULES if rule.name == "kto_few_good")
    assert rule.suggestion(KTOSettings()) == {"desirable_weight": 2.0}


def test_a_scarce_kind_is_told_of_in_a_short_run_too():
    rule = next(rule for rule in RULES if rule.name == "kto_few_good")
    hp, drawn = KTOSettings(), {"marks/good": [0.125], "data/size": [1000.0]}
    found = rule.read({**drawn, "data/drawn": [64.0]}, hp)
    assert found.severity == "warning"
    assert found.over == ""
    assert rule.read({"marks/good": [0.125, 0.1], "data/drawn": [40.0] * 2,
                      "data/size": [1000.0] * 2}, hp).over == "median of the first 2 cycles"
    # Of few of many it may be chance, but not where they are all that there are.
    assert not rule.read({**drawn, "data/drawn": [8.0]}, hp).known
    assert rule.read({**drawn, "data/drawn": [8.0], "data/size": [8.0]}, hp).severity == "warning"
    texts = [marked(chr(66 + i), "cd"[i % 2] * (1 + i % 3), float(i < 2)) for i in range(16)]
    short = findings(texts, cycles=1, batch_size=16, steps_per_cycle=1, learning_rate=1e-5)
    assert [f.rule for f in short] == ["kto_few_good"]


def test_health_speaks_of_good_ones_that_fall_with_the_bad():
    metrics = {"rewards/good": -2.0, "rewards/good_less_bad": 6.0, "logps/good": -50.0,
               "loss/kto": 0.1, "policy/grad_norm": 1.0, "marks/good": 0.5}
    watch, hp = Watch(RULES, WATCHED), KTOSettings()
    found = [watch.check(metrics, hp) for _ in range(3)][-1]
    assert [f.rule for f in found] == ["kto_runaway"]
    assert "67 % less likely" in found[0].sentence.replace("\N{NO-BREAK SPACE}", " ")
    watch = Watch(RULES, WATCHED)
    assert [watch.check({**metrics, "rewards/good": 2.0}, hp) for _ in range(3)][-1] == []


def test_health_speaks_of_what_is_known_by_heart():
    texts = [marked("ABCDEF"[i // 2], "xyz"[i % 3] * 2 + chr(65 + i), float(i % 2))
             for i in range(12)]
    found = findings(texts, batch_size=6, steps_per_cycle=8, learning_rate=5e-3)
    assert "kto_by_heart" in [f.rule for f in found]
