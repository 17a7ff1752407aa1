"""Scores of the reward in memory for pairs that people judge."""

from __future__ import annotations

import math

from workbench.feedback.reward_arguments import missing_column
from workbench.feedback.weighted_reward import score_all
from workbench.models.phases import Phase
from workbench.records import Exchange
from workbench.store.judged import PairToJudge, Side
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.models import Models
from workbench.training.run import ResumeError
from workbench.training.side_request import SideRequest

_AT_ONCE = 32  # pairs, whose scores are then kept


class ScoringPairs(SideRequest):
    """Serves :class:`~workbench.training.commands.ScorePairs`."""

    ANSWERED, FAILED = ev.PairsScored, ev.ScoringPairsFailed

    def answer(self, command: do.ScorePairs, models: Models) -> int:
        """Score them; return how many."""
        trainer, facts = models.trainer, models.facts
        if trainer is None or facts is None:
            raise ResumeError("Load a policy and a reward model first.")
        if lacking := missing_column(trainer.reward, []):
            raise ResumeError(lacking)
        name, judgements = facts.reward.source, self._store.judgements
        waiting = [each for each in judgements.pairs(command.set_id)
                   if each.pair.scored_by != name or math.isnan(each.pair.first.score)
                   or math.isnan(each.pair.second.score)]
        chat = trainer.policy_tokenizer.use_chat_template
        for begin in range(0, len(waiting), _AT_ONCE):
            self.step(Phase.SCORING, begin, len(waiting))
            some = waiting[begin:begin + _AT_ONCE]
            texts = [_exchange(each.pair, side, chat) for each in some
                     for side in (each.pair.first, each.pair.second)]
            scores = score_all(trainer.reward, texts, control=self)[0].tolist()
            judgements.score(
                {each.id: (scores[2 * row], scores[2 * row + 1]) for row, each in enumerate(some)},
                name).result()
        return len(waiting)


def _exchange(pair: PairToJudge, side: Side, chat: bool) -> Exchange:
    """Return a side as a reward reads it: an answer in a chat stands alone."""
    joined = side.text if chat or pair.turns else pair.prompt + side.text
    return Exchange(pair.prompt, side.text, joined, tuple(
        (role, said) for role, said in pair.messages))
