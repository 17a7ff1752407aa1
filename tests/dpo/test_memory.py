"""DPO's memory estimate: by the lengths of the pairs, and of use. How close it is stands in
`tests/learning/test_memory.py`."""

from types import SimpleNamespace

import pytest
import torch
from helpers.models import TextReward, make_policy
from helpers.preferences import make_dpo, parse

from workbench.dpo.memory import PairsMemory, measure
from workbench.learning.footprint import Footprint
from workbench.learning.memory import uneven
from workbench.learning.workload import Workload, needed
from workbench.models.phases import Phase
from workbench.records import Pair

WORK = Workload(prompt=8, scored=24, compared=4)
PAIRS = [Pair("ab", "x" * (1 + i % 7), "yz" * (1 + i % 5)) for i in range(40)]


@pytest.fixture(scope="module")
def models():
    return Footprint(make_policy("llama"), TextReward(len))


def settings(**values):
    return parse(**{"batch_size": 32, "response_length": 16, **values})


def needs(models, found):
    return PairsMemory(models, WORK, found)


def lengths(pairs):
    return measure(pairs, make_dpo(pairs, eos=(2,)).policy_tokenizer, control_tokens=False)


def test_pairs_are_measured_as_the_policy_reads_them():
    # A letter a token, and the end that each completion learns; the last token is not fed.
    found = lengths([Pair("abc", "x", "yz"), Pair("a", "xyz", "yz" * 3)])
    assert list(found.rows) == [(1 + 7 - 1, (4 + 7) / 2), (3 + 3 - 1, (2 + 3) / 2)]
    assert found.total == 1 + 4 + 7 + 3 + 2 + 3
    # Of very many some are counted, of all lengths, and the longest are among them.
    many = lengths(PAIRS * 50)
    assert len(many.rows) < 400
    assert many.rows[0] == lengths(PAIRS).rows[0]
    assert many.total == pytest.approx(50 * lengths(PAIRS).total, rel=0.05)


def test_what_each_setting_and_longer_pairs_cost(models):
    found = lengths(PAIRS)

    def update(long=found, **values):
        return needs(models, long).phases(settings(**values))[Phase.UPDATING]

    assert update(lora_rank=2)["Reference"] == 0 < update()["Reference"]
    assert update(gradient_checkpointing=True)["Activations"] < update()["Activations"] / 2
    assert update(micro_batch_tokens=64)["Activations"] < update()["Activations"] / 2
    assert update(batch_size=64)["Activations"] > update()["Activations"]
    longer = lengths([Pair("ab" * 5, p.chosen * 3, p.rejected * 2) for p in PAIRS])
    assert update(longer)["Activations"] > 1.5 * update()["Activations"]
    assert update(longer)["Data"] > update()["Data"]
    assert update()["Value model"] == 0


def test_relief_fits_and_less_is_live(models):
    found, hp = lengths(PAIRS), settings(micro_batch_tokens=4096)
    phases = needs(models, found).phases(hp)
    enough = needed(phases) - phases[Phase.UPDATING]["Activations"] // 2
    gentle = needs(models, found).relief(hp, enough)
    assert set(gentle) == {"micro_batch_tokens"}
    assert needed(needs(models, found).phases(hp.with_changes(gentle))) <= enough
    assert needs(models, found).relief(hp, 1000) == {}
    for phase in (Phase.UPDATING, Phase.EVALUATING, Phase.REFERENCE, Phase.READING,
                  Phase.COMPARING):
        assert all(hp.specs()[name].live for name in needs(models, found).less(hp, phase))
    assert "micro_batch_tokens" in needs(models, found).less(hp, Phase.UPDATING)


def test_the_trainer_knows_as_soon_as_there_are_pairs():
    dpo, hp = make_dpo(PAIRS), settings()
    needs = dpo.needs(hp, Workload(8, 24, 4, PAIRS))
    assert needed(needs.phases(hp)) > 0
    assert needs.relief(hp, needed(needs.phases(hp))) == {}


def test_logits_of_a_large_vocabulary_leave_holes_in_a_cpus_heap_alone():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    large, small = (SimpleNamespace(vocabulary=size) for size in (50_257, 2048))
    assert uneven(small, 900, cpu) == 0  # they are no larger than what else comes and goes
    assert uneven(large, 500, cuda) == 0
    # All of a micro-batch's, 100 MB of float32, once when read and once when learned from.
    assert uneven(large, 500, cpu) == 2 * 500 * 50_257 * 4
