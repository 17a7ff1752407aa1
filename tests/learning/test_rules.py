"""What learns from data is watched by what it writes to be compared."""

import pytest

from workbench.algorithms import ALGORITHMS
from workbench.health import Watch

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
def test_what_learns_well_is_not_spoken_of(algorithm):
    # As the runs of the README come out.
    found, _ = findings(algorithm, **{
        "objective/kl": 11.0, "objective/length": 27.0, "objective/unlikely": 0.03})
    assert not {"kl", "unlikely"} & found.keys()
