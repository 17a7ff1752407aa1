"""Every rule of every algorithm can pause a run by a setting of its own."""

from __future__ import annotations

import pytest

from workbench.algorithm import Algorithm
from workbench.algorithms import ALGORITHMS
from workbench.health import NOT_FINITE, Watch
from workbench.settings import PAUSE


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_every_rule_has_its_setting(algorithm: Algorithm) -> None:
    shown = [algorithm, *algorithm.variants.values()]
    rules = {rule.name for one in shown for rule in one.rules} - {NOT_FINITE}
    specs = algorithm.settings.specs()
    assert {f"pause_on_{name}" for name in rules} == {
        name for name in specs if name.startswith("pause_on_")}
    assert {spec.group for name, spec in specs.items() if name.startswith("pause_on_")} == {PAUSE}
    assert algorithm.settings.GROUPS[-1] == PAUSE
    assert not any(getattr(algorithm.settings(), f"pause_on_{name}") for name in rules)


def test_one_that_is_off_does_not_pause() -> None:
    for name in ("dpo", "kto", "ilql"):
        algorithm = next(one for one in ALGORITHMS if one.name == name)
        lost = dict.fromkeys(algorithm.watched, 0.0) | {
            "objective/kl": 400.0, "objective/length": 10.0}
        for on in (False, True):
            hp = algorithm.settings.parse({f"pause_on_{name}_kl": on})
            watch = Watch(algorithm.rules, algorithm.watched)
            found = watch.check(lost, hp)
            assert f"{name}_kl" in [finding.rule for finding in found]
            assert watch.pause_for(found, hp) == ("Language is lost" if on else "")
