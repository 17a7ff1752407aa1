"""Values learn at a rate and in passes of their own, and before the first cycle."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.models import make_policy, make_ppo
from torch import nn

from workbench.models.control import Interrupted, NotFiniteError
from workbench.models.phases import Phase
from workbench.models.randomness import Stream, prompt_at, uniforms
from workbench.models.sampling import sample
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import Hyperparameters, parse
from workbench.ppo.linear_values import Moments, best_ridge, ridge
from workbench.ppo.value_head import ValueHead
from workbench.settings import HyperparameterError

pytestmark = pytest.mark.slow
PROMPTS = ["ab", "c", "def"]


def small(**settings: object) -> Hyperparameters:
    return parse({"num_cycles": 4, "batch_size": 8, "response_length": 6,
                  "learning_rate": 1e-3, **settings})


def after(unattended, cycles: int = 1, **settings: object) -> PPOTrainer:
    ppo, hp = make_ppo(letters_a_to_m), small(**settings)
    ppo.begin(PROMPTS, hp)
    for cycle in range(1, cycles + 1):
        ppo.run_cycle(cycle, hp, [0], unattended)
    return ppo


def letters_a_to_m(text: str) -> float:
    return sum("A" <= c <= "M" or "a" <= c <= "m" for c in text)


def weights(module: nn.Module) -> dict[str, bytes]:
    return {n: p.detach().numpy().tobytes() for n, p in module.named_parameters()}


# -- linear values from sums


def batch(tokens: int = 200, width: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    states = torch.randn(tokens, width, generator=torch.Generator().manual_seed(3)) + 2
    states[:, 3] = 4.0  # one that does not vary
    targets = states @ torch.tensor([1.0, -2.0, 0.5, 0.0, 0.0]) + 0.3 * states[:, 0].square()
    return states, targets


def moments_of(states: torch.Tensor, targets: torch.Tensor) -> Moments:
    sums = Moments(states.shape[1], states.device)
    for part in torch.arange(len(states)).split(37):
        sums.add(states[part], targets[part])
    return sums


def test_the_gradient_is_that_of_the_loss():
    states, targets = batch()
    head = nn.Linear(5, 1)
    found = moments_of(states, targets).gradient(head)
    (0.5 * (head(states).squeeze(-1) - targets).square().mean()).backward()
    assert torch.allclose(found[0], head.weight.grad, atol=1e-5)
    assert torch.allclose(found[1], head.bias.grad, atol=1e-5)


def test_ridge_is_the_closed_form():
    states, targets = batch()
    x, y = states.double().numpy(), targets.double().numpy()
    for penalty in (1e-4, 0.1, 10.0):
        head = ridge(moments_of(states, targets), penalty).head
        scaled = (x - x.mean(0)) / np.where(x.std(0) > 1e-6, x.std(0), np.inf)
        u = np.linalg.solve(scaled.T @ scaled / len(y) + penalty * np.eye(5),
                            scaled.T @ (y - y.mean()) / len(y))
        expected = scaled @ u + y.mean()
        found = (states @ head.weight[0] + head.bias).numpy()
        assert found == pytest.approx(expected, abs=1e-4)
        assert head.weight[0, 3] == 0
        assert moments_of(states, targets).explained_variance(head) == pytest.approx(
            1 - np.var(y - expected) / np.var(y), abs=1e-5)


def test_the_penalty_is_chosen_by_what_is_held_out():
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(400, 60, generator=generator)
    learned, kept = moments_of(noise[:80], noise[:80, 0] + 3 * torch.randn(
        80, generator=generator)), moments_of(noise[80:], noise[80:, 0])
    fit, explained = best_ridge(learned, kept)
    assert fit.penalty >= 0.1  # 60 weights from 80 noisy tokens want a strong one
    weakest = ridge(learned, 1e-4).head
    assert explained > kept.explained_variance(weakest)
    # Where nothing can be foreseen, the mean alone is kept.
    unrelated = moments_of(noise[:80], torch.randn(80, generator=generator) + 7)
    fit, explained = best_ridge(unrelated, moments_of(noise[80:], 7 - noise[80:, 1]))
    assert explained == pytest.approx(max(0.0, explained))


def test_returns_that_do_not_vary_have_nothing_to_explain():
    states, _ = batch()
    sums = moments_of(states, torch.full((200,), 3.0))
    fit, explained = best_ridge(sums, sums)
    assert explained == 0
    assert fit.head.bias.item() == pytest.approx(3.0, abs=1e-5)
    assert sums.explained_variance(ValueHead(torch.ones(1, 5), torch.zeros(1))) == 0


# -- a learning rate and passes of their own


def test_values_learn_at_a_rate_of_their_own(unattended):
    still = weights(make_ppo().policy.model)
    ppo = after(unattended, learning_rate=0, value_learning_rate=1e-2)
    assert weights(ppo.policy.model) == still
    assert ppo.policy.value_head.weight.abs().max() > 1e-2
    # At 0 it is the policy's.
    plain, same = after(unattended), after(unattended, value_learning_rate=1e-3)
    assert weights(plain.policy) == weights(same.policy)


def test_value_epochs_on_the_policys_trunk_move_the_head_alone(unattended):
    plain, more = after(unattended), after(unattended, num_value_epochs=40)
    assert weights(more.policy.model) == weights(plain.policy.model)
    assert not torch.equal(more.policy.value_head.weight, plain.policy.value_head.weight)


def test_value_epochs_bring_values_to_the_returns(unattended):
    def error(ppo: PPOTrainer) -> float:
        hp = small(batch_size=64)
        ids = [ppo.policy_tokenizer.encode(PROMPTS, 6)[i % 3] for i in range(64)]
        done = sample(ppo.policy, ids, uniforms(9, Stream.ROLLOUT, 1, 64, 6),
                      temperature=1.0, eos_ids=(), control=unattended)
        scores = (
            torch.tensor(
                [
                    letters_a_to_m(ppo.policy_tokenizer.tokenizer.decode(done.response(r)))
                    for r in range(64)
                ]
            )
            - hp.missing_eos_penalty
        )
        return (done.values - scores.unsqueeze(1)).square().mean().item()

    settings = {"batch_size": 64, "learning_rate": 1e-5, "value_learning_rate": 2e-3}
    # Their spread, about 1, is what no value foresees here.
    assert error(after(unattended, num_value_epochs=100, **settings)) < error(
        after(unattended, **settings)) - 0.1


def test_how_tokens_are_cut_changes_no_value_epoch(unattended):
    whole, cut = (after(unattended, num_value_epochs=10, value_learning_rate=1e-2,
                        micro_batch_tokens=n) for n in (0, 20))
    assert torch.allclose(whole.policy.value_head.weight, cut.policy.value_head.weight, atol=1e-4)


def test_value_epochs_of_a_separate_model_train_its_trunk(unattended):
    settings = {"value_model": "policy"}
    plain, more = after(unattended, **settings), after(unattended, num_value_epochs=3, **settings)
    assert weights(more.policy.model) == weights(plain.policy.model)
    assert weights(more.policy.value_trunk) != weights(plain.policy.value_trunk)


# -- before the first cycle

PRETRAINED = {"value_pretraining_episodes": 60, "missing_eos_penalty": 0.5}


def pretrained(control, reward=letters_a_to_m, **settings: object) -> tuple[PPOTrainer, float]:
    ppo, hp = make_ppo(reward), small(**PRETRAINED | settings)
    ppo.begin(PROMPTS, hp)
    return ppo, ppo.pretrain_values(hp, control)


def test_the_head_is_the_ridge_regression_of_the_returns(unattended):
    ppo, explained = pretrained(unattended, gamma=0.9)
    policy, hp = make_policy(), small(**PRETRAINED)
    states, targets, held_out = [], [], []
    for number in range(8):  # 60 completions in batches of 8
        count = min(8, 60 - 8 * number)
        drawn = [prompt_at(0, 8 * number + i, 3) for i in range(count)]
        ids = ppo.policy_tokenizer.encode(PROMPTS, 6)
        done = sample(policy, [ids[p] for p in drawn],
                      uniforms(0, Stream.PRETRAINING, number, count, 6), temperature=1.0,
                      eos_ids=(), control=unattended)
        for row, p in enumerate(drawn):
            taken = done.response(row)
            with torch.no_grad():
                hidden = policy.hidden_states(torch.tensor([[*ids[p], *taken]]))[0]
            score = (
                letters_a_to_m(ppo.policy_tokenizer.tokenizer.decode(taken)) - 0.5
            )  # never ended
            for t in range(6):
                states.append(hidden[len(ids[p]) - 1 + t])
                targets.append(score * 0.9 ** (5 - t))
                held_out.append((8 * number + row) % 5 == 4)
    x, y, kept = torch.stack(states), torch.tensor(targets), torch.tensor(held_out)
    fit, expected = best_ridge(moments_of(x[~kept], y[~kept]), moments_of(x[kept], y[kept]))
    assert kept.sum() == 12 * 6
    assert hp.response_length == 6
    assert explained == pytest.approx(expected, abs=1e-4)
    assert explained > 0.05
    assert torch.allclose(ppo.policy.value_head.weight, fit.head.weight, atol=1e-3)


@pytest.mark.parametrize("kind", ["shared", "policy"])
def test_where_all_score_the_same_there_is_nothing_to_foresee(unattended, kind):
    _, explained = pretrained(unattended, reward=lambda _: 0.5, value_model=kind)
    assert math.isnan(explained)


def test_the_policy_stays_what_it_is(unattended):
    still = weights(make_ppo().policy.model)
    for kind in ("shared", "policy"):
        ppo, _ = pretrained(unattended, value_model=kind)
        assert weights(ppo.policy.model) == still
        found = ppo.run_cycle(1, small(value_model=kind, num_mini_batches=1, num_ppo_epochs=1),
                              [0], unattended).metrics
        assert found["objective/kl"] == pytest.approx(0, abs=1e-5)
        assert found["val/ratio"] == pytest.approx(1, abs=1e-5)


def test_it_is_the_same_again_and_however_tokens_are_cut(unattended):
    for kind in ("shared", "policy"):
        first, again = (pretrained(unattended, value_model=kind) for _ in range(2))
        assert first[1] == again[1]
        assert weights(first[0].policy) == weights(again[0].policy)
        cut = pretrained(unattended, value_model=kind, micro_batch_tokens=20)
        assert cut[1] == pytest.approx(first[1], abs=1e-2)


def test_a_separate_model_foresees_what_it_was_shown(unattended):
    # The first letter decides, which a trunk can carry to the end of the completion.
    settings = {"value_model": "policy", "value_pretraining_episodes": 400,
                "value_pretraining_learning_rate": 3e-3}
    few = pretrained(unattended, lambda text: float(text[0] < "P"),
                     value_pretraining_epochs=1, **settings)[1]
    many = pretrained(unattended, lambda text: float(text[0] < "P"),
                      value_pretraining_epochs=6, **settings)[1]
    assert many > max(0.3, few)


def test_values_mean_something_in_the_first_cycle(unattended):
    hp = small(batch_size=64, **PRETRAINED | {"value_pretraining_episodes": 300})
    found = {}
    for prepared in (False, True):
        ppo = make_ppo(letters_a_to_m)
        ppo.begin(PROMPTS, hp)
        if prepared:
            ppo.pretrain_values(hp, unattended)
        found[prepared] = ppo.run_cycle(1, hp, [0], unattended).metrics
    assert found[False]["val/explained_variance"] == pytest.approx(0, abs=1e-6)
    assert found[True]["val/explained_variance"] > 0.03
    assert found[True]["val/value"] == pytest.approx(
        found[True]["objective/scores"] - 0.5, abs=0.4)


def test_scores_are_normalised_by_what_was_written_before_the_run(unattended):
    ppo, _ = pretrained(unattended, normalize_scores=True)
    mean, std = ppo.score_mean, ppo.score_std
    assert 0 < mean < 6
    ppo.run_cycle(1, small(normalize_scores=True), [0], unattended)
    assert (ppo.score_mean, ppo.score_std) == (mean, std)
    with torch.no_grad():  # values are on the normalised scale: about 0, less the penalty
        assert -1.5 < ppo.policy.value_head(torch.zeros(1, 32)).item() + 0.5 < 1.5


class _UntilStep:
    """Asks to end at a step of the pretraining."""

    def __init__(self, last: int) -> None:
        self.last, self.seen = last, []

    def step(self, phase: Phase, done: int, total: int) -> None:
        assert phase is Phase.PRETRAINING
        self.seen.append((done, total))
        if len(self.seen) > self.last:
            raise Interrupted


def test_its_progress_only_grows_and_ends_where_it_should():
    for kind in ("shared", "policy"):
        control = _UntilStep(10**9)
        pretrained(control, value_model=kind)
        done = [d for d, _ in control.seen]
        assert done == sorted(done)
        assert {t for _, t in control.seen} == {60 * (2 if kind == "shared" else 4)}
        assert 0.9 * control.seen[-1][1] <= done[-1] <= control.seen[-1][1]


def test_ended_inside_it_begins_again_the_same(unattended):
    for kind in ("shared", "policy"):
        whole = pretrained(unattended, value_model=kind)
        ppo, hp = make_ppo(letters_a_to_m), small(**PRETRAINED, value_model=kind)
        for last in (3, 50):
            ppo.begin(PROMPTS, hp)
            with pytest.raises(Interrupted):
                ppo.pretrain_values(hp, _UntilStep(last))
        ppo.begin(PROMPTS, hp)
        assert ppo.pretrain_values(hp, unattended) == whole[1]
        assert weights(ppo.policy) == weights(whole[0].policy)


def test_what_was_made_can_be_put_back(unattended):
    for kind in ("shared", "policy"):
        ppo, _ = pretrained(unattended, value_model=kind)
        arrays, numbers = ppo.prepared()
        other, hp = make_ppo(letters_a_to_m), small(**PRETRAINED, value_model=kind)
        other.begin(PROMPTS, hp)
        other.restore_prepared(arrays, numbers)
        assert weights(other.policy) == weights(ppo.policy)
        assert other.numbers == ppo.numbers
        with pytest.raises(ValueError, match="another model"):
            other.restore_prepared({}, numbers)


def test_a_score_that_is_no_number_is_told(unattended):
    with pytest.raises(NotFiniteError, match="Check the reward model"):
        pretrained(unattended, lambda text: float("nan"))


def test_too_few_completions_are_refused():
    with pytest.raises(HyperparameterError, match="at least 10 completions"):
        parse({"value_pretraining_episodes": 3})
