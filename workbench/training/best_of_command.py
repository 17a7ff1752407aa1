"""Best of n: what the best of several completions of each prompt are worth by the reward."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from workbench.algorithms import read_settings
from workbench.feedback.reward_arguments import missing_column
from workbench.learning.best_of_n import MOST, best_of, kl_bound
from workbench.learning.held_out import held_out
from workbench.learning.trainer import AnyTrainer
from workbench.models.policy_tokenizer import PromptError
from workbench.models.randomness import Stream, prompt_at, uniforms
from workbench.records import BestOf, PromptLike, with_equal_columns
from workbench.settings import Settings
from workbench.store.records import RunRecord
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.models import Models
from workbench.training.run import ResumeError
from workbench.training.side_request import SideRequest


class SamplingBestOf(SideRequest):
    """Serves :class:`~workbench.training.commands.SampleBestOf`."""

    ANSWERED, FAILED = ev.BestOfSampled, ev.SamplingBestOfFailed

    def answer(self, command: do.SampleBestOf, models: Models) -> BestOf:
        """Sample, and keep what came of it."""
        run = self._store.run(command.run_id)
        if not 2 <= command.n <= MOST:
            raise ResumeError(f"n must be between 2 and {MOST}, not {command.n}.")
        if run is None:
            raise ResumeError(f"There is no run {command.run_id}.")
        trainer = self._trainer_of(run, models)
        cycle = command.cycle
        if cycle is None:
            cycle = max((c for c in self._store.checkpoints.cycles(run.id) if c <= run.cycles),
                        default=0)
        settings = read_settings(run.algorithm, self._store.settings_after(run.id, cycle))
        prompts, prompt_ids = self._prompts(command, run, trainer, settings)
        source = do.TrySource("checkpoint", run.id, cycle) if cycle else do.TrySource("start")
        # What is in memory all processes have; checkpoints the first one alone.
        there = not cycle or (
            models.trained is not None and models.trained.stands_at(run.id, cycle))
        with self._policy(do.TrySource("current") if there else source, trainer, models):
            scores, distances = self._write(
                command, trainer, prompts, prompt_ids, settings, start=not cycle)
        kl = best_of(scores, distances)
        found = BestOf(
            run.id, cycle, self._label(source, models), command.seed, len(prompts),
            tuple(best_of(scores).tolist()),
            tuple(kl_bound(n) + float(kl[n - 1]) for n in range(1, command.n + 1)),
            "" if command.prompts else command.of)
        self._store.record_best_of(found).result()
        return found

    def _prompts(
        self, command: do.SampleBestOf, run: RunRecord, trainer: AnyTrainer, settings: Settings
    ) -> tuple[Sequence[PromptLike], list[list[int]]]:
        """Return the prompts, and as the policy reads them."""
        def encode(prompts: Sequence[PromptLike]) -> list[list[int]]:
            return trainer.policy_tokenizer.encode(
                prompts, settings.response_length,
                control_tokens=settings.control_tokens == "tokens")

        if command.prompts:
            prompts = with_equal_columns(command.prompts)
            if lacking := missing_column(trainer.reward, list(prompts[0].columns)):
                raise PromptError(lacking)
            return prompts, encode(prompts)
        prompts = with_equal_columns(self._store.run_prompts(run.id))
        ids = self._store.run_prompt_ids(run.id) or encode(prompts)
        chosen = self._chosen(command, run, settings, len(prompts))
        return [prompts[i] for i in chosen], [ids[i] for i in chosen]

    def _chosen(
        self, command: do.SampleBestOf, run: RunRecord, settings: Settings, count: int
    ) -> list[int]:
        """Return which of the run's prompts are to be completed."""
        apart = held_out(count, settings.held_out_prompts)
        match command.of:
            case "compared":
                cycles = self._store.compared_cycles(run.id)
                chosen = [c.prompt for c in self._store.completions(run.id, cycles[0])] if (
                    cycles) else []
            case "held out":
                chosen = list(apart)[: command.most]
            case "trained":
                trained_on = sorted({*range(count)} - {*apart})
                chosen = [trained_on[prompt_at(settings.seed, i, len(trained_on))]
                          for i in range(min(command.most, len(trained_on)))]
        if not chosen:
            which = command.of.replace(" ", "-")
            raise ResumeError(
                f"{run.name} has no {which} prompts to complete; draw another reward.")
        return chosen

    def _write(
        self, command: do.SampleBestOf, trainer: AnyTrainer, prompts: Sequence[PromptLike],
        prompt_ids: Sequence[Sequence[int]], settings: Settings, *, start: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of n completions of each prompt, and how far each is from the start
        policy, (p, n) both. A completion's random numbers depend on the seed, its prompt's place
        and which one of the prompt it is."""
        count, total = len(prompts), len(prompts) * command.n
        scores: list[float] = []
        distances: list[float] = []
        for first in range(0, total, settings.batch_size):  # as much at once as in a cycle
            rows = range(first, min(first + settings.batch_size, total))
            self._emit(ev.SamplingBestOf(command.id, first, total))
            noise = torch.cat([
                uniforms(command.seed, Stream.BEST_OF, time, count, settings.response_length)[
                    max(rows.start - time * count, 0) : rows.stop - time * count]
                for time in range(rows.start // count, (rows.stop - 1) // count + 1)])
            found = trainer.worth(
                [prompts[row % count] for row in rows], [prompt_ids[row % count] for row in rows],
                noise, settings, start, self)
            scores += found[0]
            distances += found[1]
        if not all(map(math.isfinite, scores)):
            raise ResumeError("A score is not a finite number; check the reward model.")
        shape = (command.n, count)
        return np.array(scores).reshape(shape).T, np.array(distances).reshape(shape).T
