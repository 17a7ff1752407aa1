"""Loading a reward from its parts; a Python file or a server only when the person has agreed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from workbench.feedback.http_reward import HTTPReward
from workbench.feedback.loading import load_reward
from workbench.feedback.python_reward import PythonReward
from workbench.feedback.reward_file import RewardFile, read_reward_file
from workbench.feedback.reward_model import Reward, RewardModel
from workbench.feedback.reward_server import check_url
from workbench.feedback.weighted_reward import WeightedPart, WeightedSum
from workbench.models.device import Placement
from workbench.models.fingerprints import revision
from workbench.models.sources import LoadError, Report, check_on_disk
from workbench.store.folders import why_not_kept
from workbench.training.consent import Trusted, needs_consent, needs_consent_to_send
from workbench.training.events import ModelFacts, Untrusted, UntrustedServer
from workbench.training.model_facts import facts_of
from workbench.training.names import source_name
from workbench.training.reward_parts import RewardPart, describe, part_names


class UntrustedError(LoadError):
    """The person has to agree to ``untrusted`` first."""

    def __init__(self, untrusted: Untrusted) -> None:
        if isinstance(untrusted, UntrustedServer):
            said = (f"{untrusted.path} was not asked: prompts and completions would be sent there, "
                    "and you have not agreed to that yet.")
        else:
            since = "has changed since its run began and " if untrusted.changed else ""
            said = (f"{Path(untrusted.path).name} {since}was not run: it is a program, and you "
                    "have not agreed to run it yet.")
        super().__init__(f"{said} Load again to be asked.")
        self.untrusted = untrusted


def check_part(parts: tuple[RewardPart, ...], number: int, trusted: Trusted) -> None:
    """Make sure that a Python file may be run, a server be asked, or a folder holds a model, before
    anything is loaded.

    Raises:
        LoadError: the file or folder cannot be read; ``part`` is ``number``.
        UntrustedError: the person has not agreed to the file or server.
    """
    part = parts[number]
    try:
        if problem := why_not_kept(part.source):
            raise LoadError(problem)
        if part.is_url:
            _check_agreed(part, trusted)
        elif part.is_file:
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
        UntrustedError: a Python file was not run, or a server not asked.
    """
    if not any(part.weight for part in parts):
        raise LoadError("The reward has no part with a weight other than 0; give one a weight."
                        if parts else "No reward was named; add one.")
    loaded: list[tuple[Reward, ModelFacts]] = []
    for number, part in enumerate(parts):
        def told(text: str, share: float, done: int = number) -> None:
            report(text, (done + share) / len(parts))
        try:
            loaded.append(_load_server(part, told, trusted) if part.is_url
                          else _load_file(part, told, trusted) if part.is_file
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
    weights = [part.weight for part in parts]
    names = part_names(weights, [_metric_name(facts) for _, facts in loaded])
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


def _load_server(part: RewardPart, report: Report, trusted: Trusted) -> tuple[Reward, ModelFacts]:
    _check_agreed(part, trusted)
    reward = HTTPReward(part.source)
    asking = partial(report, f"Asking {reward.name}", 0.5)
    asking()
    reward.try_out(asking)
    return reward, ModelFacts(
        source=part.source, name=source_name(part.source), architecture="Server", parameters=0,
        vocabulary=0, dtype="", device="", tokenizer="",
        summary="It is sent every prompt and completion, and gives the scores.")


def _check_agreed(part: RewardPart, trusted: Trusted) -> None:
    check_url(part.source)
    if question := needs_consent_to_send(part, trusted):
        raise UntrustedError(question)


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
