"""How much memory a run of DPO will take, by phase and part, before it starts; and what to
lower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.dpo.hyperparameters import DPOSettings
from workbench.dpo.pairs import read_table
from workbench.learning import memory as any_run
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
from workbench.models.capabilities import Batching
from workbench.models.forward import cut_by_width
from workbench.models.phases import Phase
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.records import Pair
from workbench.settings import Value

_READ = 256
"""Pairs whose tokens are counted; of more, so many of all lengths."""
_TOKEN_BYTES = 40
"""Of a token in a table of pairs: a number of Python's, and the place that points to it."""

_Models = Footprint[DPOSettings]


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long pairs are."""

    rows: Sequence[tuple[int, float]]
    """Of each pair the tokens of its longer row, with the prompt, and the mean of its two
    completions; longest first."""
    total: int
    """Tokens of all pairs."""


def measure(
    pairs: Sequence[Pair], policy_tokenizer: PolicyTokenizer, *, control_tokens: bool
) -> Lengths:
    """Return how long ``pairs`` are, as the policy reads them.

    Raises:
        PromptError: none can be learned from.
    """
    by_length = sorted(pairs, key=lambda p: len(p.asked.text) + max(map(len, p.answers)))
    step = max(1, len(pairs) // _READ)
    table = read_table(by_length[::-1][::step], policy_tokenizer, control_tokens=control_tokens,
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
    longest = _shapes(lengths, len(lengths.rows), at_once(models, hp), 1, batching)
    read = max(reading(models, costs, *shape) for shape in longest)
    there = _held(models, hp, work, lengths)
    # The update comes first and needs most.
    working: Phases = {
        Phase.UPDATING: updating(models, costs, hp, _shapes(
            lengths, hp.batch_size, at_once(models, hp), 2, batching)),
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
    return held(models, hp, work.compared) | {"Pairs": _TOKEN_BYTES * lengths.total}


def _comparing(
    models: _Models, costs: PolicyCosts, hp: DPOSettings, work: Workload, width: int
) -> dict[str, int]:
    ways = (sampling(costs, work.compared, work.prompt, width),
            scoring(models, costs, hp, work.compared, work))
    return max(ways, key=lambda parts: sum(parts.values()))


def _shapes(
    lengths: Lengths, pairs: int, tokens: int, together: int, batching: Batching
) -> list[tuple[int, int, int]]:
    """Return rows, width and tokens of completions of the micro-batches that so many pairs make,
    of all lengths in equal shares."""
    known = lengths.rows
    chosen = [known[i * len(known) // pairs] for i in range(pairs) for _ in range(2)]
    shapes, first = [], 0
    for count, width in cut_by_width([total for total, _ in chosen], tokens, together=together,
                                     batching=batching):
        part = chosen[first : first + count]
        shapes.append((count, width, round(sum(completion for _, completion in part))))
        first += count
    return shapes


def _tokens(models: _Models, hp: DPOSettings, lengths: Lengths) -> int:
    """Return how many tokens go through the model at once, of a whole batch."""
    return min(at_once(models, hp), 2 * hp.batch_size * lengths.rows[0][0])
