"""Which prompts are held out."""

import pytest

from workbench.learning.held_out import held_out
from workbench.ppo.hyperparameters import parse
from workbench.settings import HyperparameterError


def test_a_number_or_a_share_of_them():
    assert held_out(10, 0) == []
    assert len(held_out(10, 3)) == 3
    assert len(held_out(64, 0.25)) == 16
    assert len(held_out(3, 0.01)) == 1  # at least one
    assert set(held_out(64, 4)) < set(held_out(64, 0.25))
    assert max(held_out(64, 0.25)) > 32 > min(held_out(64, 0.25))  # not one end of the list


@pytest.mark.parametrize(("count", "wanted"), [(4, 4), (4, 9), (4, 0.95), (1, 1), (1, 0.1)])
def test_some_must_be_left(count, wanted):
    with pytest.raises(ValueError, match=r"(leaves none of the 4|The only) prompt.*switch on more"):
        held_out(count, wanted)


def test_a_part_of_a_prompt_cannot_be_held_out():
    with pytest.raises(HyperparameterError, match=r"whole number of prompts.*not 2\.5"):
        parse({"held_out_prompts": 2.5})
    assert parse({"held_out_prompts": "0.25"}).held_out_prompts == 0.25
