"""How much memory a run of ILQL will take, by phase and part, before it starts; and what to
lower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.ilql.hyperparameters import ILQLSettings
from workbench.ilql.scored import read_table
from workbench.learning import memory as any_run
from workbench.learning.footprint import Footprint, PolicyCosts
from workbench.learning.memory import (
    FLOAT,
    at_once,
    chunk,
    halved,
    held,
    sampling,
    scoring,
    updating,
    with_allocator,
    work_of,
)
from workbench.learning.workload import Phases, Workload
from workbench.models.forward import cut_by_width
from workbench.models.optimizer import state_bytes
from workbench.models.phases import Phase
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.records import ScoredText
from workbench.settings import Value

_READ = 256
"""Completions whose tokens are counted; of more, so many of all lengths."""
_TOKEN_BYTES = 40
"""Of a token in a table of completions: a number of Python's, and the place that points to it."""
_Q_LOGITS = 7
"""(n, V) tensors in float32, beside the policy's own, while n tokens are steered: what is made of
log-probabilities, two targets, the smaller of these, its distance from V, that times β, the sum."""

_Models = Footprint[ILQLSettings]


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long completions are."""

    rows: Sequence[tuple[int, int]]
    """Of each its tokens with the prompt's, and its own; longest first."""
    total: int
    """Tokens of all."""


def measure(
    texts: Sequence[ScoredText], policy_tokenizer: PolicyTokenizer, *, control_tokens: bool
) -> Lengths:
    """Return how long ``texts`` are, as the policy reads them.

    Raises:
        PromptError: none can be learned from.
    """
    by_length = sorted(texts, key=lambda t: len(t.prompt.text) + len(t.completion), reverse=True)
    table = read_table(by_length[:: max(1, len(texts) // _READ)], policy_tokenizer,
                       control_tokens=control_tokens)
    rows = [(len(prompt) + len(response) - 1, len(response))
            for prompt, response in zip(table.prompts, table.responses, strict=True)]
    return Lengths(sorted(rows, reverse=True), sum(map(sum, rows)) * len(texts) // len(rows))


def memory(models: _Models, hp: ILQLSettings, work: Workload, lengths: Lengths) -> Phases:
    """Estimate a run's memory on its device, in bytes.

    A batch is taken to have completions of all lengths, every compared one to be as long as ``hp``
    allows.

    Raises:
        UnsupportedModelError: the policy cannot be trained as ``hp`` asks.
    """
    costs, width = models.costs(hp), work.prompt + hp.response_length
    shapes = _shapes(models, hp, lengths)
    update = updating(models, costs, hp, shapes)
    most = max(tokens for *_, tokens in shapes)
    update["Gradients"] += FLOAT * _learning(costs)
    update["Logits and backward pass"] += (
        _Q_LOGITS * FLOAT * chunk(costs, most, models.device) * costs.vocabulary)
    ways = (sampling(costs, work.compared, work.prompt, width),
            scoring(models, costs, hp, work.compared, work))
    phases = with_allocator(models, _held(models, costs, hp, work, lengths), {
        Phase.UPDATING: update,
        Phase.COMPARING: max(ways, key=lambda parts: sum(parts.values()))})
    return {phase: phases[phase] for phase in Phase if phase in phases}


def relief(
    models: _Models, hp: ILQLSettings, work: Workload, lengths: Lengths, available: int
) -> dict[str, Value]:
    """Return the gentlest change of settings with which a run fits into ``available`` bytes
    (:func:`workbench.learning.memory.relief`)."""
    return any_run.relief(
        hp, available, lambda wanted: memory(models, wanted, work, lengths),
        _tokens(models, hp, lengths), lambda times: halved(hp, times))


def less(
    models: _Models, hp: ILQLSettings, work: Workload, lengths: Lengths, phase: Phase
) -> dict[str, Value]:
    """Return the live change to try when memory ran out in ``phase``
    (:func:`workbench.learning.memory.less`)."""
    measured = phase if phase is Phase.COMPARING else Phase.UPDATING

    def working(settings: ILQLSettings) -> int:
        return work_of(memory(models, settings, work, lengths)[measured],
                       _held(models, models.costs(settings), settings, work, lengths))

    return any_run.less(
        hp, working, _tokens(models, hp, lengths), lambda times: halved(hp, times))


def _learning(costs: PolicyCosts) -> int:
    """Return how many parameters V and the two Q have."""
    hidden = costs.width * (costs.width + 1)
    return 3 * hidden + (costs.width + 1) * (1 + 2 * costs.vocabulary)


def _held(
    models: _Models, costs: PolicyCosts, hp: ILQLSettings, work: Workload, lengths: Lengths
) -> dict[str, int]:
    targets = 2 * (costs.width + 1) * (costs.width + costs.vocabulary)
    parts = held(models, hp, work.compared)
    parts["Optimiser"] += state_bytes(hp.optimizer, _learning(costs))
    return parts | {"Value heads": FLOAT * (_learning(costs) + targets),
                    "Data": _TOKEN_BYTES * lengths.total}


def _shapes(
    models: _Models, hp: ILQLSettings, lengths: Lengths
) -> list[tuple[int, int, int]]:
    """Return rows, width and tokens of completions of the micro-batches of a step, whose
    completions are of all lengths in equal shares."""
    known, rows = lengths.rows, hp.batch_size
    chosen = [known[i * len(known) // rows] for i in range(rows)]
    shapes, first = [], 0
    for count, width in cut_by_width([total for total, _ in chosen], at_once(models, hp),
                                     batching=models.capabilities.reading):
        shapes.append((count, width, sum(own for _, own in chosen[first : first + count])))
        first += count
    return shapes


def _tokens(models: _Models, hp: ILQLSettings, lengths: Lengths) -> int:
    """Return how many tokens go through the model at once, of a whole batch."""
    return min(at_once(models, hp), hp.batch_size * lengths.rows[0][0])
