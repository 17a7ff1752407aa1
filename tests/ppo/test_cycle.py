"""PPO end to end on problems whose answer is known."""

import math
from statistics import fmean

import pytest
import torch
from helpers.models import CPU, make_ppo

from workbench.learning import on_policy
from workbench.learning import trainer as trainer_module
from workbench.models import clock
from workbench.models.control import NotFiniteError, Phase, Unattended
from workbench.models.policy_tokenizer import PromptError
from workbench.models.randomness import uniforms as make_uniforms
from workbench.ppo.hyperparameters import parse


@pytest.mark.parametrize("settings", [
    {"whiten_advantages": False}, {},
    {"kl_in": "loss", "whiten_advantages": False}, {"kl_in": "loss"},
    {"advantage_estimator": "group", "completions_per_prompt": 8},
    {"advantage_estimator": "leave_one_out", "completions_per_prompt": 8}])
def test_one_token_policy_reaches_the_closed_form(unattended, settings):
    # For one-token responses argmax E[r] - beta KL is pi* ~ pi_ref exp(r / beta), wherever KL
    # enters and whatever is whitened.
    def reward(text):
        return 1.5 * (ord(text) % 7 == 0) - 1.0 * (ord(text) % 5 == 0)

    beta = 0.5
    ppo = make_ppo(reward)
    hp = parse({
        "num_cycles": 40, "batch_size": 384, "response_length": 1, "kl_coef": beta,
        "missing_eos_penalty": 0, "learning_rate": 3e-3, "cliprange": 1.0, "lam": 1.0,
        "keep_tokens": False, **settings})
    ppo.begin(["A"], hp)
    ids = torch.tensor([[ord("A") - 32]])

    @torch.no_grad()
    def distribution(policy):
        return policy.model(ids).logits[0, -1].softmax(-1)

    with ppo.reference() as reference:
        start = distribution(reference)
    rewards = torch.tensor([reward(chr(32 + i)) for i in range(len(start))])
    best = (start.log() + rewards / beta).softmax(-1)

    def distance():
        return 0.5 * (distribution(ppo.policy) - best).abs().sum().item()

    assert distance() > 0.5
    kl = [ppo.run_cycle(cycle, hp, [0], unattended).metrics["objective/kl"]
          for cycle in range(1, hp.num_cycles + 1)]
    assert distance() < (0.06 if hp.kl_in == "loss" else 0.03)
    exact = (best * (best / start).log()).sum().item()
    assert fmean(kl[-5:]) == pytest.approx(exact, abs=0.15)


def small(**settings):
    return parse({"num_cycles": 6, "batch_size": 8, "response_length": 6, **settings})


def run(ppo, hp, unattended, cycles):
    return [ppo.run_cycle(c, hp, range(len(ppo.prompts)), unattended) for c in cycles]


def test_a_run_computes_where_its_models_are(monkeypatch):
    ppo = make_ppo()
    monkeypatch.setattr("workbench.models.device.has_bfloat16", lambda _: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    ppo.begin(["ab"], small())
    assert ppo.policy.placement == CPU


def test_same_seed_same_run(unattended):
    results = []
    for seed in (3, 3, 4):
        ppo, hp = make_ppo(), small(seed=seed)
        ppo.begin(["ab", "c", "de"], hp)
        results.append(run(ppo, hp, unattended, (1, 2)))

    def numbers(result):
        return [{k: v for k, v in r.metrics.items() if "second" not in k} for r in result]

    assert numbers(results[0]) == numbers(results[1])
    assert results[0][1].comparison == results[1][1].comparison
    assert numbers(results[0]) != numbers(results[2])


def test_a_new_run_begins_at_the_start_policy(unattended):
    ppo, hp = make_ppo(), small()
    ppo.begin(["ab", "c"], hp)
    first = run(ppo, hp, unattended, (1, 2))
    ppo.begin(["ab", "c"], hp)
    again = run(ppo, hp, unattended, (1, 2))
    assert [r.rollout for r in again] == [r.rollout for r in first]


def test_comparison_leaves_the_run_as_it_was(unattended):
    runs = []
    for extra in (0, 3):
        ppo, hp = make_ppo(), small()
        ppo.begin(["ab", "c"], hp)
        run(ppo, hp, unattended, (1,))
        for _ in range(extra):
            ppo.compare([1], hp, unattended)
        runs.append(run(ppo, hp, unattended, (2,))[0].rollout)
    assert runs[0] == runs[1]


def test_comparison_changes_only_with_the_policy(unattended):
    ppo, hp = make_ppo(), small()
    ppo.begin(["ab", "c"], hp)
    before = ppo.compare([0, 1], hp, unattended)
    assert ppo.compare([0, 1], hp, unattended) == before
    assert all(abs(w.kl) < 1e-4 for w in before)
    assert ppo.compare([0], hp, unattended)[0].text == before[0].text


def test_adaptive_coefficient_moves_towards_the_target(unattended):
    ppo = make_ppo()
    hp = small(kl_controller="adaptive", kl_target=50.0, kl_horizon=8, kl_coef=0.1)
    ppo.begin(["ab"], hp)
    run(ppo, hp, unattended, (1,))
    assert ppo.kl_coef == pytest.approx(0.1 * (1 - 0.2))  # KL 0 is far below 50: e = -.2
    ppo.apply(hp, hp.with_changes({"kl_coef": 0.4}))
    assert ppo.kl_coef == 0.4


def test_scores_are_normalised_on_the_start_policy(unattended):
    ppo = make_ppo(lambda text: 100.0 + len(set(text)))
    hp = small(normalize_scores=True, missing_eos_penalty=0)
    ppo.begin(["ab"], hp)
    result = run(ppo, hp, unattended, (1,))[0]
    scores = torch.tensor([w.score for w in result.rollout])
    assert ppo.score_mean == pytest.approx(scores.mean().item())
    assert ppo.score_std == pytest.approx(scores.std(unbiased=False).item())
    assert result.metrics["objective/rlhf_reward"] == pytest.approx(0, abs=1e-3)
    assert result.metrics["objective/scores"] == pytest.approx(scores.mean().item())


def test_normalising_can_be_switched_on_and_off_during_a_run(unattended):
    ppo = make_ppo(lambda text: 100.0 + len(set(text)))
    off = small(missing_eos_penalty=0, kl_coef=0, learning_rate=0)
    on = off.with_changes({"normalize_scores": True})
    ppo.begin(["ab"], off)
    for cycle, (old, new) in enumerate([(off, off), (off, on), (on, off)], start=1):
        ppo.apply(old, new)
        metrics = run(ppo, new, unattended, (cycle,))[0].metrics
        assert (metrics["objective/rlhf_reward"] < 5) == (new is on)


def test_first_scores_that_are_all_equal_are_no_scale(unattended):
    ppo = make_ppo(len)
    ppo.reward.function = lambda text: 3.3
    hp = small(normalize_scores=True)
    ppo.begin(["ab"], hp)
    run(ppo, hp, unattended, (1,))
    ppo.reward.function = lambda text: 4.3
    metrics = run(ppo, hp, unattended, (2,))[0].metrics
    assert metrics["objective/rlhf_reward"] == pytest.approx(
        1 - 1 + metrics["objective/non_score_reward"], abs=1e-3)  # less the missing end


def test_equal_completions_leave_nothing_to_explain(unattended):
    # The returns still differ, by what the value head gets wrong.
    ppo = make_ppo(lambda text: float(len(set(text))))
    hp = small(missing_eos_penalty=0, kl_coef=0, lam=0)
    ppo.begin(["ab"], hp)
    assert run(ppo, hp, unattended, (1,))[0].metrics["val/explained_variance"] >= -1
    ppo.reward.function = lambda text: 3.0
    assert math.isnan(run(ppo, hp, unattended, (2,))[0].metrics["val/explained_variance"])


def test_clipped_scores_are_held_against_what_the_clip_leaves_of_their_spread(unattended):
    # -100, 0 and 100, clipped to -5, 0 and 5: as far apart as they can be.
    ppo = make_ppo(lambda text: 100.0 * (sum(map(ord, text)) % 3 - 1))
    hp = small(missing_eos_penalty=0, score_clip=5, entropy_coef=0)
    ppo.begin(["ab"], hp)
    for found in run(ppo, hp, unattended, (1, 2)):
        assert found.metrics["objective/scores_std"] > 50
        assert math.isfinite(found.metrics["val/explained_variance"])


def test_reward_after_penalties_is_what_its_formula_says(unattended):
    ppo = make_ppo(lambda text: float(len(set(text))), eos=(2, 11, 17, 23, 40, 41))
    hp = small(missing_eos_penalty=1.5, score_clip=4.0, kl_coef=0.2, learning_rate=1e-2,
               batch_size=16)
    ppo.begin(["ab"], hp)
    result = run(ppo, hp, unattended, (1, 2))[1]
    shaped = [min(w.score, 4.0) - 1.5 * (not w.ended) for w in result.rollout]
    price = 0.2 * sum(w.kl for w in result.rollout) / 16
    assert 0 < sum(w.ended for w in result.rollout) < 16
    assert result.metrics["objective/rlhf_reward"] == pytest.approx(
        sum(shaped) / 16 - price, abs=1e-4)
    assert result.metrics["objective/scores"] == pytest.approx(
        sum(w.score for w in result.rollout) / 16, abs=1e-5)


def test_unlikely_tokens_are_those_the_start_policy_would_almost_never_write(unattended):
    ppo, hp = make_ppo(), small(learning_rate=1e-2)
    ppo.begin(["ab", "c"], hp)
    result = run(ppo, hp, unattended, (1, 2))[1]
    reference = [p for trace in result.traces for p in trace.numbers["ref_logprob"]]
    share = sum(math.exp(p) < 0.001 for p in reference) / len(reference)
    assert share > 0
    assert result.metrics["objective/unlikely"] == pytest.approx(share)


def test_a_score_that_is_not_a_number_spoils_no_weight(unattended):
    ppo, hp = make_ppo(lambda text: math.nan), small()
    ppo.begin(["ab"], hp)
    before = {k: v.clone() for k, v in ppo.policy.state_dict().items()}
    with pytest.raises(NotFiniteError, match="cycle 1"):
        run(ppo, hp, unattended, (1,))
    assert all(torch.equal(v, before[k]) for k, v in ppo.policy.state_dict().items())


def test_a_gradient_that_overflows_spoils_neither_weights_nor_adam(unattended):
    # Finite scores whose squares are not: the value loss and its gradient overflow.
    ppo, hp = make_ppo(lambda text: 3e38), small(num_ppo_epochs=2, missing_eos_penalty=0.0)
    ppo.begin(["ab"], hp)
    before = {k: v.clone() for k, v in ppo.policy.state_dict().items()}
    with pytest.raises(NotFiniteError, match="gradient of cycle 1"):
        run(ppo, hp, unattended, (1,))
    assert all(torch.equal(v, before[k]) for k, v in ppo.policy.state_dict().items())
    assert not ppo.optimizer.state


def test_a_policy_whose_probabilities_are_lost_is_not_recorded(unattended):
    ppo, hp = make_ppo(), small()
    ppo.begin(["ab"], hp)
    step = ppo.optimizer.step

    def overflow():
        step()
        with torch.no_grad():
            for p in ppo.policy.parameters():
                p.mul_(1e30)

    ppo.optimizer.step = overflow
    with pytest.raises(NotFiniteError, match="cycle 1") as caught:
        run(ppo, hp, unattended, (1,))
    assert not caught.value.intact


def test_a_prompt_that_does_not_fit_is_named():
    ppo = make_ppo()
    with pytest.raises(PromptError, match=r"Prompt 2 \(“x+…”\) is too long: its 60 tokens"):
        ppo.begin(["ok", "x" * 60], small())


def test_an_empty_prompt_needs_a_token_to_start_from():
    with pytest.raises(PromptError, match="empty prompt"):
        make_ppo().begin([""], small())
    make_ppo(eos=(2,)).begin([""], small())


def test_a_phase_is_announced_before_memory_is_taken_for_it(monkeypatch):
    # What says where memory ran out, and what a stop drops, goes by the phase announced last.
    announced, at_noise = [], []

    class Listening(Unattended):
        def step(self, phase, done, total):
            announced.append(phase)

    def uniforms(*arguments):
        at_noise.append(announced[-1])
        return make_uniforms(*arguments)

    for module in (on_policy, trainer_module):
        monkeypatch.setattr(module, "uniforms", uniforms)
    ppo = make_ppo()
    hp = parse({"num_cycles": 2, "batch_size": 2, "response_length": 3})
    ppo.begin(["A"], hp)
    for cycle in (1, 2):
        ppo.run_cycle(cycle, hp, [0], Listening())
    assert at_noise == [Phase.SAMPLING, Phase.COMPARING] * 2
    assert list(dict.fromkeys(announced)) == [
        Phase.SAMPLING, Phase.SCORING, Phase.UPDATING, Phase.READING,
        Phase.COMPARING]


def test_waiting_between_the_parts_does_not_count_and_scoring_does(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    def reward(text):
        now[0] += 1.0  # eight completions to learn from, and one that is compared
        return float(len(text))

    class Watched(Unattended):
        def part_done(self, part, draft):
            now[0] += 1000.0

    ppo, settings = make_ppo(reward), small()
    ppo.begin(["A"], settings)
    now[0] = 50.0
    metrics = ppo.run_cycle(1, settings, [0], Watched()).metrics
    assert metrics["seconds/scoring"] == 8.0
    assert metrics["seconds/sampling"] == metrics["seconds/update"] == 0.0
    assert metrics["seconds/comparison"] == 1.0
    assert metrics["seconds"] == 9.0
