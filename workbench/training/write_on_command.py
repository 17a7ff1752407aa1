"""Paths not taken: from one place of a completion its likeliest tokens are written on from."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.feedback.weighted_reward import score_all
from workbench.learning.trainer import AnyTrainer
from workbench.models.alternatives import likeliest, next_token, values_after
from workbench.models.decoding import Decoding
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.try_sampling import write
from workbench.records import Branch, Continuation, Crossroads
from workbench.settings import Settings
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.models import Models
from workbench.training.side_request import SideRequest


class WritingOn(SideRequest):
    """Serves :class:`~workbench.training.commands.WriteOn`."""

    ANSWERED, FAILED = ev.WroteOn, ev.WritingOnFailed

    def answer(self, command: do.WriteOn, models: Models) -> Crossroads:
        """Write on, and keep what came of it."""
        place = self._find_place(command, models)
        trainer, settings, tokens = place.trainer, place.settings, place.tokens
        before = place.before
        self.step(Phase.SAMPLING, 0, 0)
        with self._policy(command.source, trainer, models) as policy:
            chances = next_token(policy, before, settings.temperature)
            chosen = likeliest(chances, command.branches, place.taken)
            value, *after = values_after(policy, [before, *([*before, t] for t in chosen)])
            written = self._continue(command, policy, trainer, before, chosen, tokens, settings)
        with trainer.reference() as reference:
            start = next_token(reference, before, settings.temperature)
        pieces = trainer.policy_tokenizer.texts(chosen)
        exchanges = [trainer.policy_tokenizer.exchange(
            place.prompt, place.prompt_ids, [*tokens[: command.at], token, *more])
            for token, continued in zip(chosen, written, strict=True) for more, _ in continued]
        scores = iter(score_all(trainer.reward, exchanges, control=self)[0].tolist())
        made = Crossroads(
            command.run_id, command.cycle, command.position, command.at,
            self._label(command.source, models), command.seed, value, place.taken,
            tuple(Branch(
                token, pieces[token], chances[token].item(), start[token].item(), foreseen,
                tuple(Continuation(tuple(more), trainer.policy_tokenizer.pieces(more),
                                   next(scores), ended) for more, ended in continued))
                for token, foreseen, continued in zip(chosen, after, written, strict=True)))
        self._store.record_crossroads(made).result()
        return made

    def _continue(
        self, command: do.WriteOn, policy: Policy, trainer: AnyTrainer, before: list[int],
        chosen: Sequence[int], tokens: Sequence[int], settings: Settings,
    ) -> list[list[tuple[list[int], bool]]]:
        """Return what is written after each of the ``chosen`` tokens, and whether it ended."""
        room = settings.response_length - command.at - 1
        over = [t for t in chosen if t in trainer.policy_tokenizer.eos_ids or room < 1]
        going = [t for t in chosen if t not in over]
        rows = [[*before, t] for t in going for _ in range(command.times)]
        made: list[tuple[list[int], bool]] = []
        if rows:
            def told(responses: list[list[int]]) -> None:
                self.step(Phase.SAMPLING, 0, 0)
                self._emit(ev.WritingOn(command.id, max(map(len, responses)), room))

            found = write(
                policy, rows, Decoding(settings.temperature, 1.0, command.seed, room),
                eos_ids=trainer.policy_tokenizer.eos_ids,
                stopped=trainer.policy_tokenizer.stopped, written=told,
                numbers=[n for _ in going for n in range(command.times)])
            made = [(found.response(row), bool(found.ended[row])) for row in range(len(rows))]
        parts = {t: made[i * command.times : (i + 1) * command.times]
                 for i, t in enumerate(going)}
        # What ends the text is one path, however often it were written on.
        ends: dict[int, list[tuple[list[int], bool]]] = {
            t: [([], t in trainer.policy_tokenizer.eos_ids)] for t in over}
        return [(parts | ends)[t] for t in chosen]
