"""How much memory a run of ILQL will take, by phase and part, before it starts; and what to
lower."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.ilql.hyperparameters import ILQLSettings
from workbench.ilql.scored import read_table
from workbench.learning import memory as any_run
from workbench.learning.data_lengths import Lengths, of_all_lengths
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
from workbench.models.optimizer import state_bytes
from workbench.models.phases import Phase
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.records import ScoredText
from workbench.settings import Value

_Q_LOGITS = 7
"""(n, V) tensors in float32, beside the policy's own, while n tokens are steered: what is made of
log-probabilities, two targets, the smaller of these, its distance from V, that times β, the sum."""

_Models = Footprint[ILQLSettings]


def measure(
    texts: Sequence[ScoredText], policy_tokenizer: PolicyTokenizer, *, control_tokens: bool
) -> Lengths:
    """Return how long ``texts`` are, as the policy reads them.

    Raises:
        PromptError: none can be learned from.
    """
    some = of_all_lengths(texts, lambda t: len(t.prompt.text) + len(t.completion))
    table = read_table(some, policy_tokenizer, control_tokens=control_tokens)
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
    shapes = lengths.shapes(hp.batch_size, at_once(models, hp), models.capabilities.reading)
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
                    "Data": lengths.table_bytes}


def _tokens(models: _Models, hp: ILQLSettings, lengths: Lengths) -> int:
    """Return how many tokens go through the model at once, of a whole batch."""
    return min(at_once(models, hp), hp.batch_size * lengths.rows[0][0])
