"""What every algorithm stands on: models in training, writing, scoring, comparing."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from workbench.feedback.reward_arguments import missing_column
from workbench.feedback.reward_model import Reward
from workbench.feedback.weighted_reward import models_of, score_all
from workbench.learning.batch import Batch, measure
from workbench.learning.footprint import Footprint
from workbench.learning.held_out import held_out
from workbench.learning.memory import RunMemory
from workbench.learning.metrics import COMPARED, HELD_OUT, PARTS
from workbench.learning.parts import COMPARE
from workbench.learning.reading_back import check_policy
from workbench.learning.traces import ALTERNATIVES
from workbench.learning.workload import Workload
from workbench.models import snapshot
from workbench.models.clock import Clock
from workbench.models.control import Control, CycleControl, NotFiniteError
from workbench.models.device import placement_on
from workbench.models.forward import read_chances, read_logprobs
from workbench.models.loading import LoadedPolicy
from workbench.models.optimizer import check_optimizer, make_optimizer
from workbench.models.phases import Phase
from workbench.models.policy import Policy, Steering
from workbench.models.policy_tokenizer import PolicyTokenizer, PromptError
from workbench.models.randomness import Stream, uniforms
from workbench.models.sampling import Completions, sample
from workbench.models.sharding import is_shared_out, shard_frozen
from workbench.models.sources import Report, silent
from workbench.models.trainable import Trainable
from workbench.records import (
    Completion,
    CycleResult,
    Exchange,
    PromptLike,
    with_equal_columns,
)
from workbench.settings import Settings, Value
from workbench.stop_strings import parse_stop_strings

S = TypeVar("S", bound=Settings)
T = TypeVar("T")
Arrays = Iterator[tuple[str, np.ndarray]]


class Trainer(ABC, Generic[S]):
    """Trains one policy, cycle by cycle, and compares what it writes. An algorithm says how
    (:meth:`run_cycle`); one that learns from what the policy itself has just written is an
    :class:`workbench.learning.on_policy.OnPolicyTrainer`.

    Holds what lives from cycle to cycle: the policy, the frozen start policy as reference, the
    optimiser and the position in the prompts. Everything random follows from the seed and the
    cycle number (:mod:`workbench.models.randomness`).
    """

    MADE_WITH: ClassVar[tuple[str, ...]] = ("precision", "lora_rank", "gradient_checkpointing")
    """The settings that decide how the models in training are made."""
    PREPARED_BY: ClassVar[tuple[str, ...]] = ()
    """The settings that decide what :meth:`prepare` makes, beside models and prompts."""
    PREPARATION: ClassVar[int] = 0
    """To be raised when something else comes of the same settings."""
    FOOTPRINT: ClassVar[type[Footprint[Any]]] = Footprint
    OF_REWARD: ClassVar[tuple[str, ...]] = ()
    """The :attr:`numbers` that say something of the reward: another one begins without them."""
    STEERED_BY: ClassVar[tuple[str, ...]] = ()
    """How the names in a snapshot begin of what the policy writes by beside its weights."""
    MAKES: ClassVar[str] = "policy"
    """What a snapshot holds and an export is; where it is no policy, the policy stays the start
    policy."""

    def __init__(self, policy: Policy, reward: Reward, policy_tokenizer: PolicyTokenizer) -> None:
        """Train ``policy``, whose tokenizer ``policy_tokenizer`` has."""
        self._trainable = Trainable(policy)
        self._footprint: Footprint[S] | None = None
        self.reward = reward
        self.policy_tokenizer = policy_tokenizer
        self.optimizer: torch.optim.Optimizer
        self.position = 0
        self.comparison_seed = 0
        self.between_cycles = True
        """False while the weights are on their way from one cycle's to the next's."""
        self.prompts: list[PromptLike] = []
        self.prompt_ids: list[list[int]] = []
        """The prompts as the policy reads them."""
        self.held_out: list[int] = []
        """Which of the prompts are never trained on."""
        self.trained_on: list[int] = []
        """Which of them are."""

    @classmethod
    def made_for(cls, policy: LoadedPolicy, reward: Reward) -> Self:
        """Return a trainer of loaded models.

        Raises:
            LoadError: a file beside the policy is damaged.
        """
        return cls(policy.policy, reward, policy.policy_tokenizer)

    @classmethod
    def steering(
        cls, arrays: Mapping[str, np.ndarray], settings: S, device: torch.device
    ) -> Steering | None:
        """Return how a policy writes that has the weights of a snapshot, of whose ``arrays`` at
        least those of :attr:`STEERED_BY` are given; None: by its own logits."""
        return None

    # -- what an algorithm may have of its own

    @abstractmethod
    def run_cycle(
        self, cycle: int, settings: S, compared: Sequence[int], control: CycleControl
    ) -> CycleResult:
        """Run cycle number ``cycle`` (from 1), complete the ``compared`` prompts with the updated
        policy, and return all of it.

        Raises:
            Interrupted: ``control`` asked to end; the policy may be part of the way.
            NotFiniteError: a score, a log-probability or a gradient is not a number.
            RewardError: a reward's Python file failed.
        """

    def learn_from(self, items: Sequence[Any]) -> None:
        """Learn from pairs, or scored completions, in the runs that begin from now on; of an
        algorithm whose declaration says so."""
        raise NotImplementedError

    def remark(self) -> str:
        """Return a sentence on what the run that has begun learns from, or nothing."""
        return ""

    def note(self) -> str:
        """Return a sentence on what may surprise about the models with this algorithm."""
        return ""

    @property
    def brings_values(self) -> bool:
        """Whether the policy brings a value head for this reward."""
        return False

    def episodes(self, settings: S) -> int:
        """Return how many completions :meth:`prepare` learns from; 0: nothing is to be done."""
        return 0

    def prepare(self, settings: S, control: Control) -> dict[str, float]:
        """Do what comes before the first cycle, and return the start metrics.

        Raises:
            Interrupted: ``control`` asked to end; :meth:`begin` again to try again.
            NotFiniteError: a score or a gradient is not a number.
            RewardError: a reward's Python file failed.
        """
        raise NotImplementedError

    def say_prepared(self, settings: S, metrics: Mapping[str, float]) -> str:
        """Return a sentence on the start metrics."""
        raise NotImplementedError

    def prepared(self) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Return what :meth:`prepare` has made, as arrays and numbers."""
        raise NotImplementedError

    def restore_prepared(
        self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float]
    ) -> None:
        """Begin with what :meth:`prepared` returned, after :meth:`begin`.

        Raises:
            ValueError: it is of another model.
        """
        raise NotImplementedError

    def controlled(self, old: S, new: S) -> dict[str, Value]:
        """Return the settings that the algorithm itself has moved, and that stay as they are when
        ``new`` settings no longer let it: they are journaled as its change."""
        return {}

    def needs(self, settings: S, work: Workload) -> RunMemory[S] | None:
        """Return what a run takes of memory; None where that is not known.

        Raises:
            PromptError: what it learns from cannot be read.
        """
        return None

    def measure(self) -> None:
        """Measure what the models cost, before they are trained."""
        self._footprint = self.FOOTPRINT(self.policy, self.reward)

    @property
    def footprint(self) -> Any:
        """What the models cost, as :meth:`measure` found it."""
        if self._footprint is None:
            self.measure()
        return self._footprint

    def has_values(self, settings: S) -> bool:
        """Whether the policy in training has a value head."""
        return False

    def token_kl(self, logprobs: Tensor, ref_logprobs: Tensor, settings: S) -> Tensor:
        """Return how far each token is from the start policy, (b, T): log π - log π_start."""
        return logprobs - ref_logprobs

    def _value_source(self, settings: S) -> Any:
        """Return the model that a separate value model begins as; None where there is none."""
        return None

    def _make_models(self, settings: S, value_source: Any) -> None:
        """Make what is to be trained."""
        self._trainable.begin(
            placement_on(self.policy.device, settings.precision), lora_rank=settings.lora_rank,
            value_source=value_source, gradient_checkpointing=settings.gradient_checkpointing,
            has_values=self.has_values(settings), sharding=settings.sharding)

    def _begun(self, settings: S, value_source: Any) -> None:
        """Make what else a run begins with, before its optimiser."""

    @property
    def learning(self) -> nn.Module:
        """What is trained: the policy, with what estimates values."""
        return self.policy

    def _learned(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return the parameters that are trained, and those that values alone learn."""
        return self.policy.trained()

    @property
    def policy(self) -> Policy:
        """The policy as it stands: in training, or the start policy before the first run."""
        return self._trainable.policy

    def reference(self) -> AbstractContextManager[Policy]:
        """Give the start policy, for as long as the context lasts."""
        return self._trainable.reference()

    @property
    def shares_out(self) -> bool:
        """Whether ranks share out what is trained."""
        return is_shared_out(self.policy)

    def begin(
        self, prompts: Sequence[str | PromptLike], settings: S,
        prompt_ids: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Return to the start policy with a fresh optimiser, for a new run on ``prompts``.

        Args:
            prompt_ids: the prompts as a run that goes on has read them: a chat template may write
                another text today.

        Raises:
            PromptError: a prompt cannot be used, a reward needs a column that they do not have, or
                none would be left to train on.
            UnsupportedModelError: the models cannot be used as ``settings`` asks.
        """
        asked = with_equal_columns(prompts)
        apart = held_out_prompts(len(asked), settings)
        if lacking := missing_column(self.reward, list(asked[0].columns) if asked else []):
            raise PromptError(lacking)
        if prompt_ids is None:
            encoded = self.policy_tokenizer.encode(
                asked, settings.response_length, control_tokens=settings.control_tokens == "tokens")
        else:
            encoded = list(map(list, prompt_ids))
            self.policy_tokenizer.check_lengths(asked, encoded, settings.response_length)
        # Or the last run's weights would live until the new ones have been made.
        self.__dict__.pop("optimizer", None)
        check_optimizer(settings.optimizer, self.policy.device)
        value_source = self._value_source(settings)
        self.prompts, self.prompt_ids = asked, encoded
        self._hold_out(apart)
        # Adapters begin with random numbers; they follow from the seed like all others.
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            self._make_models(settings, value_source)
        if self.shares_out:
            for model in models_of(self.reward):
                shard_frozen(model, self.policy.device)
        self._begun(settings, value_source)
        self.optimizer = self._make_optimizer(settings.optimizer)
        self.position = 0
        self.comparison_seed = settings.seed
        self.between_cycles = True

    def dismantle(self) -> None:
        """Let go of what was trained: the policy that this was made with is the start policy
        again, for another to train."""
        self.__dict__.pop("optimizer", None)
        self._trainable.dismantle()

    def apply(self, old: S, new: S) -> None:
        """Take over changes: what concerns the models' making has them made again with the same
        weights.

        Raises:
            PromptError: a longer response no longer fits a prompt, or none would be left to train
                on.
            ValueError: a structural hyperparameter changed: there are other weights then.
        """
        if new.response_length > old.response_length:
            self.policy_tokenizer.check_lengths(self.prompts, self.prompt_ids, new.response_length)
        if old.control_tokens != new.control_tokens:
            self.prompt_ids = self.policy_tokenizer.encode(
                self.prompts, new.response_length, control_tokens=new.control_tokens == "tokens")
        if old.held_out_prompts != new.held_out_prompts:
            self._hold_out(held_out_prompts(len(self.prompts), new))
        if any(getattr(old, name) != getattr(new, name) for name in self.MADE_WITH):
            arrays, numbers = self.snapshot()
            self.begin(self.prompts, new, self.prompt_ids)
            self.restore(arrays, numbers)

    def _hold_out(self, prompts: list[int]) -> None:
        self.held_out = prompts
        self.trained_on = sorted({*range(len(self.prompts))} - {*prompts})

    def snapshot(self) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Return all that the next cycle depends on, as arrays and numbers."""
        return dict(self._arrays()), self.numbers

    def write_snapshot(self, write: Callable[[Arrays], T] | None) -> T | None:
        """Return what ``write`` makes of the arrays of a snapshot, which come one after the other:
        of what ranks share out, never all are whole at once. None: another rank writes.

        Args:
            write: raises nothing: the others would wait.
        """
        failed: list[Exception] = []

        def gathered() -> Arrays:
            try:
                yield from self._arrays()
            except Exception as error:
                failed.append(error)  # whatever who writes makes of it
                raise

        arrays = gathered()
        written = None if write is None else write(arrays)
        for _ in arrays:  # the other ranks gather all, whatever became of the writing
            pass
        if failed:
            raise failed[0]
        return written

    def _arrays(self) -> Arrays:
        return snapshot.arrays(self.learning, self.optimizer)

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of a snapshot: all that is carried on beside weights and optimiser."""
        return {"position": self.position, "comparison_seed": self.comparison_seed}

    def restore(self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float]) -> None:
        """Go on from a snapshot, after :meth:`begin` with the settings of its run.

        Raises:
            ValueError: the snapshot belongs to another model.
        """
        snapshot.put_back(self.learning, self.optimizer, arrays)
        self.restore_numbers(numbers)

    def restore_numbers(self, numbers: Mapping[str, float]) -> None:
        """Take over the :attr:`numbers` of a snapshot alone."""
        self.position = int(numbers["position"])
        self.comparison_seed = int(numbers.get("comparison_seed", self.comparison_seed))

    def export(self, folder: str, report: Report = silent) -> None:
        """Save the policy and its tokenizer as transformers loads them; adapters are merged.

        Args:
            report: told between the parts of what takes long; what it raises ends it.

        Raises:
            OSError: the folder cannot be written.
        """
        self._trainable.save(folder)
        self.policy_tokenizer.tokenizer.save_pretrained(folder)

    def check_exported(self, folder: str, report: Report) -> str:
        """Load what :meth:`export` wrote as anybody would, and hold it against what is trained.

        Returns:
            one plain sentence on why that was not possible, or on what may surprise; else nothing.

        Raises:
            WrongExportError: it is not the same.
            LoadError: it cannot be loaded.
        """
        return check_policy(
            self.policy, self.policy_tokenizer, self.prompts, self.prompt_ids, folder, report)

    def compare(
        self, prompts: Sequence[int], settings: S, control: Control
    ) -> list[Completion]:
        """Complete the compared prompts with the present policy.

        The random numbers depend on the seed at the start of the run and the place in ``prompts``
        alone, so what differs between two cycles is what the policy learned.
        """
        return self._compare(prompts, settings, control).written

    def _compare(self, prompts: Sequence[int], settings: S, control: Control) -> Batch:
        control.step(Phase.COMPARING, 0, settings.response_length)
        noise = uniforms(
            self.comparison_seed, Stream.COMPARISON, 0, len(prompts), settings.response_length)
        completions = self._sample(prompts, noise, settings, control, Phase.COMPARING)
        return self._score(prompts, completions, settings, control, Phase.COMPARING)

    def _compare_after(
        self, cycle: int, compared: Sequence[int], settings: S, control: Control
    ) -> tuple[Batch, dict[str, float]]:
        """Complete the compared prompts after ``cycle``, and the held-out ones where it is their
        turn, and return the former with the metrics of both.

        Raises:
            Interrupted, RewardError: as :meth:`run_cycle`.
            NotFiniteError: what the cycle left is no policy any more.
        """
        comparison = self._compare(compared, settings, control)
        if not all(math.isfinite(written.kl) for written in comparison.written):
            raise NotFiniteError(
                f"Cycle {cycle} left a policy whose log-probabilities are not finite numbers; the "
                "cycle was dropped. Lower the learning rate.")
        scores = [w.score for w in comparison.written if math.isfinite(w.score)]
        found = {COMPARED: sum(scores) / len(scores)} if scores else {}
        return comparison, found | self.score_held_out(cycle, settings, control)

    def _end_cycle(
        self, cycle: int, compared: Sequence[int], settings: S, control: CycleControl,
        clock: Clock, metrics: dict[str, float], tokens: Tensor, of_written: Sequence[str] = (),
    ) -> list[Completion]:
        """Complete the compared prompts, and the held-out ones where it is their turn, and add to
        ``metrics`` what is measured of them and what the cycle took.

        Args:
            tokens: (b, T) bool, those that the cycle learned from.
            of_written: what is measured of the compared completions, beside what each part of the
                reward gives them, for a cycle that writes no others.

        Returns:
            the completions of the compared prompts.
        """
        comparison, found = self._compare_after(cycle, compared, settings, control)
        measured = measure(comparison) if of_written else {}
        metrics |= found | {name: measured[name] for name in of_written}
        metrics |= {name: x for name, x in measured.items() if name.startswith(PARTS)}
        clock.lap("seconds/comparison")
        control.tell(COMPARE.name, metrics)
        self.between_cycles = True
        metrics |= clock.laps | {
            "seconds": clock.total, "tokens_per_second": float(tokens.sum()) / clock.total}
        return comparison.written

    def score_held_out(self, cycle: int, settings: S, control: Control) -> dict[str, float]:
        """Return the metric of the held-out prompts after ``cycle``, completed by the present
        policy with the same random numbers each time; nothing where it is not their turn.

        Raises:
            Interrupted: ``control`` asked to end.
            RewardError: a reward's Python file failed.
        """
        if not self.held_out or cycle % settings.held_out_every:
            return {}
        noise = uniforms(self.comparison_seed, Stream.HELD_OUT, 0, len(self.held_out),
                         settings.response_length)
        scores: list[float] = []
        for first in range(0, len(self.held_out), settings.batch_size):  # as much as in phase 1
            part = slice(first, first + settings.batch_size)
            written = self._sample(
                self.held_out[part], noise[part], settings, control, Phase.COMPARING)
            exchanges = self._exchanges(self.held_out[part], written)
            scores += score_all(
                self.reward, exchanges, control=control, phase=Phase.COMPARING)[0].tolist()
        known = [score for score in scores if math.isfinite(score)]
        return {HELD_OUT: sum(known) / len(known)} if known else {}

    def worth(
        self, prompts: Sequence[PromptLike], prompt_ids: Sequence[Sequence[int]], noise: Tensor,
        settings: S, of_start: bool, control: Control,
    ) -> tuple[list[float], list[float]]:
        """Complete prompts, which need not be the run's, and return of each completion the score
        and by how much likelier the policy that wrote it finds it than the start policy does.

        Args:
            noise: (b, T) numbers in [0, 1), as for :func:`workbench.models.sampling.sample`.
            of_start: the start policy writes, not the present one.

        Raises:
            Interrupted, RewardError: as :meth:`run_cycle`.
        """
        self.policy_tokenizer.stop_strings = parse_stop_strings(settings.stop_strings)
        with self.reference() if of_start else nullcontext(self.policy) as policy:
            written = sample(
                policy, prompt_ids, noise, temperature=settings.temperature,
                eos_ids=self.policy_tokenizer.eos_ids, control=control,
                stopped=self.policy_tokenizer.stopped)
        exchanges = [self.policy_tokenizer.exchange(prompt, ids, response) for prompt, ids, response
                     in zip(prompts, written.prompts, written.responses(), strict=True)]
        scores = score_all(self.reward, exchanges, control=control)[0].tolist()
        if of_start:
            return scores, [0.0] * len(scores)
        with self.reference() as reference:
            known = read_logprobs(
                reference, written, temperature=settings.temperature,
                max_tokens=settings.micro_batch_tokens, control=control, phase=Phase.SCORING)
        return scores, (written.logprobs - known).sum(dim=1).tolist()

    def _sample(
        self, drawn: Sequence[int], noise: Tensor, settings: S, control: Control,
        phase: Phase,
    ) -> Completions:
        self.policy_tokenizer.stop_strings = parse_stop_strings(settings.stop_strings)
        return sample(
            self.policy,
            [self.prompt_ids[i] for i in drawn],
            noise,
            temperature=settings.temperature,
            eos_ids=self.policy_tokenizer.eos_ids,
            control=control,
            phase=phase,
            stopped=self.policy_tokenizer.stopped,
            likeliest=ALTERNATIVES if phase is Phase.SAMPLING and settings.keep_tokens else 0,
        )

    def _score(
        self, drawn: Sequence[int], completions: Completions, settings: S,
        control: Control, phase: Phase,
    ) -> Batch:
        """Score completions and measure how far they are from the reference."""
        exchanges = self._exchanges(drawn, completions)
        scores, parts, cuts = score_all(self.reward, exchanges, control=control, phase=phase)
        with self.reference() as reference:
            ref_logprobs, ref_likeliest = read_chances(
                reference, completions, temperature=settings.temperature,
                max_tokens=settings.micro_batch_tokens, control=control, phase=phase)
        kl = self.token_kl(completions.logprobs, ref_logprobs, settings)
        totals, lengths, ended = (
            x.tolist() for x in (kl.sum(dim=1), completions.lengths, completions.ended))
        written = [
            Completion(p, e.completion, score, total, length, end,
                    {name: part[row].item() for name, part in parts.items()}, cut)
            for row, (p, e, score, total, length, end, cut) in enumerate(zip(
                drawn, exchanges, scores.tolist(), totals, lengths, ended, cuts.tolist(),
                strict=True))]
        return Batch(
            drawn, completions, written, scores.to(self.policy.device), parts, ref_logprobs, kl,
            ref_likeliest)

    def _exchanges(self, drawn: Sequence[int], completions: Completions) -> list[Exchange]:
        return [
            self.policy_tokenizer.exchange(self.prompts[p], ids, response)
            for p, ids, response in zip(
                drawn, completions.prompts, completions.responses(), strict=True)]

    def _make_optimizer(self, kind: str) -> torch.optim.Optimizer:
        optimizer = make_optimizer(kind, *self._learned(), self.policy.device)
        # Until the first step of a cycle the weights are still those of the cycle before.
        optimizer.register_step_pre_hook(self._leave_cycle)
        return optimizer

    def _leave_cycle(self, *_: object) -> None:
        self.between_cycles = False


def held_out_prompts(count: int, settings: Settings) -> list[int]:
    """Return which of ``count`` prompts ``settings`` hold out.

    Raises:
        PromptError: none would be left to train on.
    """
    try:
        return held_out(count, settings.held_out_prompts)
    except ValueError as error:
        raise PromptError(str(error)) from None


def scheduled(settings: Settings, rate: float, cycle: int) -> float:
    """Return a learning rate in ``cycle`` (from 1): falling to 0 after the last, or constant."""
    if settings.lr_scheduler_type == "constant":
        return rate
    return rate * max(0.0, 1.0 - (cycle - 1) / settings.num_cycles)


AnyTrainer = Trainer[Any]
