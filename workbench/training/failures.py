"""What went wrong, as one plain sentence that says what to do."""

from __future__ import annotations

import traceback

from workbench.feedback.reward_text import RewardError
from workbench.known_models import install_command
from workbench.models.control import NotFiniteError
from workbench.models.out_of_memory import is_out_of_memory
from workbench.models.phases import Phase
from workbench.models.policy import UnsupportedModelError
from workbench.models.policy_tokenizer import PromptError
from workbench.models.ranks import RankError
from workbench.models.sources import LoadError
from workbench.settings import Settings
from workbench.store.checkpoints import CheckpointError
from workbench.store.home import StoreError
from workbench.training.commands import Command, LoadModels
from workbench.training.events import LoadingFailed
from workbench.training.pair_data import DataError
from workbench.training.reward_loading import UntrustedError

_EXPECTED = (CheckpointError, DataError, LoadError, NotFiniteError, PromptError, RankError,
             RewardError, StoreError, UnsupportedModelError)


def is_expected(error: BaseException) -> bool:
    """Whether what is said of ``error`` says all: no log needs its traceback."""
    return isinstance(error, _EXPECTED) or is_out_of_memory(error)


def explain(error: BaseException, hp: Settings | None = None) -> tuple[str, str]:
    """Return ``(sentence, details)``. ``details`` is text: a kept traceback would pin tensors. It
    is empty where there is nothing behind the sentence."""
    if isinstance(error, RewardError):
        return str(error), error.details
    details = "".join(traceback.format_exception(error))
    if is_out_of_memory(error):
        return _out_of_memory(hp), details
    if is_expected(error):
        return str(error), details if error.__cause__ is not None else ""
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return f"The cycle failed: {reason}. The details can be copied for a bug report.", details


def loading_failed(error: Exception, which: str, again: Command) -> LoadingFailed:
    """Say why ``which`` was not loaded; ``again`` is what to send when the person has agreed."""
    if not isinstance(error, LoadError):
        sentence, details = explain(error)
        return LoadingFailed(sentence.replace(
            "The cycle failed", f"The {which} could not be loaded"), which, details,
            unexpected=not is_expected(error))
    untrusted, sentence, package = None, str(error), ""
    if error.package and isinstance(again, LoadModels):
        # Not for a run that goes on: the package's weights are not those it began with.
        package = error.package
        sentence += f" It also comes as a package: {install_command(package)}."
    if isinstance(error, UntrustedError):
        untrusted = error.untrusted
    return LoadingFailed(
        sentence, which, explain(error)[1], labels=error.labels, part=error.part,
        untrusted=untrusted, again=again if untrusted else None, package=package)


def _out_of_memory(hp: Settings | None) -> str:
    if hp is None:
        return "The models do not fit into memory; choose smaller ones."
    lighter = "" if hp.lora_rank else "switch on LoRA, or "
    return f"The models do not fit into memory as they are to be trained; {lighter}choose " \
           "smaller ones."


def ran_out(phase: Phase, cycle: int, advice: str, process: str = "") -> str:
    """Say that memory ran out after ``cycle`` cycles, while ``phase`` was on, and in which process
    of several."""
    kept = f"the run is kept as it was after cycle {cycle}" if cycle else "the run is kept"
    what = phase.value[phase.value.find(":") + 1 :].strip()
    where = f" in {process}" if process else ""
    return f"Memory ran out{where} while {what[0].lower()}{what[1:]}; {kept}. {advice}"
