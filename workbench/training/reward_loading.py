"""Loading a reward from its parts; a Python file only when the person has agreed to run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from workbench.feedback.loading import load_reward
from workbench.feedback.python_reward import PythonReward
from workbench.feedback.reward_file import RewardFile, read_reward_file
from workbench.feedback.reward_model import Reward, RewardModel
from workbench.feedback.weighted_reward import WeightedPart, WeightedSum
from workbench.models.device import Placement
from workbench.models.fingerprints import revision
from workbench.models.sources import LoadError, Report, check_on_disk
from workbench.store.folders import why_not_kept
from workbench.training.consent import Trusted, needs_consent
from workbench.training.events import ModelFacts, UntrustedFile
from workbench.training.model_facts import facts_of
from workbench.training.names import source_name
from workbench.training.reward_parts import RewardPart, describe, unique_names


class UntrustedError(LoadError):
    """A Python file must not be run before the person agrees."""

    def __init__(self, file: UntrustedFile) -> None:
        since = "has changed since its run began and " if file.changed else ""
        super().__init__(f"{Path(file.path).name} {since}was not run: it is a program, and you "
                         "have not agreed to run it yet. Load again to be asked.")
        self.file = file


def check_part(parts: tuple[RewardPart, ...], number: int, trusted: Trusted) -> None:
    """Make sure that a Python file may be run or a folder holds a model, before anything is loaded.

    Raises:
        LoadError: the file or folder cannot be read; ``part`` is ``number``.
        UntrustedError: the person has not agreed to the file.
    """
    part = parts[number]
    try:
        if problem := why_not_kept(part.source):
            raise LoadError(problem)
        if part.is_file:
            _read_trusted(part, trusted)
        else:
            check_on_disk(part.source, policy=False)
    except LoadError as error:
        error.part = number
        raise


@dataclass(frozen=True, slots=True)
class LoadedRewards:
    """A reward ready to score, what is said of it, the content hash of each Python file, and the
    commit of each classifier, where it came from the hub."""

    reward: Reward
    facts: ModelFacts
    digests: dict[str, str]
    revisions: dict[str, str | None]


def load_rewards(
    parts: tuple[RewardPart, ...], placement: Placement, report: Report, trusted: Trusted,
    failed: Callable[[LoadError], None],
) -> LoadedRewards | None:
    """Load every part of a reward. A single part of weight 1 is the reward itself. None: parts of
    it cannot be loaded.

    Args:
        failed: told why each of them cannot, in one plain sentence; ``part`` says which it is.

    Raises:
        LoadError: there is nothing to load.
        UntrustedError: a Python file was not run.
    """
    if not any(part.weight for part in parts):
        raise LoadError("The reward has no part with a weight other than 0; give one a weight."
                        if parts else "No reward was named; add one.")
    loaded: list[tuple[Reward, ModelFacts]] = []
    for number, part in enumerate(parts):
        def told(text: str, share: float, done: int = number) -> None:
            report(text, (done + share) / len(parts))
        try:
            loaded.append(_load_file(part, told, trusted) if part.is_file
                          else _load_classifier(part, placement, told))
        except LoadError as error:
            error.part = number
            if isinstance(error, UntrustedError):
                raise
            failed(error)
    if len(loaded) < len(parts):
        return None
    digests = {r.file.path: r.file.sha256 for r, _ in loaded if isinstance(r, PythonReward)}
    revisions = {facts.source: revision(r.model) for r, facts in loaded
                 if isinstance(r, RewardModel)}
    if len(parts) == 1 and parts[0].weight == 1:
        return LoadedRewards(*loaded[0], digests, revisions)
    names = unique_names([_metric_name(facts) for _, facts in loaded])
    weights = [part.weight for part in parts]
    total = WeightedSum([WeightedPart(name, weight, reward) for name, weight, (reward, _)
                         in zip(names, weights, loaded, strict=True)])
    text = describe(weights, names)
    return LoadedRewards(total, ModelFacts(
        source=text, name=text, architecture="Weighted sum",
        parameters=sum(facts.parameters for _, facts in loaded), vocabulary=0, dtype="",
        device=str(placement.device), tokenizer="",
        parts=tuple(facts for _, facts in loaded)), digests, revisions)


def changed_files(digests: dict[str, str]) -> list[str]:
    """Return the names of the Python files that now hold something else."""
    changed = []
    for path, digest in digests.items():
        try:
            same = read_reward_file(path).sha256 == digest
        except LoadError:
            same = False
        if not same:
            changed.append(Path(path).name)
    return changed


def _load_file(
    part: RewardPart, report: Report, trusted: Trusted
) -> tuple[Reward, ModelFacts]:
    file = _read_trusted(part, trusted)
    running = partial(report, f"Running {file.name}", 0.5)
    running()
    reward = PythonReward(file, running)
    return reward, ModelFacts(
        source=part.source, name=source_name(part.source), architecture="Python file", parameters=0,
        vocabulary=0, dtype="", device="", tokenizer="", sha256=file.sha256,
        summary=reward.summary)


def _read_trusted(part: RewardPart, trusted: Trusted) -> RewardFile:
    file = read_reward_file(part.source)
    if question := needs_consent(part, file, trusted):
        raise UntrustedError(question)
    return file


def _load_classifier(
    part: RewardPart, placement: Placement, report: Report
) -> tuple[Reward, ModelFacts]:
    loaded = load_reward(part.source, placement, report, label=part.label, reads=part.reads,
                         end_token=part.end_token)
    reward = loaded.reward
    return reward, ModelFacts(
        labels=loaded.labels, label=reward.label, notes=loaded.notes, reads=reward.reader.reads,
        end_token=part.end_token, limit=reward.max_length, **facts_of(
        loaded.source, reward.model, reward.tokenizer, reward.placement.dtype_name,
        reward.placement.device))


def _metric_name(facts: ModelFacts) -> str:
    if len(facts.labels) > 1 and facts.label is not None:
        return f"{facts.name} {facts.labels[facts.label]}"
    return facts.name
