"""A run that goes wrong is told of in plain words, a healthy one is left in peace."""

import math
from functools import partial

import pytest
import torch
from helpers.window import fill

from workbench import health
from workbench.formatting import percent
from workbench.health import NOT_FINITE
from workbench.ppo import rules
from workbench.ppo.hyperparameters import Hyperparameters, parse, specs
from workbench.ppo.metrics import METRICS
from workbench.ppo.rules import NOT_ONE, WATCHED
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.health import last_settings

RULES = {rule.name: rule for rule in rules.RULES}
read = partial(health.read, rules.RULES)
HEALTHY = {"objective/scores": 1.0, "objective/scores_std": 0.9, "objective/kl": 6.0,
           "objective/length": 24.0, "objective/distinct": 1.0, "policy/entropy_avg": 0.9,
           "policy/approxkl": 0.05, "policy/clipfrac": 0.25, "policy/grad_norm": 0.3,
           "loss/policy_avg": 0.0, "loss/value_avg": 0.15, "val/explained_variance": 0.4,
           "objective/unlikely": 0.005, "objective/cut": 0.0, "val/num_eos_tokens": 60.0,
           "val/ratio_start": 1e-6}
PROMPTS = (do.PromptItem("one"), do.PromptItem("two"), do.PromptItem("three"))


def after(cycles, change, hp=None):
    """Return what is found after healthy cycles and some more with changed metrics."""
    watch, hp = health.Watch(rules.RULES, WATCHED), hp or Hyperparameters()
    found = []
    for metrics in [HEALTHY] * 5 + [HEALTHY | change] * cycles:
        found = watch.check(metrics, hp)
        readings = read(watch.history, hp)
        assert {name for name, r in readings.items() if r.share > 1} == {f.rule for f in found}
        assert all("nan" not in (r.value if r.known else "") + r.limit for r in readings.values())
    return [(f.rule, f.severity) for f in found]


def test_a_healthy_run_has_no_finding():
    assert after(5, {}) == []
    assert set(HEALTHY) == set(WATCHED)


def test_a_healthy_run_shows_how_far_every_rule_is_from_its_limit():
    history = {name: [value] * 12 for name, value in HEALTHY.items()}
    readings = read(history, Hyperparameters())
    assert list(readings) == list(RULES)
    shown = {name: (r.value, r.limit, round(r.share, 2)) for name, r in readings.items()}
    assert shown["kl"] == ("0.25 nats a token", "above 1", 0.25)         # 6 nats over 24 tokens
    assert shown["steps"] == (
        f"{percent(0.25)} outside 1 ± ε", f"above {percent(0.5)}", 0.5)
    assert shown["unended"] == ("60 of 64 ended", "below 1 in 20", 0.07)  # 4 / 64 of 95 %
    assert shown["unlikely"] == (f"{percent(0.005)} of the tokens", f"above {percent(0.005 + 0.1)}",
                                 0.0)
    assert shown["explained_variance"] == ("0.40 explained", "below 0.05", 0.63)  # .6 / .95
    assert shown["falling_reward"] == ("0.00 below its best", "above 0.45", 0.0)  # half of .9


def test_a_reading_says_what_its_value_is_of():
    history = {name: [value] * 8 + [9 * value] for name, value in HEALTHY.items()}
    found = read(history, Hyperparameters())
    assert found["value_loss"].value == f"{HEALTHY['loss/value_avg']:.3g}"  # not the cycle's 9 x
    assert found["value_loss"].over == "median of the last 3 cycles"
    assert found[NOT_FINITE].over == ""
    history["objective/kl"][-1] = 1e3
    assert (found := read(history, Hyperparameters()))["kl"].severity == "serious"
    assert found["kl"].over == ""
    assert all(reading.limit and "nan" not in reading.limit
               for reading in read({}, Hyperparameters()).values())


def test_what_is_not_known_yet_is_not_well():
    first = {name: [value] for name, value in HEALTHY.items()}
    readings = read(first, Hyperparameters())
    assert {name for name, r in readings.items() if r.known} == {
        NOT_FINITE, NOT_ONE, "kl", "steps", "cut"}
    assert not any(r.known for r in read({}, Hyperparameters()).values())


def test_values_are_judged_once_they_had_time_to_learn():
    def found(*explained):
        history = {"val/explained_variance": explained}
        return read(history, Hyperparameters())["explained_variance"]

    assert not found(0.0, 0.0, *[0.02] * 7).severity
    told = found(0.0, 0.0, *[0.02] * 8)
    assert told.severity == "warning"
    assert "0.02 over the last 8 cycles" in told.sentence
    assert "learn nothing" not in told.sentence
    few = read({"val/explained_variance": [-1.0] * 10}, parse({"batch_size": 4}))
    assert not few["explained_variance"].known  # by chance
    never = read({"val/explained_variance": [0.02] * 10}, parse({"vf_coef": 0}))
    assert never["explained_variance"].sentence.endswith(
        "turn out well, and with a value coefficient of 0 they learn nothing.")
    assert not found(*[0.0] * 9, *[0.3] * 8).severity
    # Nothing to explain in one of them: no number.
    assert not found(0.0, 0.0, *[0.02] * 7, math.nan).known


def test_a_fall_of_the_reward_counts_from_the_noise_of_a_mean():
    def found(batch_size, *scores):
        history = {"objective/scores": scores, "objective/scores_std": [0.4] * len(scores)}
        return read(history, parse({"batch_size": batch_size}))["falling_reward"].severity

    solved = [0.5, 0.9, 1.4, 1.5, 1.5, 1.5]
    assert found(64, *solved, *[1.4] * 3) is None
    assert found(64, *solved, *[0.53] * 3) == "warning"
    assert found(8, *solved, *[1.1] * 3) is None  # 4 / sqrt(8) * .4 = .57
    assert found(8, *solved, *[0.9] * 3) == "warning"
    assert found(64, *[1.5] * 3, *[1.0] * 3) == "warning"  # also one that never rose


def test_completions_that_need_not_end_are_left_in_peace():
    assert after(5, {"val/num_eos_tokens": 0.0}) == [("unended", "warning")]
    assert after(5, {"val/num_eos_tokens": 0.0}, parse({"missing_eos_penalty": 0})) == []


def test_advice_does_not_hide_or_worsen_what_it_is_for():
    assert RULES["negative_kl"].setting != "kl_estimator"
    assert RULES["explained_variance"].setting != "vf_coef"


@pytest.mark.parametrize(("change", "expected"), [
    ({"objective/kl": 40.0}, ("kl", "warning")),
    ({"objective/kl": 100.0}, ("kl", "serious")),
    ({"objective/kl": -1.5}, ("negative_kl", "warning")),
    ({"policy/entropy_avg": 0.4}, ("entropy", "warning")),
    ({"policy/entropy_avg": 0.1}, ("entropy", "serious")),
    ({"objective/distinct": 0.5}, ("alike", "warning")),
    ({"objective/distinct": 0.2}, ("alike", "serious")),
    ({"objective/scores": 2.5, "policy/entropy_avg": 0.5}, ("hacking", "warning")),
    ({"objective/scores": 2.5, "objective/distinct": 0.62}, ("hacking", "warning")),
    ({"policy/clipfrac": 0.55}, ("steps", "warning")),
    ({"policy/approxkl": 0.4}, ("steps", "warning")),
    ({"policy/approxkl": 8.0}, ("steps", "serious")),
    ({"loss/value_avg": 2.0}, ("value_loss", "warning")),
    ({"loss/value_avg": 20.0}, ("value_loss", "serious")),
    ({"val/explained_variance": -0.8}, ("explained_variance", "warning")),
    ({"objective/unlikely": 0.15}, ("unlikely", "warning")),
    ({"objective/unlikely": 0.5}, ("unlikely", "serious")),
    ({"objective/scores": 0.3}, ("falling_reward", "warning")),
    ({"val/num_eos_tokens": 2.0}, ("unended", "warning")),
    ({"objective/cut": 0.3}, ("cut", "warning")),
    ({"policy/grad_norm": math.inf}, (NOT_FINITE, "serious")),
    ({"loss/value_avg": math.nan}, (NOT_FINITE, "serious")),
])
def test_what_is_wrong_is_said(change, expected):
    assert after(5, change) == [expected]


@pytest.mark.parametrize("change", [
    {"objective/kl": 40.0}, {"objective/kl": -3.0}, {"policy/entropy_avg": 0.1},
    {"objective/distinct": 0.1}, {"policy/clipfrac": 0.6}, {"loss/value_avg": 9.0},
    {"val/explained_variance": -1.0}, {"objective/unlikely": 0.9}, {"val/num_eos_tokens": 0.0},
    {"objective/scores": -3.0}, {"objective/scores": 5.0, "policy/entropy_avg": 0.1},
])
def test_one_odd_cycle_is_no_trouble(change):
    assert after(1, change) == []


@pytest.mark.parametrize("score", [0.0, 1.0, -40.0])
def test_a_value_loss_of_next_to_nothing_does_not_diverge(score):
    """Where all completions score the same the first loss is rounding, and so is a later one."""
    history = {name: [value] * 8 for name, value in HEALTHY.items()} | {
        "objective/scores": [score] * 8, "objective/scores_std": [0.0] * 8,
        "loss/value_avg": [2e-16] + [1.4e-8] * 7}
    assert read(history, Hyperparameters())["value_loss"].share < 1
    history["loss/value_avg"] = [2e-16] + [max(0.1, score * score)] * 7
    assert read(history, Hyperparameters())["value_loss"].share > 1


def test_a_ratio_that_does_not_begin_at_1_is_no_matter_of_settings():
    wrong = {"val/ratio_start": 2.7, "objective/kl": 200.0, "policy/approxkl": 3.0}
    watch = health.Watch(rules.RULES, WATCHED)
    found = watch.check(HEALTHY | wrong, Hyperparameters())
    assert [(f.rule, f.severity) for f in found] == [(NOT_ONE, "serious")]
    assert "read 14.88 times more or less probable" in found[0].sentence
    advice = RULES[NOT_ONE].advice
    assert "fault of the model" in advice
    assert not any(spec.label.lower() in advice.lower() for spec in specs().values())
    # Rounding in half precision is none; in single precision nothing so large is rounding.
    assert not health.Watch(rules.RULES, WATCHED).check(
        HEALTHY | {"val/ratio_start": 0.05}, Hyperparameters())
    assert health.Watch(rules.RULES, WATCHED).check(
        HEALTHY | {"val/ratio_start": 0.05}, parse({"precision": "float32"}))[0].rule == NOT_ONE


def test_the_adaptive_controller_has_a_target():
    adaptive = parse({"kl_controller": "adaptive", "kl_target": 5.0})
    assert after(3, {"objective/kl": 11.0}, adaptive) == [("kl", "warning")]
    assert after(3, {"objective/kl": 11.0}) == []


def test_every_rule_suggests_a_change_that_is_valid():
    for rule in RULES.values():
        assert rule.metric in {metric.name for metric in METRICS}
        change = rule.suggestion(Hyperparameters())
        assert bool(change) == (rule.name != NOT_ONE)  # no setting mends that
        if not change:
            continue
        assert Hyperparameters().with_changes(change) != Hyperparameters()
        # But for what values are made of, which only a new run can change.
        assert all(specs()[name].live for name in change) or set(change) == {"value_model"}
        assert rule.name == NOT_FINITE or f"pause_on_{rule.name}" in specs()
    top = parse({"kl_coef": 10.0, "batch_size": 65_536})
    assert RULES["kl"].suggestion(top) == {}
    assert RULES["negative_kl"].suggestion(top) == {}


# -- in a run: steps of a learning rate far too large are found in the first cycle


def start(**settings):
    return do.Start(parse({
        "num_cycles": 3, "batch_size": 4, "response_length": 6, "learning_rate": 1.0,
        "comparison_prompts": 2, **settings}), PROMPTS)


def test_findings_are_recorded_told_and_forgotten_on_resume(ready, store):
    ready.send(start(checkpoint_every=1, keep_checkpoints=9))
    ready.wait(ev.RunFinished)
    checked = ready.of(ev.HealthChecked)
    assert [e.cycle for e in checked] == [1, 2, 3]
    assert "steps" in [f.rule for f in checked[0].findings]
    told = [(e.cycle, f.rule, f.severity, f.sentence) for e in checked for f in e.findings]
    recorded = [(h.cycle, h.rule, h.severity, h.sentence) for h in store.health(1)]
    assert recorded == told
    store.rewind(1, 1).result()
    assert {h.cycle for h in store.health(1)} == {1}
    store.delete_run(1).result()
    assert store.health(1) == []


def test_a_resumed_run_is_judged_with_its_past(ready, store, folders):
    ready.send(start(num_cycles=8, checkpoint_every=4, keep_checkpoints=9))
    ready.wait(ev.RunFinished)
    before = store.health(1)
    assert [h for h in before if h.cycle > 6]
    ready.send(do.ResumeRun(1, 4))
    ready.wait(ev.RunFinished)
    assert store.health(1) == before


def test_a_rule_pauses_when_it_begins_and_not_again(ready, store):
    ready.send(start(pause_on_kl=True, num_cycles=5))
    paused = ready.wait_for(State.PAUSED)
    assert paused.note == "After cycle 2: KL runs away"
    assert ready.of(ev.HealthChecked)[-1].pauses_for == "KL runs away"
    assert store.run(1).status == "paused"
    assert [c.cycle for c in store.checkpoints.all(1)] == [2]
    ready.send(do.Stop())
    ready.wait(ev.RunFinished)
    # What was found before is not found anew, not even by a session that resumes the run.
    ready.send(do.ResumeRun(1))
    checked = ready.wait(ev.HealthChecked)
    assert "kl" in [f.rule for f in checked.findings]
    assert checked.pauses_for == ""


def test_a_gradient_that_is_not_finite_is_not_applied(ready, store, monkeypatch):
    ready.send(start(learning_rate=1e-3, checkpoint_every=1))
    ready.wait(ev.CheckpointWritten, lambda e: e.cycle == 1)
    worker_ppo = []

    def spoilt(parameters, limit):
        worker_ppo.append([p.detach().clone() for p in parameters])
        return torch.tensor(math.nan)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spoilt)
    failed = ready.wait(ev.RunFailed)
    cycle = store.run(1).cycles + 1
    assert failed.sentence.startswith(f"The gradient of cycle {cycle} is not a finite number")
    checked = ready.of(ev.HealthChecked)[-1]
    assert (checked.cycle, checked.findings[0].rule) == (cycle, NOT_FINITE)
    assert store.health(1)[-1].cycle == cycle
    ready.wait_for(State.FAILED)

    monkeypatch.undo()
    ready.send(do.ResumeRun(1, None, {"learning_rate": 1e-4}))
    assert ready.wait(ev.RunFinished).outcome == "finished"
    assert NOT_FINITE not in {h.rule for h in store.health(1)}


def test_a_run_is_judged_by_the_settings_that_its_last_cycle_used(store):
    run_id = fill(store, 2)
    store.record_changes(run_id, 2, [("kl_target", 6.0, 3.0, "person")]).result()
    store.record_changes(run_id, 3, [("kl_target", 3.0, 1.0, "person")]).result()
    assert last_settings(store, store.run(run_id)).kl_target == 3.0  # type: ignore[attr-defined]
