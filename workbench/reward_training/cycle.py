"""The cycle that trains a reward model: steps on pairs, then the held-out pairs, then the policy's
samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from workbench.feedback.reward_model import RewardModel
from workbench.feedback.reward_text import Row
from workbench.learning.batch import Batch
from workbench.learning.data_lengths import Lengths
from workbench.learning.metrics import DATA, DRAWN, HELD
from workbench.learning.offline import OfflineTrainer
from workbench.learning.trainer import Trainer, scheduled
from workbench.models.clock import Clock
from workbench.models.control import Control, CycleControl, NotFiniteError
from workbench.models.device import placement_on
from workbench.models.optimizer import set_rates
from workbench.models.phases import Phase
from workbench.models.policy import UnsupportedModelError
from workbench.models.policy_tokenizer import PolicyTokenizer, PromptError
from workbench.models.randomness import Stream, prompt_at, uniforms
from workbench.models.sampling import Completions
from workbench.models.sharding import is_shared_out, is_wanted, shard, shard_frozen
from workbench.models.sources import Report, silent
from workbench.models.trainable import SHARED_OUT_ALREADY
from workbench.records import (
    Completion,
    CycleResult,
    Draft,
    Exchange,
    Pair,
    PromptLike,
    TokenTrace,
    with_equal_columns,
)
from workbench.reward_training.export import check_exported, save
from workbench.reward_training.hyperparameters import RewardSettings
from workbench.reward_training.memory import RewardFootprint, RewardMemory, measure
from workbench.reward_training.metrics import EVAL, PASSES, PREFIX, SAMPLES, SPREAD
from workbench.reward_training.model import RewardInTraining, of_policy, of_reward
from workbench.reward_training.objective import (
    bradley_terry_loss,
    correlation,
    foreseen,
    pair_metrics,
)
from workbench.reward_training.pairs import RowTable, lead, read_table
from workbench.reward_training.parts import DRAW, EVALUATE, UPDATE
from workbench.reward_training.steps import (
    read_pairs,
    read_scores,
    read_token_scores,
    take_steps,
)

_KEPT = 64
"""Pairs of which the tokens are kept."""


class RewardTrainer(OfflineTrainer[RewardSettings, Pair, RowTable]):
    """Trains a reward model on pairs: a head on a copy of the policy's trunk, or the reward model
    that is loaded. The policy writes some completions once, to be scored after every cycle."""

    MADE_WITH = (*Trainer.MADE_WITH, "begins_as", "end_with_eos")
    MAKES = "reward model"
    FOOTPRINT = RewardFootprint
    MEMORY = RewardMemory

    _model: RewardInTraining | None = None
    _samples: tuple[object, Completions, list[Exchange]] | None = None
    _settings: RewardSettings
    _standardised: tuple[float, float] = 0.0, 1.0
    """Mean and deviation by which the last export was standardised."""

    @property
    def model(self) -> RewardInTraining:
        """What is trained, after :meth:`begin`."""
        assert self._model is not None
        return self._model

    @property
    def learning(self) -> nn.Module:
        """What is trained."""
        return self.model

    @property
    def shares_out(self) -> bool:
        """Whether ranks share out what is trained."""
        return self._model is not None and is_shared_out(self._model)

    def _learned(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        return [p for p in self.model.parameters() if p.requires_grad], []

    # -- what a run begins with

    def begin(
        self, prompts: Sequence[str | PromptLike], settings: RewardSettings,
        prompt_ids: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Make the reward model anew, for a new run that learns from the pairs and scores the
        policy's completions of ``prompts``.

        Raises:
            PromptError: none of the pairs can be learned from; as every trainer.
            UnsupportedModelError: no reward model can be made of the models as ``settings`` ask.
        """
        if not self._items:
            raise PromptError("There are no pairs to learn from; choose a file of pairs or a run.")
        super().begin(prompts, settings, prompt_ids)
        self._settings, self._samples = settings, None
        self._read_pairs(with_equal_columns(prompts), settings)

    def apply(self, old: RewardSettings, new: RewardSettings) -> None:
        """Take over changes, as every trainer; other pairs may be held out then."""
        super().apply(old, new)
        self._read_pairs(self.prompts, new)

    def _read_pairs(self, prompts: Sequence[PromptLike], settings: RewardSettings) -> None:
        reader = self.model.reader
        self.read(prompts, settings, settings.held_out_share, settings.seed,
                  reader.reads, reader.end_id, reader.limit, settings.begins_as)

    def dismantle(self) -> None:
        """Let go of what was trained, as every trainer."""
        self._model = None
        super().dismantle()

    def _make_models(self, settings: RewardSettings, value_source: object) -> None:
        if self.shares_out:
            raise UnsupportedModelError(SHARED_OUT_ALREADY)
        self._model = None  # or the last run's weights would live until the new ones are made
        self._model = self._made(settings)
        if is_wanted(settings.sharding, self._model, self.policy):
            try:
                shard(self._model, self.policy.device)
            except ValueError as error:
                raise UnsupportedModelError(str(error)) from None
            shard_frozen(self.policy, self.policy.device)  # which only writes

    def _made(self, settings: RewardSettings) -> RewardInTraining:
        placement = placement_on(self.policy.device, settings.precision)
        self.policy.placement = placement
        if settings.begins_as == "policy":
            tokenizer = self.policy_tokenizer.tokenizer
            return RewardInTraining(
                of_policy(self.policy, tokenizer), tokenizer, placement,
                end_token=settings.end_with_eos, lora_rank=settings.lora_rank,
                gradient_checkpointing=settings.gradient_checkpointing,
                branches=self.policy.branches)
        model, reward = of_reward(self.reward), self.reward
        assert isinstance(reward, RewardModel)
        return RewardInTraining(
            model, reward.tokenizer, placement, reads=reward.reader.reads,
            end_token=reward.reader.end_id is not None, lora_rank=settings.lora_rank,
            gradient_checkpointing=settings.gradient_checkpointing)

    def read_table(
        self, items: Sequence[Pair], settings: RewardSettings, never: frozenset[str]
    ) -> RowTable:
        """Return the pairs as the reward model reads them."""
        return read_table(
            items, self.model.reader, chat=self.policy_tokenizer.use_chat_template,
            held_out_share=settings.held_out_share, seed=settings.seed, never=never)

    # -- the cycle

    def run_cycle(
        self, cycle: int, settings: RewardSettings, compared: Sequence[int], control: CycleControl
    ) -> CycleResult:
        """Take the steps of cycle number ``cycle`` (from 1), read the held-out pairs, score the
        policy's completions of the ``compared`` prompts, and return all of it, as every trainer."""
        control.step(Phase.UPDATING, 0, settings.steps_per_cycle)
        clock = Clock(self.policy.device)
        self._settings = settings
        table, training = self.table, self.table.training
        number = settings.steps_per_cycle * settings.batch_size
        drawn = [training[prompt_at(settings.seed, self.position + i, len(training))]
                 for i in range(number)]
        held_out = self.sampled(table.held_out, settings.eval_pairs, settings)
        kept = (held_out or drawn)[:_KEPT] if settings.keep_tokens else []
        control.tell(DRAW.name, {DRAWN: number, DATA: len(training)})
        with clock.paused():
            control.part_done(DRAW.name, lambda: Draft((), self._traces(kept)))
        rate = scheduled(settings, settings.learning_rate, cycle)
        set_rates(self.optimizer, rate, rate)
        rows = table.rows_of(drawn)
        scores, losses, norms = take_steps(
            self.model, self.optimizer, rows, [table.margins[p] for p in drawn], settings, cycle,
            control)
        self.position += number
        metrics = _measure(rows, scores.cpu(), losses.cpu(), PREFIX) | {
            "policy/grad_norm": sum(norms) / len(norms), "policy/steps": float(len(norms)),
            "lr": rate, PASSES: self.position / len(training), DRAWN: number, DATA: len(training)}
        clock.lap("seconds/update")
        control.tell(UPDATE.name, metrics)
        with clock.paused():
            control.part_done(UPDATE.name, lambda: Draft((), self._traces(kept)))
        places = held_out if cycle % settings.held_out_every == 0 else []
        phase = Phase.EVALUATING if table.held_out else Phase.READING
        found = read_token_scores(
            self.model, table.rows_of(kept), settings, control, phase) if kept else []
        traces = self._traces(kept, found)
        if places:
            metrics |= self._evaluate(cycle, places, found if table.held_out else [], settings,
                                      control)
            clock.lap("seconds/evaluation")
            control.tell(EVALUATE.name, metrics)
            with clock.paused():
                control.part_done(EVALUATE.name, lambda: Draft((), traces))
        comparison = self._end_cycle(
            cycle, compared, settings, control, clock, metrics,
            torch.ones(sum(len(row.ids) for row in rows)))
        spreads = {f"{PREFIX}{name}": x.cpu().numpy() for name, x in pair_metrics(
            scores[0::2], scores[1::2]).items() if name != "accuracy"}
        return CycleResult(metrics, (), comparison, traces, spreads)

    def _evaluate(
        self, cycle: int, places: Sequence[int], known: Sequence[Tensor],
        settings: RewardSettings, control: Control,
    ) -> dict[str, float]:
        """Return what is logged of held-out pairs; ``known`` are the scores up to each token of
        the rows that have been read already, the first ones."""
        rows = self.table.rows_of(places)
        ends = torch.tensor([float(scores[-1]) for scores in known[: len(rows)]])
        scores = torch.cat([ends, read_pairs(self.model, rows[len(ends):], settings, control)])
        margins = torch.tensor([self.table.margins[p] for p in places])
        losses, _ = bradley_terry_loss(
            scores[0::2], scores[1::2], margin=margins if settings.use_margins else None,
            centering=settings.centering)
        _check_finite(scores, cycle)
        return _measure(rows, scores, losses, EVAL) | {HELD: len(places)}

    # -- what the policy writes

    def _compare(
        self, prompts: Sequence[int], settings: RewardSettings, control: Control
    ) -> Batch:
        """Score the policy's completions of the compared prompts, which it writes once."""
        completions, exchanges = self._written(prompts, settings, control)
        scores, cuts = self._judge(exchanges, settings, control, Phase.COMPARING)
        nothing = torch.zeros_like(completions.logprobs)
        written = [
            Completion(prompt, e.completion, score, 0.0, length, ended, {}, cut)
            for prompt, e, score, length, ended, cut in zip(
                prompts, exchanges, scores.tolist(), completions.lengths.tolist(),
                completions.ended.tolist(), cuts, strict=True)]
        return Batch(list(prompts), completions, written, scores, {}, nothing, nothing)

    def _compare_after(
        self, cycle: int, compared: Sequence[int], settings: RewardSettings, control: Control
    ) -> tuple[Batch, dict[str, float]]:
        comparison = self._compare(compared, settings, control)
        _check_finite(comparison.scores, cycle)
        return comparison, {
            SAMPLES: comparison.scores.mean().item(),
            SPREAD: comparison.scores.std(unbiased=False).item()}

    def _written(
        self, prompts: Sequence[int], settings: RewardSettings, control: Control
    ) -> tuple[Completions, list[Exchange]]:
        key = (tuple(prompts), self.comparison_seed, settings.response_length,
               settings.temperature, settings.stop_strings)
        if self._samples is None or self._samples[0] != key:
            noise = uniforms(self.comparison_seed, Stream.COMPARISON, 0, len(prompts),
                             settings.response_length)
            completions = self._sample(prompts, noise, settings, control, Phase.COMPARING)
            self._samples = key, completions, self._exchanges(prompts, completions)
        return self._samples[1], self._samples[2]

    def _judge(
        self, exchanges: Sequence[Exchange], settings: RewardSettings, control: Control,
        phase: Phase,
    ) -> tuple[Tensor, list[int]]:
        """Return the scores of what the policy wrote, (n,), and how many tokens of each text were
        too many."""
        rows = self.model.reader.read(exchanges)
        scores = read_scores(self.model, rows, settings, control, phase)
        return scores, [row.cut for row in rows]

    # -- what it leaves

    def export(self, folder: str, report: Report = silent) -> None:
        """Save the reward model, standardised, with its tokenizer, as transformers loads them.

        Raises:
            OSError: the folder cannot be written.
        """
        self._standardised = self._standard(_Reporting(report))
        save(self.model, folder, *self._standardised)

    def check_exported(self, folder: str, report: Report) -> str:
        """Load what :meth:`export` wrote as anybody would, and hold it against the model."""
        exchanges = self.table.exchanges[:4]
        return check_exported(self.model, folder, exchanges, *self._standardised, report)

    def _standard(self, control: Control) -> tuple[float, float]:
        """Return mean and deviation of the scores of what the policy writes."""
        hp = self._settings
        if not (hp.standardise_on and self.trained_on and self.model.has_head):
            return 0.0, 1.0
        drawn = [self.trained_on[prompt_at(hp.seed, i, len(self.trained_on))]
                 for i in range(hp.standardise_on)]
        noise = uniforms(hp.seed, Stream.STANDARDISING, 0, len(drawn), hp.response_length)
        scores = []
        for first in range(0, len(drawn), 64):
            part = slice(first, first + 64)
            written = self._sample(drawn[part], noise[part], hp, control, Phase.COMPARING)
            scores.append(self._judge(
                self._exchanges(drawn[part], written), hp, control, Phase.COMPARING)[0])
        found = torch.cat(scores).double()
        deviation = found.std(unbiased=False).item()
        if not math.isfinite(deviation) or deviation < 1e-6:
            return 0.0, 1.0
        return found.mean().item(), deviation

    def _traces(
        self, places: Sequence[int], scores: Sequence[Tensor] = ()
    ) -> list[TokenTrace]:
        """Return the tokens of some pairs with the score up to each; NaN while none are given."""
        table, reader = self.table, self.model.reader
        ends = [float(x[-1]) for x in scores] or [math.nan] * (2 * len(places))
        traces = []
        for number, (place, side) in enumerate((p, side) for p in places for side in (0, 1)):
            row, exchange = table.rows[2 * place + side], table.exchanges[2 * place + side]
            start = lead(reader, exchange, row)
            ids = row.ids[start:]
            found = scores[number][start:].numpy() if scores else np.full(len(ids), np.nan)
            last = np.full(len(ids), np.nan)
            chance = 1 / (1 + math.exp(min(700.0, ends[number ^ 1] - ends[number])))
            predicted, outcome = last.copy(), last.copy()
            predicted[-1], outcome[-1] = chance, 1.0 - side
            traces.append(TokenTrace(
                number, -1, np.array(ids, dtype=np.int32), self._pieces(ids),
                {"score": found, "predicted": predicted, "outcome": outcome},
                prompt_text=exchange.prompt, worth=ends[number]))
        return traces

    def _pieces(self, ids: Sequence[int]) -> tuple[str, ...]:
        tokenizer = self.model.reader.tokenizer
        if tokenizer is self.policy_tokenizer.tokenizer:
            return self.policy_tokenizer.pieces(ids)
        return PolicyTokenizer(
            tokenizer, (), context_length=None, use_chat_template=False).pieces(ids)

    # -- memory

    def measure_lengths(self, items: Sequence[Pair], settings: RewardSettings) -> Lengths:
        """Return how long pairs are."""
        return measure(
            items, self.policy_tokenizer.tokenizer, chat=self.policy_tokenizer.use_chat_template)


class _Reporting:
    """A control for what is done beside a run."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Say so; may be ended there."""
        self._report("Scoring what the policy writes", 0.1)


def _measure(
    rows: Sequence[Row], scores: Tensor, losses: Tensor, prefix: str
) -> dict[str, float]:
    """Return what is logged of pairs."""
    chosen, rejected = scores[0::2], scores[1::2]
    means = {name: x.mean().item() for name, x in pair_metrics(chosen, rejected).items()}
    means |= {"loss": losses.mean().item(), "foreseen": foreseen(chosen, rejected)}
    length = correlation(scores, torch.tensor([float(len(row.ids)) for row in rows]))
    if math.isfinite(length):
        means["length_correlation"] = length
    return {f"{prefix}{name}": number for name, number in means.items()}


def _check_finite(scores: Tensor, cycle: int) -> None:
    if not bool(torch.isfinite(scores).all()):
        raise NotFiniteError(
            f"Cycle {cycle} left a reward model whose scores are not finite numbers; the cycle was "
            "dropped. Lower the learning rate.")
