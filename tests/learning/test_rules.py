"""What learns from data is watched by what it writes to be compared."""

import pytest

from workbench.algorithms import ALGORITHMS
from workbench.health import Watch
from workbench.ilql.metrics import Q

FROM_DATA = [a for a in ALGORITHMS if a.learns_from and a.makes == "policy"]


def findings(algorithm, **metrics):
    watch, hp = Watch(algorithm.rules, algorithm.watched), algorithm.settings()
    for _ in range(3):
        found = watch.check(dict.fromkeys(algorithm.watched, 0.5) | metrics, hp)
    return {f.rule.removeprefix(f"{algorithm.name}_"): f for f in found}, hp


@pytest.mark.parametrize("algorithm", FROM_DATA, ids=lambda a: a.name)
def test_lost_language_is_said(algorithm):
    # As the runs that trials had destroyed: 113 nats over 30 tokens, 38 % unlikely words.
    found, hp = findings(algorithm, **{
        "objective/kl": 113.0, "objective/length": 30.0, "objective/unlikely": 0.38})
    assert found["kl"].severity == found["unlikely"].severity == "serious"
    assert "113 nats from the start policy, 3.8 a token" in found["kl"].sentence
    assert "38\N{NO-BREAK SPACE}% of the tokens" in found["unlikely"].sentence
    for rule in algorithm.rules:
        if rule.name in (f"{algorithm.name}_kl", f"{algorithm.name}_unlikely"):
            (name, value), = rule.suggestion(hp).items()
            assert value < getattr(hp, name)


@pytest.mark.parametrize("algorithm", FROM_DATA, ids=lambda a: a.name)
def test_what_is_lost_within_a_cycle_is_said_at_once(algorithm):
    watch, hp = Watch(algorithm.rules, algorithm.watched), algorithm.settings()

    def kl(nats):
        found = watch.check(dict.fromkeys(algorithm.watched, 0.5) | {
            "objective/kl": nats, "objective/length": 30.0}, hp)
        return [f for f in found if f.rule == f"{algorithm.name}_kl"]

    assert not kl(80.0)  # one cycle is noisy: 2.7 nats a token may be
    assert "528 nats from the start policy, 17.6 a token" in kl(528.0)[0].sentence
    assert "448 nats" in kl(448.0)[0].sentence  # not the median of the three


@pytest.mark.parametrize(("loss", "said"), [(30.0, False), (1089.0, True)])
def test_values_that_diverge_within_a_cycle_are_told_of_at_once(loss, said):
    ilql = next(a for a in FROM_DATA if a.name == "ilql")
    found = Watch(ilql.rules, ilql.watched).check(
        dict.fromkeys(ilql.watched, 0.5) | {Q: loss}, ilql.settings())
    assert any("loss 1.09e+03" in f.sentence for f in found) is said


@pytest.mark.parametrize("algorithm", FROM_DATA, ids=lambda a: a.name)
def test_what_learns_well_is_not_spoken_of(algorithm):
    # As the runs of the README come out.
    found, _ = findings(algorithm, **{
        "objective/kl": 11.0, "objective/length": 27.0, "objective/unlikely": 0.03})
    assert not {"kl", "unlikely"} & found.keys()


@pytest.mark.parametrize("beta", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("name", ["dpo", "kto"])
def test_a_margin_runs_away_with_a_small_beta_too(name, beta):
    # The chosen ones from -40 to -60 nats, 50 % less likely, and the others further: the margin
    # is far at 50 nats, or at odds of 150 to 1 where β makes fewer nats of these.
    algorithm = next(a for a in FROM_DATA if a.name == name)

    def spoken(nats):
        watch, hp = Watch(algorithm.rules, algorithm.watched), algorithm.settings(beta=beta)
        for chosen in (-40.0, -60.0, -60.0, -60.0):
            found = watch.check(dict.fromkeys(algorithm.watched, 0.5) | {
                "logps/chosen": chosen, "rewards/margins": beta * nats, "logps/good": -60.0,
                "rewards/good": beta * -20.0, "rewards/good_less_bad": beta * nats}, hp)
        return f"{name}_runaway" in {f.rule for f in found}

    far = min(50.0, 5.0 / beta)
    assert spoken(far + 1)
    assert not spoken(far - 1)


def test_values_that_diverge_within_the_first_cycle_are_said():
    ilql = next(a for a in FROM_DATA if a.name == "ilql")

    def said(*losses):
        watch, hp = Watch(ilql.rules, ilql.watched), ilql.settings()
        for loss in losses:
            found = watch.check(dict.fromkeys(ilql.watched, 0.5) | {"loss/q": loss}, hp)
        return {f.rule: f.severity for f in found}.get("ilql_diverging")

    assert said(300.0, 200.0, 250.0) == "serious"
    assert said(0.07, 0.1, 0.9, 0.9) == "warning"  # ten times the first
    # Two Qs that know nothing are a deviation off, where every completion is a single token.
    assert said(2.0, 1.9, 1.8) is None
