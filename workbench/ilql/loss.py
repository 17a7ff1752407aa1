"""ILQL's loss of a token: ``L_Q + L_V + c L_CQL + c' L_AWAC`` (Snell et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from workbench.ilql.heads import QHeads
from workbench.ilql.hyperparameters import ILQLSettings
from workbench.ilql.objective import q_targets, returns, value_loss_terms
from workbench.learning.epochs import Tokens
from workbench.models.sampling import Completions


class ILQLLoss:
    """The loss of one cycle's update, a :class:`workbench.learning.epochs.RowLoss`: what the next
    state is worth is read of each row first."""

    uses_entropy = False
    reads_logprobs = False

    def __init__(
        self, heads: QHeads, completions: Completions, rewards: Tensor, settings: ILQLSettings
    ) -> None:
        """Learn from ``completions``, whose tokens brought ``rewards``, (b, T)."""
        self._heads, self._completions = heads, completions
        self._rewards, self._settings = rewards, settings
        self.returns = returns(rewards, completions.mask, gamma=settings.gamma)
        """What came in the end of each token, (b, T)."""
        self._after = torch.zeros_like(rewards)
        """V of the state after each token of the rows that were read last, 0 after the last one."""

    def read_rows(self, tokens: Tokens) -> None:
        """Take the states of all tokens of some rows."""
        row, column = tokens.at
        with torch.no_grad():
            values = torch.zeros_like(self._rewards)
            values[row, column] = self._heads.values(tokens.states)
        self._after = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)
        self._after = self._after.masked_fill(~self._completions.mask, 0.0)

    def __call__(self, tokens: Tokens) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss of each token and what is logged, (n,)."""
        hp, at = self._settings, tokens.at
        taken = self._completions.tokens[at].unsqueeze(-1)
        logits = self._heads.online(tokens.states)
        q1, q2 = (q.gather(-1, taken).squeeze(-1) for q in logits)
        target = self._heads.target(tokens.states).gather(-1, taken).squeeze(-1)
        values = self._heads.values(tokens.states)
        aim = q_targets(self._after[at], self._rewards[at], gamma=hp.gamma)
        of_q = (q1 - aim).square() + (q2 - aim).square()
        of_v = value_loss_terms(values, target, tau=hp.tau)
        conservative = sum((
            nn.functional.cross_entropy(q, taken.squeeze(-1), reduction="none") for q in logits),
            torch.zeros_like(values))
        imitation = -tokens.logprobs
        loss = of_q + of_v + hp.cql_coef * conservative + hp.awac_coef * imitation
        with torch.no_grad():
            online = torch.minimum(q1, q2)
            logged = {
                "q": of_q, "v": of_v, "cql": conservative, "awac": imitation, "total": loss,
                "q_mean": online, "v_mean": values, "advantage": target - values,
                "unforeseen": (self.returns[at] - online).square(), "entropy": tokens.entropy,
            }
        return loss, logged
