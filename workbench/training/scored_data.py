"""Where scored completions come from that a run learns from: a file, chosen runs, or all that there
are of the same models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.algorithm import Algorithm
from workbench.algorithms import algorithm_of_run
from workbench.formatting import counted
from workbench.records import RunData, ScoredData
from workbench.store.judged import thumbs_of_marks
from workbench.store.prompt_readers import PromptFileError
from workbench.store.run_completions import scored_of_runs
from workbench.store.scored_files import ScoredFile, read_scored, say_scores
from workbench.training.commands import LoadModels
from workbench.training.pair_data import DataError, bundled_pairs, judged_set

if TYPE_CHECKING:  # a window wants its first paint before the database
    from workbench.store.queries import Queries
    from workbench.store.records import RunRecord
    from workbench.store.store import Store

_NAMED = 3


def scored_of_file(path: Path) -> tuple[ScoredData, ScoredFile]:
    """Return the scored completions of a file, and all that is to be said of it.

    Raises:
        DataError: it cannot be read, or holds none.
    """
    try:
        found = read_scored(path)
    except PromptFileError as error:
        raise DataError(str(error)) from error
    if not found.texts:
        raise DataError(f"{path.name} holds no scored completions ({found.summary.rstrip('.')}); "
                        f"the first: {found.problems[0]}")
    return ScoredData(path.name, found.texts, found.summary), found


def scored_from_runs(
    store: Queries, run_ids: Sequence[int], models: LoadModels | None = None
) -> ScoredData:
    """Return what chosen runs wrote, with its scores (:mod:`workbench.store.run_completions`).

    Args:
        models: what is to learn from it; None: whatever the first of the runs had.

    Raises:
        DataError: there is no such run, it is one of other models, or they have none.
    """
    runs: list[RunRecord] = []
    for run_id in dict.fromkeys(run_ids):
        run = store.run(run_id)
        if run is None:
            raise DataError(f"There is no run {run_id}; `ppo-workbench runs` lists them.")
        runs.append(run)
    for run in runs:
        models = models or models_of(run)
        if other := _says_otherwise(run, models):
            raise DataError(f"{run.name} cannot be learned from together with these models: {other}"
                            "; choose another run, or load its models.")
    runs = [run for run in runs if store.scored_rollout(run)] or runs
    named = ", ".join(run.name for run in runs[:_NAMED]) if len(runs) <= _NAMED else (
        f"{runs[0].name} and {len(runs) - 1:,} other runs")
    found = scored_of_runs(store, [run.id for run in runs])
    if not found.texts:
        raise DataError(
            f"{named} {'has' if len(runs) == 1 else 'have'} no scored completions to learn from "
            "(what a run wrote to be compared is never learned from); choose another run.")
    return ScoredData(f"Completions of {named}", found.texts, found.summary)


def scored_of_judgements(store: Store, name: str) -> ScoredData:
    """Return what was said of single completions: 1 for a thumb up, 0 for one down. Marks of pairs
    are thumbs on both sides (:func:`workbench.store.judged.thumbs_of_marks`).

    Raises:
        DataError: there is no such set, or it says nothing of any.
    """
    found = judged_set(store, name)
    single = store.judgements.thumbs(found.id)
    of_pairs = list(thumbs_of_marks(store.judgements.marked(found.id), preferences=True))
    texts = tuple(thumb.scored for thumb in (*single, *of_pairs))
    if not texts:
        raise DataError(f"“{name}” says of no completion whether it is good; mark pairs in Judge, "
                        "or give thumbs in Completions, first.")
    good = sum(text.score > 0 for text in texts)
    return ScoredData(name, texts, f"{counted(len(single), 'thumb')} and {len(of_pairs):,} of "
                      f"marked pairs: {good:,} good, {len(texts) - good:,} bad{say_scores(texts)}.")


def runs_of(store: Queries, models: LoadModels) -> list[RunRecord]:
    """Return the finished runs of the same models that have scored completions, the latest
    first."""
    return [run for run in runs_to_choose(store, models) if run.status == "finished"]


def runs_to_choose(store: Queries, models: LoadModels | None) -> Iterator[RunRecord]:
    """Give the runs of the same models that have trained a policy and have scored completions, the
    latest first.

    Args:
        models: what is to learn from them; None: not known, so of any.
    """
    return (run for run in store.runs()
            if run.cycles and not (models and _says_otherwise(run, models))
            and algorithm_of_run(run).makes == "policy" and store.scored_rollout(run))


def models_of(run: RunRecord) -> LoadModels | None:
    """Return the models of a run; None where they were not recorded."""
    return LoadModels.recorded(run.policy, run.models) if run.models else None


def data_for(
    algorithm: Algorithm, chosen: RunData | Sequence[int] | None, store: Queries,
    models: LoadModels,
) -> RunData | None:
    """Return what a new run of ``algorithm`` learns from beside its prompts; None: nothing.

    Args:
        chosen: that, or the numbers of the runs whose completions it is; None: what there is.
        models: those of the new run.

    Raises:
        DataError: there is none.
    """
    if not algorithm.learns_from:
        return None
    if isinstance(chosen, RunData):
        return chosen
    if algorithm.learns_from == "pairs":
        return bundled_pairs()
    if chosen:
        return scored_from_runs(store, chosen, models)
    runs = runs_of(store, models)
    if not runs:
        raise DataError(
            f"{algorithm.title} learns from what finished runs of the same models wrote, and there "
            "are none: train with PPO first, or choose a file of completions with scores.")
    return scored_from_runs(store, [run.id for run in runs], models)


def _says_otherwise(run: RunRecord, models: LoadModels | None) -> str:
    """Return in what a run's models are others; nothing: they are the same."""
    own = models_of(run)
    if own is None or models is None:
        return "its models are not known"
    if own.policy != models.policy or own.use_chat_template != models.use_chat_template:
        return "another policy wrote its completions"
    return "another reward scored its completions" if own.reward != models.reward else ""
