"""Completions on demand between cycles: the present policy, its start and checkpoints compared."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from workbench.feedback.reward_arguments import missing_column
from workbench.feedback.weighted_reward import score_all
from workbench.learning.trainer import AnyTrainer
from workbench.models.control import Interrupted
from workbench.models.decoding import Decoding
from workbench.models.forward import read_logprobs
from workbench.models.phases import Phase
from workbench.models.policy_tokenizer import PromptError
from workbench.models.sampling import Completions
from workbench.models.try_sampling import WrongWeightsError, write
from workbench.records import Completion, Exchange, PromptLike, with_equal_columns
from workbench.store.checkpoints import CheckpointError
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.models import Models
from workbench.training.side_request import SideRequest, Waiting, say_why

_PAUSE = 1 / 30  # seconds between two events of a text that grows


class Trying(SideRequest):
    """Serves :class:`~workbench.training.commands.Try`."""

    CAN_WAIT = (*SideRequest.CAN_WAIT, do.Try)

    def run(self, command: do.Try, models: Models) -> list[Waiting]:
        """Complete the prompts from every source; return the commands to serve afterwards."""
        self._later, self._stopped = [], False
        trainer = models.trainer
        decoding = Decoding(command.temperature, command.top_p, command.seed, command.length)
        problems = decoding.problems()
        if trainer is None or models.command is None:
            problems = ["Load a policy and a reward model first."]
        elif not command.prompts:
            problems = ["There is no prompt to complete; type one."]
        elif not command.sources:
            problems = ["No policy is chosen; tick the current one, the start or a checkpoint."]
        if problems or trainer is None or models.command is None:
            self._emit(ev.CommandRefused("Try", " ".join(problems), id=command.id))
            return []
        known = {p.text: p for p in command.known}
        prompts = with_equal_columns([known.get(text, text) for text in command.prompts])
        try:
            prompt_ids = trainer.policy_tokenizer.encode(prompts, decoding.length)
            if lacking := missing_column(trainer.reward, list(prompts[0].columns)):
                raise PromptError(lacking)
        except PromptError as error:
            self._emit(ev.CommandRefused("Try", str(error), id=command.id))
            return self._later
        labels = tuple(self._label(source, models) for source in command.sources)
        self._emit(ev.TryStarted(command.id, labels))
        for index in range(len(command.sources)):
            try:
                self._column(command, index, trainer, models, prompts, prompt_ids, decoding)
            except Interrupted:
                break
            except (CheckpointError, WrongWeightsError) as error:
                self._emit(ev.TryFailed(command.id, index, str(error)))
            except Exception as error:
                self._emit(ev.TryFailed(command.id, index, say_why(error)))
        self._emit(ev.TryFinished(command.id, stopped=self._stopped))
        return self._later

    def _column(self, command: do.Try, index: int, trainer: AnyTrainer, models: Models,
                prompts: Sequence[PromptLike], prompt_ids: list[list[int]],
                decoding: Decoding) -> None:
        """Complete every prompt from one source, then score and measure what was written."""
        told = 0.0

        def exchanges(responses: list[list[int]]) -> list[Exchange]:
            return [trainer.policy_tokenizer.exchange(*parts)
                    for parts in zip(prompts, prompt_ids, responses, strict=True)]

        def written(responses: list[list[int]]) -> None:
            nonlocal told
            self.step(Phase.SAMPLING, 0, 0)
            if time.monotonic() - told < _PAUSE:
                return
            told = time.monotonic()
            # A character may be spread over several tokens: it appears with the last.
            texts = tuple(e.completion.rstrip("\N{REPLACEMENT CHARACTER}")
                          for e in exchanges(responses))
            self._emit(ev.TryProgress(command.id, index, texts, tuple(map(len, responses))))

        self.step(Phase.SAMPLING, 0, 0)
        source = command.sources[index]
        with self._policy(source, trainer, models) as policy:
            completions = write(
                policy,
                prompt_ids,
                decoding,
                eos_ids=trainer.policy_tokenizer.eos_ids,
                stopped=trainer.policy_tokenizer.stopped,
                written=written,
                numbers=_times_before(command.prompts),
            )
        found = exchanges(completions.responses())
        scores, parts, cuts = score_all(trainer.reward, found, control=self)
        kls = [0.0] * len(found) if source.kind == "start" else self._distance(trainer, completions)
        self._emit(ev.TryScored(command.id, index, tuple(
            Completion(row, e.completion, score, kl, length, ended,
                       {name: part[row].item() for name, part in parts.items()}, cut)
            for row, (e, score, kl, length, ended, cut) in enumerate(zip(
                found, scores.tolist(), kls, completions.lengths.tolist(),
                completions.ended.tolist(), cuts.tolist(), strict=True)))))

    def _distance(self, trainer: AnyTrainer, completions: Completions) -> list[float]:
        """Return, for each completion, ``sum(log pi - log pi_start)`` over its tokens."""
        with trainer.reference() as reference:
            start = read_logprobs(
                reference, completions, temperature=1.0, max_tokens=0, control=self)
        return (completions.logprobs - start).sum(dim=1).tolist()


def _times_before(prompts: Sequence[str]) -> list[int]:
    """Return of each prompt how often it stands before: as often as it does it is completed by
    other random numbers."""
    seen = Counter[str]()
    found = []
    for prompt in prompts:
        found.append(seen[prompt])
        seen[prompt] += 1
    return found
