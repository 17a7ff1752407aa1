"""The PPO cycle: create completions, update the model, begin again with the updated model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from torch import Tensor

from workbench.feedback.reward_model import Reward
from workbench.feedback.weighted_reward import score_all
from workbench.learning.batch import Batch
from workbench.learning.on_policy import Learned, OnPolicyTrainer
from workbench.learning.traces import likeliest_before, token_traces
from workbench.learning.trainer import scheduled
from workbench.learning.workload import Workload
from workbench.models import snapshot
from workbench.models.clock import Clock
from workbench.models.control import Control, CycleControl
from workbench.models.forward import MicroBatch, read_chances, read_values
from workbench.models.loading import LoadedPolicy
from workbench.models.optimizer import set_rates
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.models.sampling import Completions
from workbench.models.trainable import find_value_source
from workbench.ppo.experience import Experience, Judged, judge
from workbench.ppo.footprint import ValueFootprint
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.kl import adapt_kl_coef, kl_estimate
from workbench.ppo.linear_values import Moments
from workbench.ppo.loss import PPOLoss, SequencePPOLoss
from workbench.ppo.memory import PPOMemory
from workbench.ppo.metrics import PRETRAINED
from workbench.ppo.objective import (
    probability_ratio,
    sequence_log_ratios,
    update_size,
)
from workbench.ppo.parts import ESTIMATE
from workbench.ppo.rewards import scale
from workbench.ppo.update import update
from workbench.ppo.value_epochs import ValueModelEpochs, head_epochs
from workbench.ppo.value_head import ValueHead, find_value_head, fits, put_in
from workbench.ppo.value_pretraining import (
    DECIDED_BY,
    pretrain,
    returns_of,
    say_foreseen,
    write_episodes,
)
from workbench.records import Draft, TokenTrace
from workbench.settings import Value

NO_VALUE_HEAD = (
    "It brings no value head for this reward, so that values, where a run learns them (PPO), begin "
    "at zero: a value coefficient c₁ (vf_coef) of 0.1 suits that, and Value pretraining gives "
    "values that mean something from the start.")


class PPOTrainer(OnPolicyTrainer[Hyperparameters]):
    """Proximal policy optimisation of one policy against one reward.

    Beside what every trainer has, it holds the value head, the KL coefficient and, for normalising,
    mean and deviation of the start policy's scores.
    """

    MADE_WITH = (*OnPolicyTrainer.MADE_WITH, "value_model", "advantage_estimator")
    FOOTPRINT = ValueFootprint
    OF_REWARD = ("score_mean", "score_std")
    PREPARED_BY = DECIDED_BY
    PREPARATION = 3

    def __init__(
        self, policy: Policy, reward: Reward, policy_tokenizer: PolicyTokenizer,
        value_head: ValueHead | None = None,
    ) -> None:
        """Train ``policy``; ``value_head`` is what its value head begins as, in place of zero."""
        super().__init__(policy, reward, policy_tokenizer)
        self._value_head = value_head
        self.kl_coef = 0.0
        self.score_mean, self.score_std = 0.0, 1.0
        self._scale_known = False

    @classmethod
    def made_for(cls, policy: LoadedPolicy, reward: Reward) -> Self:
        """Return a trainer of loaded models, with the value head in the policy's folder.

        Raises:
            LoadError: the file of the value head is damaged.
        """
        return cls(
            policy.policy, reward, policy.policy_tokenizer, find_value_head(policy.folder, reward)
        )

    @property
    def brings_values(self) -> bool:
        """Whether the policy brings a value head for this reward."""
        return self._value_head is not None

    def has_values(self, settings: Hyperparameters) -> bool:
        """Whether the policy in training has a value head."""
        return settings.has_values

    def group_size(self, settings: Hyperparameters) -> int:
        """Return how many completions of each prompt drawn a cycle writes."""
        return settings.completions_per_prompt

    def note(self) -> str:
        """Return a sentence where values begin at zero."""
        return "" if self.brings_values else NO_VALUE_HEAD

    # -- what a run begins with

    def _value_source(self, settings: Hyperparameters) -> Any:
        return find_value_source(
            settings.in_effect().value_model,
            self._trainable.start_model,
            self.reward,
            self.policy_tokenizer.tokenizer,
        )

    def _begun(self, settings: Hyperparameters, value_source: Any) -> None:
        head = self.policy.value_head
        # A separate value model that begins as a copy of the policy has the trunk it was made for.
        its_trunk = value_source is None or value_source is self._trainable.start_model
        if head is not None and self._value_head is not None and its_trunk and fits(
            self._value_head, settings, head.in_features
        ):
            put_in(self._value_head, head)
        self.kl_coef = settings.kl_coef
        self.score_mean, self.score_std = 0.0, 1.0
        self._scale_known = False

    def apply(self, old: Hyperparameters, new: Hyperparameters) -> None:
        """Take over changes, as every trainer does; a KL coefficient set by hand restarts the
        controller from it."""
        super().apply(old, new)
        if new.kl_coef != old.kl_coef or new.kl_controller == "fixed":
            self.kl_coef = new.kl_coef

    def controlled(self, old: Hyperparameters, new: Hyperparameters) -> dict[str, Value]:
        """Return the KL coefficient that the adaptive controller had reached, where it is switched
        off."""
        if old.kl_controller != "adaptive" or new.kl_controller != "fixed":
            return {}
        most = new.specs()["kl_coef"].maximum
        return {"kl_coef": min(self.kl_coef, most or self.kl_coef)}

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of a snapshot: all that is carried on beside weights and optimiser."""
        scale = {"score_mean": self.score_mean, "score_std": self.score_std}
        return super().numbers | {"kl_coef": self.kl_coef} | (scale if self._scale_known else {})

    def restore_numbers(self, numbers: Mapping[str, float]) -> None:
        """Take over the :attr:`numbers` of a snapshot alone."""
        super().restore_numbers(numbers)
        if "kl_coef" not in numbers:  # another algorithm's: the next batch gives the scale
            return
        self.kl_coef = numbers["kl_coef"]
        # Before the first cycle the scale is known only where values were prepared, and of another
        # reward it is not.
        self.score_mean, self.score_std = (
            numbers.get(name, kept) for name, kept in (("score_mean", 0.0), ("score_std", 1.0)))
        self._scale_known = "score_mean" in numbers and (
            self.position > 0 or (self.score_mean, self.score_std) != (0.0, 1.0))

    # -- before the first cycle

    def episodes(self, settings: Hyperparameters) -> int:
        """Return how many completions values are pretrained on."""
        return settings.in_effect().value_pretraining_episodes

    def prepare(self, settings: Hyperparameters, control: Control) -> dict[str, float]:
        """Let values learn from completions of the start policy
        (:mod:`workbench.ppo.value_pretraining`); the policy stays what it is."""
        return {PRETRAINED: self.pretrain_values(settings, control)}

    def say_prepared(self, settings: Hyperparameters, metrics: Mapping[str, float]) -> str:
        """Return a sentence on what pretrained values foresee."""
        return say_foreseen(settings.value_pretraining_episodes, metrics[PRETRAINED])

    def pretrain_values(self, hp: Hyperparameters, control: Control) -> float:
        """Let values learn from completions of the start policy, before the first cycle; the
        policy stays what it is.

        Returns:
            the explained variance of completions that were held out.

        Raises:
            Interrupted: ``control`` asked to end; :meth:`begin` again to try again.
            NotFiniteError: a score or a gradient is not a number.
            RewardError: a reward's Python file failed.
        """
        def write(drawn: Sequence[int], noise: Tensor, part: Control) -> tuple[Completions, Tensor]:
            drawn = [self.trained_on[i] for i in drawn]
            done = self._sample(drawn, noise, hp, part, Phase.PRETRAINING)
            return done, score_all(self.reward, self._exchanges(drawn, done), control=part,
                                   phase=Phase.PRETRAINING)[0]

        self.between_cycles = False
        completions, scores = write_episodes(write, len(self.trained_on), hp, control)
        scores = scores.to(self.policy.device)
        self.score_mean, self.score_std = scale(scores)
        self._scale_known = True
        mean, std = (self.score_mean, self.score_std) if hp.normalize_scores else (0.0, 1.0)
        explained = pretrain(
            self.policy, completions, returns_of(completions, scores, hp, mean=mean, std=std),
            hp, control)
        self.between_cycles = True
        return explained

    def prepared(self) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Return what :meth:`prepare` has made, as arrays and numbers."""
        return (snapshot.take_values(self.policy),
                {"score_mean": self.score_mean, "score_std": self.score_std})

    def restore_prepared(
        self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float]
    ) -> None:
        """Begin with what :meth:`prepared` returned, as every trainer."""
        snapshot.put_back_values(self.policy, arrays)
        self.score_mean, self.score_std = numbers["score_mean"], numbers["score_std"]
        self._scale_known = True

    # -- the cycle

    def learn(
        self, batch: Batch, cycle: int, settings: Hyperparameters, control: CycleControl,
        clock: Clock,
    ) -> Learned:
        """Turn scores into advantages and update policy and values by them."""
        settings = settings.in_effect()
        completions = batch.completions
        judged = self._judge(batch, cycle, settings)
        experience, metrics = judged.experience, dict(judged.metrics)
        clock.lap("seconds/scoring")
        known = self.columns(completions, batch) | {
            **judged.estimated, "advantage": experience.advantages}

        def traces(more: dict[str, Tensor], after: Tensor | None) -> list[TokenTrace]:
            likeliest = likeliest_before(completions, batch)
            return list(token_traces(
                batch.drawn, completions, known | more, self.policy_tokenizer,
                likeliest if after is None else likeliest | {"after": after}))

        control.tell(ESTIMATE.name, metrics)
        with clock.paused():
            control.part_done(ESTIMATE.name, lambda: Draft(batch.written, traces({}, None)))
        rate, value_rate = learning_rates(settings, cycle)
        set_rates(self.optimizer, rate, value_rate)
        kind = PPOLoss if settings.ratio_level == "token" else SequencePPOLoss
        loss = kind(experience, settings, self.kl_coef,
                    warming_up=cycle <= settings.critic_warmup_cycles)
        measured, ratios = update(
            self.policy, self.optimizer, loss, cycle=cycle, control=control,
            counted=completions.ended if settings.leave_out_cut else None)
        metrics |= measured
        self.between_cycles = False
        clock.lap("seconds/update")
        logprobs_after, likeliest_after = self._read_again(experience, cycle, settings, control)
        moved = update_size(
            logprobs_after, completions.logprobs, completions.mask, cliprange=settings.cliprange,
            cliprange_high=settings.cliprange_high)
        metrics |= {f"policy/{name}": number.item() for name, number in moved.items()}
        metrics |= {"lr": rate, "kl_coef": self.kl_coef}
        if settings.kl_controller == "adaptive":
            self.kl_coef = adapt_kl_coef(
                self.kl_coef, batch.kl.sum(dim=1).mean().item(), target=settings.kl_target,
                horizon=settings.kl_horizon, n=settings.batch_size)
        if settings.ratio_level == "sequence":
            logprobs_after = completions.logprobs + sequence_log_ratios(
                logprobs_after - completions.logprobs, completions.mask)
        ratio = probability_ratio(logprobs_after, completions.logprobs)
        return Learned(metrics, traces({"ratio": ratio}, likeliest_after)
                       if settings.keep_tokens else [], ratios)

    def columns(
        self, completions: Completions, batch: Batch | None
    ) -> dict[str, Tensor]:
        """Return the log-probability of each token and the ``entropy`` of the distribution it was
        drawn from; the start policy's log-probability once that has read it. :meth:`learn` adds the
        ``value`` of the state in which it was chosen, the ``reward`` that GAE saw, the ``return``,
        the ``advantage`` as it entered the loss, and the ``ratio`` after the cycle's last step."""
        known = {"logprob": completions.logprobs, "entropy": completions.entropies}
        return known if batch is None else known | {"ref_logprob": batch.ref_logprobs}

    def token_kl(
        self, logprobs: Tensor, ref_logprobs: Tensor, settings: Hyperparameters
    ) -> Tensor:
        """Return how far each token is from the start policy, (b, T), by the estimator set."""
        return kl_estimate(logprobs, ref_logprobs, settings.kl_estimator)

    def _read_again(
        self, experience: Experience, cycle: int, hp: Hyperparameters, control: Control
    ) -> tuple[Tensor, Tensor | None]:
        """Read the batch again after the policy's last step and run the value epochs: of the head
        on the states that were read, or of the value model.

        Returns:
            log-probabilities by the updated policy, of the tokens (b, T) and of those that were
            likeliest before (b, T, k).
        """
        moments = None
        if hp.num_value_epochs and self.policy.value_trunk is None:
            moments = Moments(self.policy.value_width, self.policy.device)

        def gather(states: Tensor, batch: MicroBatch) -> None:
            if moments is not None:
                moments.add(states, experience.returns[batch.row, batch.column])

        found = read_chances(
            self.policy, experience.completions, temperature=hp.temperature,
            max_tokens=hp.micro_batch_tokens, control=control, phase=Phase.READING, show=gather)
        if moments is not None:
            moments.sum_ranks()
            head_epochs(self.policy, self.optimizer, moments, hp)
        elif hp.num_value_epochs:
            ValueModelEpochs(self.policy, experience.completions, experience.returns, hp).run(
                self.optimizer, cycle, control)
        return found

    def _sample(
        self, drawn: Sequence[int], noise: Tensor, settings: Hyperparameters, control: Control,
        phase: Phase,
    ) -> Completions:
        completions = super()._sample(drawn, noise, settings, control, phase)
        if self.policy.value_trunk is not None and phase is Phase.SAMPLING:
            values = read_values(
                self.policy, completions, max_tokens=settings.micro_batch_tokens, control=control,
                phase=phase)
            completions = replace(completions, values=values)
        return completions

    def _judge(self, batch: Batch, cycle: int, hp: Hyperparameters) -> Judged:
        """Turn scores into advantages, and measure them."""
        if not self._scale_known:
            # The first batch is the start policy's own; normalising may be switched on later.
            self.score_mean, self.score_std = scale(batch.scores)
            self._scale_known = True
        return judge(batch, hp, kl_coef=self.kl_coef,
                     score_mean=self.score_mean, score_std=self.score_std)

    def needs(self, settings: Hyperparameters, work: Workload) -> PPOMemory:
        """Return what a run takes of memory."""
        return PPOMemory(self.footprint, work)


def learning_rates(hp: Hyperparameters, cycle: int) -> tuple[float, float]:
    """Return the learning rates of policy and values in ``cycle`` (from 1)."""
    return (scheduled(hp, hp.learning_rate, cycle),
            scheduled(hp, hp.value_learning_rate or hp.learning_rate, cycle))
