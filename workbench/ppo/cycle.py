"""The PPO cycle: create completions, update the model, begin again with the updated model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from workbench.feedback.reward_arguments import missing_column
from workbench.feedback.reward_model import Reward
from workbench.feedback.weighted_reward import score_all
from workbench.models import snapshot
from workbench.models.clock import Clock
from workbench.models.control import Control, NotFiniteError
from workbench.models.device import find_placement
from workbench.models.forward import MicroBatch, read_logprobs, read_values
from workbench.models.optimizer import check_optimizer, make_optimizer, set_rates
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.randomness import Stream, prompt_at, uniforms
from workbench.models.sampling import Completions, sample
from workbench.models.scribe import PromptError, Scribe
from workbench.models.trainable import Trainable, find_value_source
from workbench.ppo.advantages import generalized_advantages, whiten, whitening_factor
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.kl import adapt_kl_coef, kl_estimate
from workbench.ppo.linear_values import Moments
from workbench.ppo.metrics import part_metric
from workbench.ppo.objective import explained_variance, masked_mean, update_size
from workbench.ppo.rewards import scale, shape_scores, token_rewards
from workbench.ppo.traces import TokenTrace, trace
from workbench.ppo.update import Experience, update
from workbench.ppo.value_epochs import head_epochs, model_epochs
from workbench.ppo.value_head import ValueHead, fits, put_in
from workbench.ppo.value_pretraining import pretrain, returns_of, write_episodes
from workbench.records import Exchange, PromptLike, with_equal_columns
from workbench.stop_strings import parse_stop_strings

LOG_UNLIKELY = math.log(0.001)
"""A token whose log-probability is lower the start policy would almost never write."""
_LEAST_SPREAD = 0.2
"""Where completions differ less, as a share of how much the start policy's did, what returns still
differ by is the value head's own error: there is nothing for it to explain."""
_MADE_WITH = ("precision", "lora_rank", "value_model", "gradient_checkpointing")


@dataclass(frozen=True, slots=True)
class Written:
    """One completion as a person reads it. ``prompt`` is its position among the prompts;
    ``parts`` has what each part of a weighted sum gave; ``cut`` tokens at the beginning were too
    many for the reward model."""

    prompt: int
    text: str
    score: float
    kl: float
    length: int
    ended: bool
    parts: Mapping[str, float] = field(default_factory=dict)
    cut: int = 0


@dataclass(frozen=True, slots=True)
class CycleResult:
    """What a finished cycle leaves to be recorded."""

    metrics: Mapping[str, float]
    rollout: list[Written]
    comparison: list[Written]
    traces: list[TokenTrace]


@dataclass(frozen=True, slots=True)
class _Scored:
    """A batch of completions with everything that is known about them."""

    completions: Completions
    written: list[Written]
    scores: Tensor
    parts: Mapping[str, Tensor]
    ref_logprobs: Tensor
    kl: Tensor


class PPO:
    """Proximal policy optimisation of one policy against one reward.

    Holds what lives from cycle to cycle: the policy with its value head, the frozen start policy
    as reference, the optimiser, the KL coefficient and the position in the prompts. Everything
    random follows from the seed and the cycle number (:mod:`workbench.models.randomness`).
    """

    def __init__(
        self, policy: Policy, reward: Reward, scribe: Scribe,
        value_head: ValueHead | None = None,
    ) -> None:
        """Train ``policy``; ``value_head`` is what its value head begins as, in place of zero."""
        self._trainable = Trainable(policy)
        self._value_head = value_head
        self.reward = reward
        self.scribe = scribe
        self.optimizer: torch.optim.Optimizer
        self.kl_coef = 0.0
        self.score_mean, self.score_std = 0.0, 1.0
        self._scale_known = False
        self.position = 0
        self.comparison_seed = 0
        self.between_cycles = True
        """False while the weights are on their way from one cycle's to the next's."""
        self.prompts: list[PromptLike] = []
        self.prompt_ids: list[list[int]] = []
        """The prompts as the policy reads them."""

    @property
    def policy(self) -> Policy:
        """The policy as it stands: in training, or the start policy before the first run."""
        return self._trainable.policy

    @property
    def brings_values(self) -> bool:
        """Whether the policy brings a value head for this reward."""
        return self._value_head is not None

    def reference(self) -> AbstractContextManager[Policy]:
        """Give the start policy, for as long as the context lasts."""
        return self._trainable.reference()

    def begin(
        self, prompts: Sequence[str | PromptLike], hp: Hyperparameters,
        prompt_ids: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Return to the start policy with a fresh optimiser, for a new run on ``prompts``.

        Args:
            prompt_ids: the prompts as a run that goes on has read them: a chat template may write
                another text today.

        Raises:
            PromptError: a prompt cannot be used, or a reward needs a column that they do not have.
            UnsupportedModelError: the models cannot be used as ``hp`` asks.
        """
        asked = with_equal_columns(prompts)
        if lacking := missing_column(self.reward, list(asked[0].columns) if asked else []):
            raise PromptError(lacking)
        if prompt_ids is None:
            encoded = self.scribe.encode(
                asked, hp.response_length, control_tokens=hp.control_tokens == "tokens")
        else:
            encoded = list(map(list, prompt_ids))
            self.scribe.check_lengths(asked, encoded, hp.response_length)
        # Or the last run's weights would live until the new ones have been made.
        self.__dict__.pop("optimizer", None)
        check_optimizer(hp.optimizer, self.policy.device)
        value_source = find_value_source(
            hp.value_model, self._trainable.start_model, self.reward, self.scribe.tokenizer)
        self.prompts, self.prompt_ids = asked, encoded
        # Adapters begin with random numbers; they follow from the seed like all others.
        with torch.random.fork_rng():
            torch.manual_seed(hp.seed)
            self._trainable.begin(
                find_placement(hp.precision), lora_rank=hp.lora_rank, value_source=value_source,
                gradient_checkpointing=hp.gradient_checkpointing)
        head = self.policy.value_head
        # A separate value model that begins as a copy of the policy has the trunk it was made for.
        its_trunk = value_source is None or value_source is self._trainable.start_model
        if self._value_head is not None and its_trunk and fits(
            self._value_head, hp, head.in_features
        ):
            put_in(self._value_head, head)
        self.optimizer = self._make_optimizer(hp.optimizer)
        self.kl_coef = hp.kl_coef
        self.score_mean, self.score_std = 0.0, 1.0
        self._scale_known = False
        self.position = 0
        self.comparison_seed = hp.seed
        self.between_cycles = True

    def dismantle(self) -> None:
        """Let go of what was trained: the policy that this was made with is the start policy
        again, for another to train."""
        self.__dict__.pop("optimizer", None)
        self._trainable.dismantle()

    def apply(self, old: Hyperparameters, new: Hyperparameters) -> None:
        """Take over changes: a KL coefficient set by hand restarts the controller from it, and
        what concerns the models' making has them made again with the same weights.

        Raises:
            PromptError: a longer response no longer fits a prompt.
            ValueError: a structural hyperparameter changed: there are other weights then.
        """
        if new.response_length > old.response_length:
            self.scribe.check_lengths(self.prompts, self.prompt_ids, new.response_length)
        if old.control_tokens != new.control_tokens:
            self.prompt_ids = self.scribe.encode(
                self.prompts, new.response_length, control_tokens=new.control_tokens == "tokens")
        if any(getattr(old, name) != getattr(new, name) for name in _MADE_WITH):
            arrays, numbers = self.snapshot()
            self.begin(self.prompts, new, self.prompt_ids)
            self.restore(arrays, numbers)
        if new.kl_coef != old.kl_coef or new.kl_controller == "fixed":
            self.kl_coef = new.kl_coef

    def snapshot(self) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Return all that the next cycle depends on, as arrays and numbers."""
        return snapshot.take(self.policy, self.optimizer), self.numbers

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of a snapshot: all that is carried on beside weights and optimiser."""
        return {"kl_coef": self.kl_coef, "score_mean": self.score_mean,
                "score_std": self.score_std, "position": self.position,
                "comparison_seed": self.comparison_seed}

    def restore(self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float]) -> None:
        """Go on from a snapshot, after :meth:`begin` with the settings of its run.

        Raises:
            ValueError: the snapshot belongs to another model.
        """
        snapshot.put_back(self.policy, self.optimizer, arrays)
        self.kl_coef = numbers["kl_coef"]
        self.score_mean, self.score_std = numbers["score_mean"], numbers["score_std"]
        self.position = int(numbers["position"])
        self.comparison_seed = int(numbers.get("comparison_seed", self.comparison_seed))

    def export(self, folder: str) -> None:
        """Save the policy and its tokenizer as transformers loads them; adapters are merged.

        Raises:
            OSError: the folder cannot be written.
        """
        self._trainable.save(folder)
        self.scribe.tokenizer.save_pretrained(folder)

    def pretrain_values(self, hp: Hyperparameters, control: Control) -> float:
        """Let values learn from completions of the start policy, before the first cycle
        (:mod:`workbench.ppo.value_pretraining`); the policy stays what it is.

        Returns:
            the explained variance of completions that were held out.

        Raises:
            Interrupted: ``control`` asked to end; :meth:`begin` again to try again.
            NotFiniteError: a score or a gradient is not a number.
            RewardError: a reward's Python file failed.
        """
        def write(drawn: Sequence[int], noise: Tensor, part: Control) -> tuple[Completions, Tensor]:
            done = self._sample(drawn, noise, hp, part, Phase.PRETRAINING)
            return done, score_all(self.reward, self._exchanges(drawn, done), control=part,
                                   phase=Phase.PRETRAINING)[0]

        self.between_cycles = False
        completions, scores = write_episodes(write, len(self.prompts), hp, control)
        scores = scores.to(self.policy.device)
        self.score_mean, self.score_std = scale(scores)
        self._scale_known = True
        mean, std = (self.score_mean, self.score_std) if hp.normalize_scores else (0.0, 1.0)
        explained = pretrain(
            self.policy, completions, returns_of(completions, scores, hp, mean=mean, std=std),
            hp, control)
        self.between_cycles = True
        return explained

    def values_snapshot(self) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Return what :meth:`pretrain_values` has made, as arrays and numbers."""
        return (snapshot.take_values(self.policy),
                {"score_mean": self.score_mean, "score_std": self.score_std})

    def restore_values(
        self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float]
    ) -> None:
        """Begin with what :meth:`values_snapshot` returned, after :meth:`begin`.

        Raises:
            ValueError: it is of another value model.
        """
        snapshot.put_back_values(self.policy, arrays)
        self.score_mean, self.score_std = numbers["score_mean"], numbers["score_std"]
        self._scale_known = True

    def run_cycle(
        self, cycle: int, hp: Hyperparameters, compared: Sequence[int], control: Control
    ) -> CycleResult:
        """Run cycle number ``cycle`` (from 1), complete the ``compared`` prompts with the updated
        policy, and return all of it.

        Raises:
            Interrupted: ``control`` asked to end; the policy may be part of the way.
            NotFiniteError: a score, a log-probability or a gradient is not a number.
            RewardError: a reward's Python file failed.
        """
        control.step(Phase.SAMPLING, 0, hp.response_length)  # before memory is taken for it
        clock = Clock(self.policy.device)
        drawn = [prompt_at(hp.seed, self.position + i, len(self.prompts))
                 for i in range(hp.batch_size)]
        noise = uniforms(hp.seed, Stream.ROLLOUT, cycle, hp.batch_size, hp.response_length)
        completions = self._sample(drawn, noise, hp, control, Phase.SAMPLING)
        clock.lap("seconds/sampling")
        scored = self._score(drawn, completions, hp, control, Phase.SCORING)
        experience, rewards, metrics = self._judge(scored, cycle, hp)
        clock.lap("seconds/scoring")

        rate, value_rate = learning_rates(hp, cycle)
        set_rates(self.optimizer, rate, value_rate)
        metrics |= update(self.policy, self.optimizer, experience, hp=hp, cycle=cycle,
                          kl_coef=self.kl_coef, control=control)
        self.between_cycles = False
        clock.lap("seconds/update")
        logprobs_after = self._read_again(experience, cycle, hp, control)
        moved = update_size(logprobs_after, completions.logprobs, completions.mask,
                            cliprange=hp.cliprange)
        metrics |= {f"policy/{name}": number.item() for name, number in moved.items()}
        traces = list(trace(drawn, experience, rewards, logprobs_after, self.scribe)
                      ) if hp.keep_tokens else []
        metrics |= {"lr": rate, "kl_coef": self.kl_coef}
        if hp.kl_controller == "adaptive":
            self.kl_coef = adapt_kl_coef(
                self.kl_coef, metrics["objective/kl"], target=hp.kl_target,
                horizon=hp.kl_horizon, n=hp.batch_size)
        self.position += hp.batch_size
        comparison = self.compare(compared, hp, control)
        if not all(math.isfinite(written.kl) for written in comparison):
            raise NotFiniteError(
                f"Cycle {cycle} left a policy whose log-probabilities are not finite numbers; the "
                "cycle was dropped. Lower the learning rate.")
        compared_scores = [w.score for w in comparison if math.isfinite(w.score)]
        if compared_scores:
            metrics["objective/scores_compared"] = sum(compared_scores) / len(compared_scores)
        clock.lap("seconds/comparison")
        self.between_cycles = True
        metrics |= clock.laps | {
            "seconds": clock.total,
            "tokens_per_second": float(completions.mask.sum()) / clock.total,
        }
        return CycleResult(metrics, scored.written, comparison, traces)

    def _read_again(
        self, experience: Experience, cycle: int, hp: Hyperparameters, control: Control
    ) -> Tensor:
        """Read the batch again after the policy's last step and run the value epochs: of the head
        on the states that were read, or of the value model.

        Returns:
            (b, T) log-probabilities by the updated policy.
        """
        moments = None
        if hp.num_value_epochs and self.policy.value_trunk is None:
            moments = Moments(self.policy.value_head.in_features, self.policy.device)

        def gather(states: Tensor, batch: MicroBatch) -> None:
            if moments is not None:
                moments.add(states, experience.returns[batch.row, batch.column])

        logprobs = read_logprobs(
            self.policy, experience.completions, temperature=hp.temperature,
            max_tokens=hp.micro_batch_tokens, control=control, phase=Phase.COMPARING, show=gather)
        if moments is not None:
            head_epochs(self.policy, self.optimizer, moments, hp)
        elif hp.num_value_epochs:
            model_epochs(self.policy, self.optimizer, experience.completions,
                         experience.returns, hp, cycle, control)
        return logprobs

    def compare(
        self, prompts: Sequence[int], hp: Hyperparameters, control: Control
    ) -> list[Written]:
        """Complete the compared prompts with the present policy.

        The random numbers depend on the seed at the start of the run and the place in ``prompts``
        alone, so what differs between two cycles is what the policy learned.
        """
        control.step(Phase.COMPARING, 0, hp.response_length)
        noise = uniforms(
            self.comparison_seed, Stream.COMPARISON, 0, len(prompts), hp.response_length)
        completions = self._sample(prompts, noise, hp, control, Phase.COMPARING)
        return self._score(prompts, completions, hp, control, Phase.COMPARING).written

    def _sample(
        self, drawn: Sequence[int], noise: Tensor, hp: Hyperparameters, control: Control,
        phase: Phase,
    ) -> Completions:
        self.scribe.stop_strings = parse_stop_strings(hp.stop_strings)
        completions = sample(
            self.policy, [self.prompt_ids[i] for i in drawn], noise,
            temperature=hp.temperature, eos_ids=self.scribe.eos_ids, control=control, phase=phase,
            stopped=self.scribe.stopped)
        if self.policy.value_trunk is not None and phase is Phase.SAMPLING:
            values = read_values(
                self.policy, completions, max_tokens=hp.micro_batch_tokens, control=control,
                phase=phase)
            completions = replace(completions, values=values)
        return completions

    def _score(
        self, drawn: Sequence[int], completions: Completions, hp: Hyperparameters,
        control: Control, phase: Phase,
    ) -> _Scored:
        """Score completions and measure how far they are from the reference."""
        exchanges = self._exchanges(drawn, completions)
        scores, parts, cuts = score_all(self.reward, exchanges, control=control, phase=phase)
        with self.reference() as reference:
            ref_logprobs = read_logprobs(
                reference, completions, temperature=hp.temperature,
                max_tokens=hp.micro_batch_tokens, control=control, phase=phase)
        kl = kl_estimate(completions.logprobs, ref_logprobs, hp.kl_estimator)
        totals, lengths, ended = (
            x.tolist() for x in (kl.sum(dim=1), completions.lengths, completions.ended))
        written = [
            Written(p, e.completion, score, total, length, end,
                    {name: part[row].item() for name, part in parts.items()}, cut)
            for row, (p, e, score, total, length, end, cut) in enumerate(zip(
                drawn, exchanges, scores.tolist(), totals, lengths, ended, cuts.tolist(),
                strict=True))]
        return _Scored(
            completions, written, scores.to(self.policy.device), parts, ref_logprobs, kl)

    def _exchanges(self, drawn: Sequence[int], completions: Completions) -> list[Exchange]:
        return [
            self.scribe.exchange(self.prompts[p], completions.prompts[row],
                                 completions.response(row))
            for row, p in enumerate(drawn)]

    def _judge(
        self, scored: _Scored, cycle: int, hp: Hyperparameters
    ) -> tuple[Experience, Tensor, dict[str, float]]:
        """Turn scores into token rewards and advantages, and measure the batch.

        Returns:
            ``(experience, rewards, metrics)``; the rewards, (b, T), are what GAE saw.
        """
        completions, kl, mask = scored.completions, scored.kl, scored.completions.mask
        for what, numbers, cause in (
            ("log-probability", completions.logprobs, "Lower the learning rate."),
            ("score", scored.scores, "Check the reward model."),
        ):
            if not bool(torch.isfinite(numbers).all()):
                raise NotFiniteError(
                    f"A {what} of cycle {cycle} is not a finite number; the policy was left as it "
                    f"was before the cycle. {cause}", intact=what == "score")
        if cycle == 1 and not self._scale_known:
            # The first batch is the start policy's own; normalising may be switched on later.
            self.score_mean, self.score_std = scale(scored.scores)
        mean, std = (self.score_mean, self.score_std) if hp.normalize_scores else (0.0, 1.0)
        shaped = shape_scores(
            scored.scores, completions.ended, missing_eos_penalty=hp.missing_eos_penalty,
            clip=hp.score_clip, mean=mean, std=std)
        in_reward, in_loss = (self.kl_coef if hp.kl_in == where else 0.0
                              for where in ("reward", "loss"))
        rewards = token_rewards(shaped, kl, mask, kl_coef=in_reward)
        reward_scale = torch.ones((), device=rewards.device)
        if hp.whiten_rewards:
            reward_scale = whitening_factor(rewards, mask)
            rewards = whiten(rewards, mask, shift_mean=False, factor=reward_scale)
        advantages, returns = generalized_advantages(
            rewards, completions.values, mask, gamma=hp.gamma, lam=hp.lam)
        spread = advantages[mask].std(unbiased=False)
        if hp.whiten_advantages:
            # The loss weighs tokens by their KL as well: scores that are all equal are no reason to
            # scale it up without end.
            log_ratio = completions.logprobs - scored.ref_logprobs
            factor = whitening_factor(
                advantages, mask, in_loss * reward_scale * log_ratio if in_loss else None)
            advantages = whiten(advantages, mask, factor=factor)
            reward_scale = reward_scale * factor
        total_kl = kl.sum(dim=1).mean().item()
        worth = shaped - in_reward * kl.sum(dim=1)
        scores = scored.scores
        metrics = {
            "objective/scores": scores.mean().item(),
            "objective/scores_std": scores.std(unbiased=False).item(),
            "objective/rlhf_reward": shaped.mean().item() - self.kl_coef * total_kl,
            "objective/non_score_reward": -self.kl_coef * total_kl,
            "objective/kl": total_kl,
            "objective/entropy": -completions.logprobs.sum(dim=1).mean().item(),
            "objective/unlikely": masked_mean(
                (scored.ref_logprobs < LOG_UNLIKELY).float(), mask).item(),
            "objective/length": completions.lengths.float().mean().item(),
            "objective/distinct": len({w.text for w in scored.written}) / len(scored.written),
            "objective/cut": sum(w.cut for w in scored.written) / len(scored.written),
            "val/num_eos_tokens": float(completions.ended.sum()),
            "val/explained_variance": explained_variance(
                completions.values, returns, mask).item() if worth.std(unbiased=False).item()
                > _LEAST_SPREAD * min(self.score_std / std, hp.score_clip or math.inf)
                else math.nan,
            "val/advantage_std": spread.item(),
            "val/value": masked_mean(completions.values, mask).item(),
        } | {part_metric(name): part.mean().item() for name, part in scored.parts.items()}
        experience = Experience(
            completions, scored.ref_logprobs, advantages, returns, reward_scale.item())
        return experience, rewards, metrics

    def _make_optimizer(self, kind: str) -> torch.optim.Optimizer:
        optimizer = make_optimizer(kind, *self.policy.trained(), self.policy.device)
        # Until the first step of a cycle the weights are still those of the cycle before.
        optimizer.register_step_pre_hook(self._leave_cycle)
        return optimizer

    def _leave_cycle(self, *_: object) -> None:
        self.between_cycles = False


def learning_rates(hp: Hyperparameters, cycle: int) -> tuple[float, float]:
    """Return the learning rates of policy and values in ``cycle`` (from 1): falling to 0 after the
    last, or constant."""
    share = 1.0
    if hp.lr_scheduler_type == "linear":
        share = max(0.0, 1.0 - (cycle - 1) / hp.num_cycles)
    return hp.learning_rate * share, (hp.value_learning_rate or hp.learning_rate) * share
