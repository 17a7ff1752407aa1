"""A run that goes wrong is told of in plain words, a healthy one is left in peace."""

import math

import pytest
from helpers.window import Opened
from pytestqt.qtbot import QtBot

from workbench.gui.health import find_warnings

HEALTHY = {"objective/scores": 1.0, "objective/kl": 4.0, "policy/entropy_avg": 2.0,
           "loss/policy_avg": 0.0, "loss/value_avg": 0.2, "objective/distinct": 1.0,
           "policy/clipfrac_avg": 0.1, "val/explained_variance": 0.3}


def titles(**last: float) -> list[str]:
    changed = HEALTHY | {name.replace("__", "/"): value for name, value in last.items()}
    return [w.title for w in find_warnings(HEALTHY, changed, kl_target=6.0)]


def test_a_healthy_run_has_no_warning() -> None:
    assert titles() == []
    assert find_warnings({}, {}, 6.0) == []


@pytest.mark.parametrize(("name", "value", "title"), [
    ("objective__kl", 12.1, "KL is high"),
    ("objective__kl", -0.6, "KL is negative"),
    ("policy__entropy_avg", 0.9, "Entropy is collapsing"),
    ("objective__distinct", 0.4, "Completions are alike"),
    ("policy__clipfrac_avg", 0.35, "Steps are large"),
    ("val__explained_variance", -0.6, "Values are off"),
    ("loss__value_avg", math.nan, "Value loss is not a number"),
    ("objective__kl", math.inf, "KL to start policy is not a number"),
])
def test_what_is_wrong_is_said(name: str, value: float, title: str) -> None:
    assert titles(**{name: value})[0] == title


def test_chip_shows_the_worst_and_how_many_more(qtbot: QtBot, opened: Opened) -> None:
    window = opened.window
    assert not window.health.isVisible()
    window.show_health(find_warnings(
        HEALTHY, HEALTHY | {"objective/kl": 20.0, "objective/distinct": 0.1}, 6.0))
    qtbot.waitUntil(window.health.isVisible)
    assert window.health.text() == "KL is high (+1)"
    assert "Raise the KL coefficient" in window.health.toolTip()
    window.show_health([])
    qtbot.waitUntil(window.health.isHidden)
