"""Having a judge say which completions of pairs are better, on the thread that owns the models."""

from __future__ import annotations

from workbench.feedback.reward_server import url_name
from workbench.judging.asking import MARKED_BY, judge_set
from workbench.judging.choice import IN_MEMORY, Chosen
from workbench.judging.judge import Judge, JudgeError
from workbench.judging.local import LocalJudge
from workbench.judging.remote import RemoteJudge
from workbench.judging.server import consent_of
from workbench.models.device import find_placement
from workbench.models.loading import load_policy
from workbench.models.phases import Phase
from workbench.models.sources import LoadError
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.models import Models
from workbench.training.run import ResumeError
from workbench.training.side_request import SideRequest


class JudgingPairs(SideRequest):
    """Serves :class:`~workbench.training.commands.JudgePairs`."""

    ANSWERED, FAILED = ev.PairsJudged, ev.JudgingFailed

    def answer(self, command: do.JudgePairs, models: Models) -> str:
        """Ask, keep every answer, and return what the marks are by."""
        if not command.rubric.strip():
            raise ResumeError("There is no rubric; say what makes an answer better.")

        told, failed = -1, 0

        def unanswered() -> None:
            nonlocal failed
            failed += 1

        def step(done: int, total: int) -> None:
            nonlocal told
            self.step(Phase.SCORING, done, total)
            if told != done:
                told = done
                self._emit(ev.Judging(command.id, done, total, failed=failed))
        try:
            judge = self._judge(command, models)
            judge_set(self._store, command.set_id, judge, command.rubric, most=command.most,
                      step=step, unanswered=unanswered)
        except (JudgeError, LoadError) as error:
            raise ResumeError(str(error)) from error
        return f"{MARKED_BY}{judge.name}"

    def _judge(self, command: do.JudgePairs, models: Models) -> Judge:
        """Load the judge, or find out what it is called.

        Raises:
            LoadError: it cannot be loaded.
            JudgeError: it cannot be asked.
            ResumeError: the person has not agreed to ask it, or no policy is in memory.
        """
        chosen = Chosen.of(command.judge, command.model)
        if chosen.remote:
            if not self._store.is_trusted(consent_of(chosen.source)):
                raise ResumeError(f"{url_name(chosen.source)} is sent nothing before you agree.")
            remote = RemoteJudge(chosen.source, chosen.model)
            remote.choose_model(lambda: self.step(Phase.SCORING, 0, 0))
            return remote
        if chosen.source == IN_MEMORY:
            trainer = models.trainer
            if trainer is None:
                raise ResumeError("There is no policy in memory to judge; load one first.")
            return LocalJudge(self._label(do.TrySource("current"), models), trainer.policy,
                              trainer.policy_tokenizer)

        def report(text: str, share: float) -> None:
            self.step(Phase.SCORING, 0, 0)
            self._emit(ev.Judging(command.id, 0, 0, text))
        loaded = load_policy(chosen.source, find_placement(), report)
        return LocalJudge(chosen.name, loaded.policy, loaded.policy_tokenizer)
