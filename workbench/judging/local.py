"""A judge that is a causal language model in memory."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable

import torch

from workbench.judging.questions import Answer, Question
from workbench.models.chat_template import check_template
from workbench.models.policy import Policy
from workbench.models.policy_tokenizer import PolicyTokenizer, PromptError
from workbench.models.sources import LoadError
from workbench.records import TextPrompt

_THEN = "\n\nThe better answer is Answer"
"""What a text goes on with where no template begins the turn of the judge."""
_EQUAL = 1e-6


class LocalJudge:
    """Reads which of two letters is the more probable next token: nothing is written, and nothing
    it could say is to be understood."""

    def __init__(self, name: str, policy: Policy, tokenizer: PolicyTokenizer) -> None:
        """Ask ``policy``, through the chat template where its tokenizer has one that works."""
        self.name = name
        self._policy = policy
        plain, self._chat = tokenizer.tokenizer, False
        if getattr(plain, "chat_template", None):
            with contextlib.suppress(LoadError):  # as text, then
                check_template(plain, name, "policy", answered=False)
                self._chat = True
        self._tokenizer = PolicyTokenizer(
            plain, tokenizer.eos_ids, context_length=tokenizer.context_length,
            use_chat_template=self._chat, rows=tokenizer.rows)

    def ask(self, question: Question, step: Callable[[], object]) -> Answer:
        """Return which letter is the more probable, P(A) / (P(A) + P(B)) from the full
        distribution."""
        step()
        try:
            ids, a, b = self.tokens(question)
        except PromptError:
            return Answer(problem="a text that the judge's tokenizer cannot read")
        limit = self._tokenizer.context_length
        if limit is not None and len(ids) > limit:
            return Answer(problem=f"longer than the {limit:,} tokens that the judge can read")
        with torch.no_grad():
            hidden = self._policy.hidden_states(torch.tensor([ids], device=self._policy.device))
            logits = self._policy.logits(hidden[:, -1])[0]
        probability = torch.sigmoid(logits[a] - logits[b]).item()
        if not math.isfinite(probability):
            return Answer(problem="a probability that is no number")
        if abs(probability - 0.5) < _EQUAL:
            return Answer("C", probability=probability)
        return Answer("A" if probability > 0.5 else "B", probability=probability)

    def tokens(self, question: Question) -> tuple[list[int], int, int]:
        """Return the token ids of a question, and the tokens of A and of B that come next.

        Raises:
            PromptError: the tokenizer cannot write it, or the two letters are one to it.
        """
        text = question.for_model if self._chat else f"{question.for_model}{_THEN}"
        prompt = TextPrompt(text)
        [ids] = self._tokenizer.read([prompt])
        space = "" if self._chat else " "
        a, b = self._tokenizer.read_answers(
            [prompt] * 2, [ids] * 2, [(f"{space}A", False), (f"{space}B", False)])
        for place, (one, other) in enumerate(zip(a, b, strict=False)):
            if one != other:
                return [*ids, *a[:place]], one, other
        raise PromptError("The judge's tokenizer does not tell A from B; choose another.")
