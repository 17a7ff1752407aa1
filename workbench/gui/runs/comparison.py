"""What differs between the settings of several runs, as a table of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.algorithms import algorithm_of_run, find_metric, headline_of
from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.formatting import format_value
from workbench.gui.metrics.metric_texts import in_sentence
from workbench.learning.metrics import COMPARED, KL
from workbench.settings import Spec
from workbench.store.records import ChangeRecord, RunRecord, Series
from workbench.store.store import Store
from workbench.training.names import reward_of, source_name

_BUNDLED = (str(BUNDLED_POLICY), str(BUNDLED_REWARD))


@dataclass(frozen=True, slots=True)
class Row:
    """One setting or result, with a cell for each run."""

    title: str
    cells: tuple[str, ...]
    result: bool = False


def compare(store: Store, runs: Sequence[RunRecord]) -> list[Row]:
    """Return the settings that differ, then the results of each run. A setting that the algorithm
    of one of them lacks differs where another has it at something else than the default."""
    columns = [_settings(store, run) for run in runs]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = []
    for name in names:
        cells = tuple(column.get(name, "–") for column in columns)
        known = {column[name] for column in columns if name in column}
        spec = next((s for run in runs for s in _specs(run).values() if s.label == name), None)
        plain = spec is not None and known == {format_value(spec, spec.default)}
        if len(set(cells)) > 1 and not plain:
            rows.append(Row(name, cells))
    # Runs of several algorithms are held against one another by what all of them measure.
    headline = headline_of(runs) or COMPARED
    results = [_results(store, run, headline) for run in runs]
    return rows + [Row(name, tuple(r[name] for r in results), result=True) for name in results[0]]


def as_tsv(runs: Sequence[RunRecord], rows: Sequence[Row]) -> str:
    """Return the table for a spreadsheet."""
    return "".join("\t".join(cells) + "\n" for cells in _lines(runs, rows))


def as_markdown(runs: Sequence[RunRecord], rows: Sequence[Row]) -> str:
    """Return the table as Markdown."""
    head, *rest = ([cell.replace("|", "\\|") for cell in cells] for cells in _lines(runs, rows))
    lines = [head, ["---"] * len(head), *rest]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _lines(runs: Sequence[RunRecord], rows: Sequence[Row]) -> list[list[str]]:
    return [["Setting", *(run.name for run in runs)], *([r.title, *r.cells] for r in rows)]


def _settings(store: Store, run: RunRecord) -> dict[str, str]:
    """Return everything that decided a run, by title."""
    policy: Any = run.models.get("policy") or {}
    parts: Any = run.models.get("reward") or []
    prompts = store.run_prompts(run.id)
    algorithm = algorithm_of_run(run)
    found = {
        "Algorithm": algorithm.title,
        "Forked from": _origin(store, run),
        "Policy": _source(run.policy),
        "Reward": reward_of(run) if len(parts) > 1 else _source(run.reward),
        "Score output": ", ".join(str(p["label"]) for p in parts if p["label"] is not None) or "–",
        "Reward reads": ", ".join(str(p.get("reads", "auto")) + (
            ", end token" if p.get("end_token") else "") for p in parts) or "–",
        "Chat template": "on" if run.models.get("use_chat_template") else "off",
        "Device": " in ".join(str(policy[k]) for k in ("device", "dtype") if policy.get(k)) or "–",
        "Prompts": _prompts([p.text for p in prompts]),
    }
    changes: dict[str, list[ChangeRecord]] = {}
    for change in store.changes(run.id):
        changes.setdefault(change.name, []).append(change)
    for name, spec in _specs(run).items():
        value = run.hyperparameters.get(name, spec.default)
        found[spec.label] = format_value(spec, value) + "".join(
            f" → {format_value(spec, c.new)} at cycle {c.cycle}" for c in changes.get(name, ()))
    return found


def _source(source: str) -> str:
    """Return where a model comes from, which tells those of one name apart."""
    return source_name(source) if source in _BUNDLED else source


def _specs(run: RunRecord) -> dict[str, Spec]:
    return algorithm_of_run(run).settings.specs()


def _origin(store: Store, run: RunRecord) -> str:
    parent = store.run(run.parent) if run.parent is not None else None
    return f"{parent.name}, cycle {run.parent_cycle}" if parent else "–"


def _prompts(texts: Sequence[str]) -> str:
    """Tell prompt sets apart by their size and how they begin."""
    if not texts:
        return "none"
    first = texts[0] if len(texts[0]) <= 24 else texts[0][:23] + "…"
    return f"{len(texts)}, from “{first}” on"


def _results(store: Store, run: RunRecord, headline: str) -> dict[str, str]:
    metrics = store.metrics(run.id)
    scores = metrics.get(headline, Series())
    finite = [(v, c) for v, c in zip(scores.values, scores.cycles, strict=True) if math.isfinite(v)]
    best = max(finite, default=None)
    kl = metrics.get(KL, Series()).values
    reward, distance = (find_metric(name) for name in (headline, KL))
    return {
        "Cycles run": str(run.cycles),
        f"Best {in_sentence(reward.label)}":
            f"{reward.text(best[0])} at cycle {best[1]}" if best else "–",
        f"Last {in_sentence(reward.label)}":
            reward.text(scores.values[-1]) if scores.values else "–",
        f"Last {distance.label}": distance.in_full(kl[-1], "nats") if kl else "–",
    }
