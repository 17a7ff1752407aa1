"""What must not change a gradient, and what must hold before the first step."""

from dataclasses import replace

import pytest
import torch
from helpers.models import make_policy, make_ppo

from workbench.models.forward import read_logprobs
from workbench.models.randomness import Stream, uniforms
from workbench.models.sampling import sample
from workbench.ppo.advantages import generalized_advantages, whiten
from workbench.ppo.cycle import learning_rates
from workbench.ppo.experience import Experience
from workbench.ppo.hyperparameters import parse
from workbench.ppo.loss import PPOLoss, SequencePPOLoss
from workbench.ppo.objective import (
    aggregate,
    entropy,
    masked_mean,
    policy_loss,
    policy_loss_terms,
    value_loss,
)
from workbench.ppo.picture import shares
from workbench.ppo.update import update

KEPT = ("tokens", "mask", "logprobs", "entropies", "values")
PROMPTS = [[5, 6, 7], [1], [9, 8, 7, 6, 5], [3, 3], [4], [2, 8]]


def make_experience(policy, unattended):
    completions = sample(
        policy, PROMPTS, uniforms(0, Stream.ROLLOUT, 1, 6, 12), temperature=1.0,
        eos_ids=[2, 11, 17, 23], control=unattended)
    mask = completions.mask
    torch.manual_seed(2)
    rewards = torch.randn(mask.shape).masked_fill(~mask, 0)
    advantages, returns = generalized_advantages(
        rewards, completions.values, mask, gamma=1.0, lam=0.95)
    # A sampling policy a little away from the present one, so that ratios are not all 1.
    old = completions.logprobs + 0.3 * torch.randn(mask.shape).masked_fill(~mask, 0)
    return Experience(replace(completions, logprobs=old), completions.logprobs,
                      whiten(advantages, mask), returns)


def gradient_after(experience, unattended, counted=None, **settings):
    """Run one step with a learning rate of 0 and return its gradient and its metrics."""
    policy = make_policy()
    kept = {}

    class Keep(torch.optim.SGD):
        def step(self, closure=None):
            for name, p in policy.named_parameters():
                kept[name] = p.grad.clone()

    hp = parse({"num_ppo_epochs": 1, "num_mini_batches": 1, "max_grad_norm": 0,
                "batch_size": 6, "entropy_coef": 0.01, "vf_coef": 0.5, **settings})
    kind = PPOLoss if hp.ratio_level == "token" else SequencePPOLoss
    metrics, _ = update(
        policy, Keep(policy.parameters(), lr=0.0), kind(experience, hp, hp.kl_coef), cycle=1,
        control=unattended, counted=counted)
    return kept, metrics


def assert_same(found, expected):
    torch.testing.assert_close(found[0], expected[0], rtol=1e-4, atol=1e-6)
    for name, number in expected[1].items():
        assert found[1][name] == pytest.approx(number, rel=1e-4, abs=1e-6), name


@pytest.fixture
def experience(policy, unattended):
    return make_experience(policy, unattended)


def test_gradient_is_that_of_the_formulas(experience, unattended):
    # The whole objective once more, over the padded batch, from the pure functions.
    hp = parse({})
    found, metrics = gradient_after(experience, unattended)
    policy = make_policy()
    old, mask = experience.completions, experience.completions.mask
    rows = []
    for row, prompt in enumerate(PROMPTS):
        response = old.response(row)
        ids = torch.tensor([prompt + response])
        hidden = policy.hidden_states(ids)[0, len(prompt) - 1 : -1]
        logits = policy.logits(hidden)
        taken = logits.log_softmax(-1).gather(-1, torch.tensor(response)[:, None])[:, 0]
        rows.append((taken, policy.values(hidden), entropy(logits)))
    logprobs, values, spread = (
        torch.nn.utils.rnn.pad_sequence(part, batch_first=True) for part in zip(*rows, strict=True))
    policy_term, policy_metrics = policy_loss(
        logprobs, old.logprobs, experience.advantages, mask, cliprange=hp.cliprange)
    value_term, _ = value_loss(
        values, old.values, experience.returns, mask, cliprange_value=hp.cliprange_value)
    total = policy_term + 0.5 * value_term - 0.01 * masked_mean(spread, mask)
    total.backward()
    expected = {name: p.grad for name, p in policy.named_parameters()}
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)
    assert metrics["loss/total_avg"] == pytest.approx(total.item(), rel=1e-5)
    assert metrics["policy/clipfrac_avg"] == pytest.approx(policy_metrics["clipfrac"].item())
    assert metrics["policy/clipfrac_avg"] > 0


def test_micro_batches_change_nothing(experience, unattended):
    whole = gradient_after(experience, unattended, micro_batch_tokens=10_000)
    for tokens in (16, 40):
        assert_same(gradient_after(experience, unattended, micro_batch_tokens=tokens), whole)


def test_chunks_of_the_head_change_nothing(experience, unattended, monkeypatch):
    whole = gradient_after(experience, unattended)
    monkeypatch.setattr("workbench.learning.epochs.head_chunks",
                        lambda n, *_, **__: (slice(i, min(i + 5, n)) for i in range(0, n, 5)))
    assert_same(gradient_after(experience, unattended), whole)


LOSSES = pytest.mark.parametrize("settings", [
    {}, {"loss_aggregation": "sequence"}, {"loss_aggregation": "constant"},
    {"ratio_level": "sequence", "cliprange": 0.05},
    {"ratio_level": "sequence", "cliprange": 0.05, "loss_aggregation": "sequence"}])


@LOSSES
def test_padding_width_changes_nothing(experience, unattended, settings):
    def wide(x):
        junk = torch.zeros(6, 9, dtype=x.dtype) if x.dtype == torch.bool else torch.full(
            (6, 9), 1, dtype=x.dtype)
        return torch.cat([x, junk], dim=1)

    old = experience.completions
    wider = Experience(
        replace(old, **{k: wide(getattr(old, k)) for k in KEPT}),
        wide(experience.ref_logprobs), wide(experience.advantages), wide(experience.returns))
    assert_same(gradient_after(wider, unattended, **settings),
                gradient_after(experience, unattended, **settings))


@LOSSES
def test_order_of_rows_changes_nothing(experience, unattended, settings):
    order = [4, 0, 5, 2, 1, 3]
    old = experience.completions
    shuffled = Experience(
        replace(old, prompts=[old.prompts[i] for i in order], ended=old.ended[order],
                **{k: getattr(old, k)[order] for k in KEPT}),
        experience.ref_logprobs[order], experience.advantages[order], experience.returns[order])
    assert_same(gradient_after(shuffled, unattended, **settings),
                gradient_after(experience, unattended, **settings))


@pytest.mark.parametrize("settings", [
    {"kl_in": "loss", "kl_estimator": "k2", "kl_coef": 0.3},
    {"kl_in": "loss", "kl_estimator": "k1", "kl_coef": 0.3}, {"dual_clip": 1.21},
    {"temperature": 0.6}, {"loss_aggregation": "sequence"}, {"loss_aggregation": "constant"},
    {"cliprange_high": 0.5}, {"ratio_level": "sequence", "cliprange": 0.05}])
def test_options_keep_the_invariance(experience, unattended, settings):
    whole = gradient_after(experience, unattended, **settings)
    assert_same(
        gradient_after(experience, unattended, micro_batch_tokens=16, **settings), whole)
    plain = gradient_after(experience, unattended)
    assert any(not torch.allclose(whole[0][k], plain[0][k]) for k in plain[0])


def test_kl_in_the_loss_is_scaled_as_rewards_are(experience, unattended):
    settings = {"kl_in": "loss", "kl_estimator": "k1"}
    found = gradient_after(
        replace(experience, reward_scale=2.5), unattended, kl_coef=0.1, **settings)
    assert_same(found, gradient_after(experience, unattended, kl_coef=0.25, **settings))


def test_ratio_is_one_and_kl_zero_before_the_first_step(unattended):
    ppo = make_ppo()
    hp = parse({"batch_size": 8, "response_length": 10, "num_ppo_epochs": 1, "num_cycles": 2,
                "temperature": 0.8})
    ppo.begin(["ab", "c"], hp)
    metrics = ppo.run_cycle(1, hp, [0], unattended).metrics
    assert metrics["val/ratio"] == pytest.approx(1, abs=1e-5)
    assert metrics["policy/approxkl_avg"] == pytest.approx(0, abs=1e-8)
    assert metrics["policy/clipfrac_avg"] == 0
    assert metrics["objective/kl"] == pytest.approx(0, abs=1e-4)


def test_dropout_is_off_whatever_the_model_says(policy, unattended):
    completions = sample(policy, PROMPTS, uniforms(0, Stream.ROLLOUT, 1, 6, 8), temperature=1.0,
                         eos_ids=[], control=unattended)
    options = {"temperature": 1.0, "max_tokens": 64, "control": unattended}
    first, second = (read_logprobs(policy, completions, **options) for _ in range(2))
    assert torch.equal(first, second)


def test_critic_warm_up_moves_the_value_head_alone(unattended):
    ppo = make_ppo()
    hp = parse({"batch_size": 8, "response_length": 6, "num_cycles": 4, "critic_warmup_cycles": 1})
    ppo.begin(["ab"], hp)
    before = {k: v.clone() for k, v in ppo.policy.state_dict().items()}
    ppo.run_cycle(1, hp, [0], unattended)
    moved = {k for k, v in ppo.policy.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {"value_head.weight", "value_head.bias"}
    ppo.run_cycle(2, hp, [0], unattended)
    assert any("model." in k for k, v in ppo.policy.state_dict().items()
               if not torch.equal(v, before[k]))


def test_epochs_end_early_once_approx_kl_passes_the_limit(unattended):
    ppo = make_ppo()
    hp = parse({"batch_size": 16, "response_length": 8, "num_ppo_epochs": 10, "num_cycles": 2,
                "learning_rate": 3e-3, "target_kl": 1e-3})
    ppo.begin(["ab"], hp)
    found = ppo.run_cycle(1, hp, [0], unattended).metrics
    assert 1 <= found["policy/epochs"] < 10
    # One mini-batch: an epoch is a step, and the one whose gradient was left out is none.
    assert found["policy/steps"] == found["policy/epochs"]


def test_learning_rate_schedule():
    linear = parse({"learning_rate": 0.1, "num_cycles": 4})
    assert [learning_rates(linear, c)[0] for c in (1, 2, 3, 4)] == pytest.approx(
        [0.1, 0.075, 0.05, 0.025])
    constant = linear.with_changes({"lr_scheduler_type": "constant"})
    assert learning_rates(constant, 4) == (0.1, 0.1)
    own = linear.with_changes({"value_learning_rate": 0.4})
    assert learning_rates(own, 3) == pytest.approx((0.05, 0.2))


def formulas(experience, hp, loss_of):
    """Return the gradients of ``loss_of(logprobs, mask)``, with logprobs read row by row."""
    policy, old = make_policy(), experience.completions
    rows = []
    for row, prompt in enumerate(PROMPTS):
        response = old.response(row)
        hidden = policy.hidden_states(torch.tensor([prompt + response]))[0, len(prompt) - 1 : -1]
        rows.append(policy.logits(hidden).log_softmax(-1).gather(
            -1, torch.tensor(response)[:, None])[:, 0])
    loss_of(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), old.mask).backward()
    return {name: p.grad for name, p in policy.named_parameters() if p.grad is not None}


def without_zeros(found):
    """Return the gradients of what the loss reads: a value head that it does not read has none."""
    return {name: g for name, g in found.items() if not name.startswith("value_head")}


ALONE = {"entropy_coef": 0, "vf_coef": 0}


@pytest.mark.parametrize("how", ["token", "sequence", "constant"])
def test_tokens_weigh_as_the_aggregation_says(experience, unattended, how):
    hp = parse({})

    def loss(logprobs, mask):
        terms, _, _ = policy_loss_terms(
            logprobs, experience.completions.logprobs, experience.advantages, cliprange=0.2)
        return aggregate(terms, mask, how, response_length=hp.response_length)

    found, metrics = gradient_after(experience, unattended, loss_aggregation=how, **ALONE)
    old = experience.completions
    with torch.no_grad():  # before the step the policy is the one that wrote, but for rounding
        expected = loss(experience.ref_logprobs, old.mask)
    assert metrics["loss/policy_avg"] == pytest.approx(expected.item(), rel=1e-4)
    assert metrics["loss/total_avg"] == pytest.approx(expected.item(), rel=1e-4)
    torch.testing.assert_close(
        without_zeros(found), formulas(experience, hp, loss), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("how", ["token", "sequence", "constant"])
def test_the_terms_that_are_told_add_up_to_the_loss(experience, unattended, how):
    hp = parse({"loss_aggregation": how, "entropy_coef": 0.01, "vf_coef": 0.5, "kl_in": "loss",
                "kl_coef": 0.0})
    _, metrics = gradient_after(experience, unattended, **hp.model_dump())
    found = shares(metrics, hp.model_dump(), 1)
    assert [share.off for share in found] == [False, False, False, False]
    assert found[3].amount == pytest.approx(0, abs=1e-6)  # nothing is left for KL
    assert sum(share.amount for share in found) == pytest.approx(metrics["loss/total_avg"])


@pytest.mark.parametrize("how", ["token", "sequence"])
def test_a_ratio_of_the_whole_completion(experience, unattended, how):
    # GSPO: s = exp(mean of log-ratios), one clipped term a completion, its gradient through all
    # of the completion's tokens. Nothing of how the update computes it is used here.
    hp, old = parse({}), experience.completions
    gain = experience.advantages[:, :1]

    def loss(logprobs, mask):
        lengths = mask.sum(dim=1)
        s = (((logprobs - old.logprobs) * mask).sum(dim=1) / lengths).exp()
        term = torch.maximum(-gain[:, 0] * s, -gain[:, 0] * s.clamp(0.95, 1.05))
        return term.mean() if how == "sequence" else (term * lengths).sum() / lengths.sum()

    even = replace(experience, advantages=gain.expand_as(old.logprobs))
    found, metrics = gradient_after(
        even, unattended, ratio_level="sequence", loss_aggregation=how, cliprange=0.05, **ALONE)
    torch.testing.assert_close(
        without_zeros(found), formulas(even, hp, loss), rtol=1e-4, atol=1e-7)
    assert 0 < metrics["policy/clipfrac_avg"] < 1  # some are held and some are not


@pytest.mark.parametrize("how", ["token", "sequence", "constant"])
def test_what_is_left_out_teaches_nothing(experience, unattended, how):
    counted = torch.tensor([True, False, True, True, False, True])
    other = replace(experience, advantages=experience.advantages + 5.0 * ~counted[:, None])
    settings = {"loss_aggregation": how, "entropy_coef": 0.01}
    left, changed = (gradient_after(e, unattended, counted, **settings)
                     for e in (experience, other))
    assert_same(changed, left)
    whole, _ = gradient_after(other, unattended, **settings)
    assert any(not torch.allclose(left[0][name], whole[name]) for name in whole)


def test_a_batch_of_which_nothing_counts_takes_no_step(experience, unattended):
    found, metrics = gradient_after(experience, unattended, torch.zeros(6, dtype=torch.bool))
    assert found == {}
    assert metrics["policy/steps"] == metrics["policy/epochs"] == 0
    assert metrics["loss/policy_avg"] != metrics["loss/policy_avg"]  # there was none
