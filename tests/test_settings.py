"""What every algorithm's settings have in common."""

from typing import ClassVar

import pytest

from workbench.ppo.hyperparameters import Hyperparameters
from workbench.settings import HyperparameterError, Settings, declare


class Renamed(Settings):
    GROUPS: ClassVar = ("Own", "Run")
    RENAMED: ClassVar = {"old_coef": "own_coef"}
    own_coef: float = declare(0.5, "Own coefficient", "Own", "Of its own.", ge=0.0, le=1.0)
    learning_rate: float = declare(1e-5, "Learning rate", "Own", "Smaller.", ge=0.0, le=1.0)


def test_a_setting_that_was_renamed_is_read_under_its_old_name():
    stored = {"old_coef": 0.25, "num_cycles": 7}
    assert Renamed.renamed(stored) == {"own_coef": 0.25, "num_cycles": 7}
    assert Renamed.parse(Renamed.renamed(stored)).own_coef == 0.25
    with pytest.raises(HyperparameterError, match="no hyperparameter named 'old_coef'"):
        Renamed.parse(stored)


def test_what_is_a_setting_no_more_is_left_out_where_a_run_is_only_shown():
    assert Renamed.known({"old_coef": 0.25, "gone": 1, "seed": 3}) == {"own_coef": 0.25, "seed": 3}


def test_an_algorithm_has_its_own_order_and_defaults_and_those_of_all():
    specs = Renamed.specs()
    groups = list(dict.fromkeys(spec.group for spec in specs.values()))
    assert groups[:2] == ["Own", "Run"]
    assert specs["learning_rate"].default == Renamed().learning_rate == 1e-5
    assert Settings.model_fields.keys() < specs.keys()
    assert "cliprange" not in specs
    assert "cliprange" in Hyperparameters.specs()


def test_changes_make_settings_of_the_same_kind():
    changed = Renamed().with_changes({"own_coef": "0.75"})
    assert type(changed) is Renamed
    assert changed.differences(Renamed()) == {"own_coef": (0.75, 0.5)}


def test_there_are_no_more_processes_than_rows_to_share_out():
    with pytest.raises(HyperparameterError, match="at most the batch size, 16"):
        Hyperparameters.parse({"processes": 17, "batch_size": 16, "num_mini_batches": 1})
    fits = Hyperparameters.parse({"processes": 16, "batch_size": 16, "num_mini_batches": 1})
    assert fits.processes == 16
