"""How much memory a run of DPO will take, by phase and part, before it starts; and what to
lower."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.dpo.hyperparameters import DPOSettings
from workbench.dpo.pairs import read_table
from workbench.learning import memory as any_run
from workbench.learning.data_lengths import Lengths, of_all_lengths
from workbench.learning.footprint import Footprint, PolicyCosts
from workbench.learning.memory import (
    alone,
    at_once,
    halved,
    held,
    reading,
    sampling,
    scoring,
    updating,
    work_of,
)
from workbench.learning.workload import Phases, Workload
from workbench.models.phases import Phase
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.records import Pair
from workbench.settings import Value

_Models = Footprint[DPOSettings]


def measure(
    pairs: Sequence[Pair], policy_tokenizer: PolicyTokenizer, *, control_tokens: bool
) -> Lengths:
    """Return how long ``pairs`` are, as the policy reads them.

    Raises:
        PromptError: none can be learned from.
    """
    some = of_all_lengths(pairs, lambda p: len(p.asked.text) + max(map(len, p.answers)))
    table = read_table(some, policy_tokenizer, control_tokens=control_tokens,
                       held_out_share=0.0, seed=0)
    rows, total = [], 0
    for prompt, *sides in zip(table.prompts, table.chosen, table.rejected, strict=True):
        rows.append((len(prompt) + max(map(len, sides)) - 1, sum(map(len, sides)) / 2))
        total += len(prompt) + sum(map(len, sides))
    return Lengths(sorted(rows, reverse=True), total * len(pairs) // len(rows))


def memory(models: _Models, hp: DPOSettings, work: Workload, lengths: Lengths) -> Phases:
    """Estimate a run's memory on its device, in bytes.

    A batch is taken to have pairs of all lengths, every compared completion to be as long as ``hp``
    allows.

    Raises:
        UnsupportedModelError: the policy cannot be trained as ``hp`` asks.
    """
    costs, width = models.costs(hp), work.prompt + hp.response_length
    batching = models.capabilities.reading
    longest = lengths.shapes(len(lengths.rows), at_once(models, hp), batching, each=2)
    read = max(reading(models, costs, *shape) for shape in longest)
    there = _held(models, hp, work, lengths)
    # The update comes first and needs most.
    working: Phases = {
        Phase.UPDATING: updating(models, costs, hp, lengths.shapes(
            hp.batch_size, at_once(models, hp), batching, each=2, together=2)),
        Phase.EVALUATING: {"Reading": read},
        Phase.COMPARING: _comparing(models, costs, hp, work, width),
    }
    return {phase: alone(models, there, parts) for phase, parts in working.items()}


def relief(
    models: _Models, hp: DPOSettings, work: Workload, lengths: Lengths, available: int
) -> dict[str, Value]:
    """Return the gentlest change of settings with which a run fits into ``available`` bytes
    (:func:`workbench.learning.memory.relief`)."""
    return any_run.relief(
        hp, available, lambda wanted: memory(models, wanted, work, lengths),
        _tokens(models, hp, lengths), lambda times: halved(hp, times))


def less(
    models: _Models, hp: DPOSettings, work: Workload, lengths: Lengths, phase: Phase
) -> dict[str, Value]:
    """Return the live change to try when memory ran out in ``phase``
    (:func:`workbench.learning.memory.less`)."""
    measured = phase if phase in (Phase.UPDATING, Phase.COMPARING) else Phase.EVALUATING

    def working(settings: DPOSettings) -> int:
        return work_of(memory(models, settings, work, lengths)[measured],
                       _held(models, settings, work, lengths))

    return any_run.less(
        hp, working, _tokens(models, hp, lengths), lambda times: halved(hp, times))


def _held(models: _Models, hp: DPOSettings, work: Workload, lengths: Lengths) -> dict[str, int]:
    return held(models, hp, work.compared) | {"Pairs": lengths.table_bytes}


def _comparing(
    models: _Models, costs: PolicyCosts, hp: DPOSettings, work: Workload, width: int
) -> dict[str, int]:
    ways = (sampling(costs, work.compared, work.prompt, width),
            scoring(models, costs, hp, work.compared, work))
    return max(ways, key=lambda parts: sum(parts.values()))


def _tokens(models: _Models, hp: DPOSettings, lengths: Lengths) -> int:
    """Return how many tokens go through the model at once, of a whole batch."""
    return min(at_once(models, hp), 2 * hp.batch_size * lengths.rows[0][0])
