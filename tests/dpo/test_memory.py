"""DPO's memory estimate: by the lengths of the pairs, and of use. How close it is stands in
`tests/learning/test_memory.py`."""

from types import SimpleNamespace

import pytest
import torch
from helpers.models import TextReward, make_policy
from helpers.preferences import make_dpo, parse

from workbench.dpo.memory import PairsMemory, measure
from workbench.learning.data_lengths import Item, Lengths
from workbench.learning.footprint import Footprint
from workbench.learning.memory import pieces
from workbench.learning.workload import Workload, needed
from workbench.models.capabilities import Capabilities
from workbench.models.forward import micro_batches
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
    assert found.items == [Item(1, (4, 7)), Item(3, (2, 3))]
    assert [item.fed for item in found.items] == [1 + 7 - 1, 3 + 3 - 1]
    assert found.total == 1 + 4 + 7 + 3 + 2 + 3
    # Of very many some are counted, of all lengths, and the longest are among them.
    many = lengths(PAIRS * 50)
    assert len(many.items) < 400
    assert many.longest == lengths(PAIRS).longest
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


@pytest.mark.parametrize("branches", [0, 64])
@pytest.mark.parametrize("together", [1, 2])
@pytest.mark.parametrize("tokens", [64, 512])
def test_shapes_are_those_of_the_micro_batches(branches, together, tokens):
    pairs = [Pair("ab" * 20, p.chosen, p.rejected) for p in PAIRS]
    dpo = make_dpo(pairs, eos=(2,))
    table = dpo.read_table(pairs, settings(), frozenset())
    some = table.completions(range(len(pairs)), torch.device("cpu"))
    taken = [(*batch.input_ids.shape, len(batch.row)) for batch in micro_batches(
        some, torch.arange(2 * len(pairs)), max_tokens=tokens, device=torch.device("cpu"),
        together=together, branches=branches)]
    models = SimpleNamespace(capabilities=Capabilities(), branches=branches)
    assert sorted(lengths(pairs).shapes(
        len(pairs), tokens, models, each=2, together=together)) == sorted(taken)


def test_of_many_batches_that_may_be_drawn_the_largest_counts():
    # Alike in length are only the many short ones.
    found = Lengths([Item(5, (1 + 9 * i,)) for i in range(40)] + [Item(5, (1,))] * 100, 0)
    shapes = found.shapes(8, 64, SimpleNamespace(capabilities=Capabilities(), branches=0))
    assert sum(rows for rows, *_ in shapes) == 8 * 17  # one of all lengths and sixteen drawn
    assert max(rows for rows, *_ in shapes) > 5  # in equal shares they are of unlike lengths


def test_texts_of_all_lengths_leave_holes_in_a_cpus_heap_alone():
    assert pieces({"Gradients": 30, "Activations": 70}, torch.device("cpu")) == 20
    assert pieces({"Gradients": 30, "Activations": 70}, torch.device("cuda")) == 0
