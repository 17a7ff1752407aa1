"""The policy's side of text: prompts to token ids, completions to text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.ppo.reward_model import Exchange


class PromptError(ValueError):
    """A prompt cannot be used. The message is a plain sentence naming it."""


class Scribe:
    """Turns prompts into token ids and what the policy wrote into text, with its tokenizer."""

    def __init__(
        self, tokenizer: Any, eos_ids: Sequence[int], *, context_length: int | None,
        use_chat_template: bool,
    ) -> None:
        self.tokenizer = tokenizer
        self.eos_ids = tuple(eos_ids)
        self.context_length = context_length
        self.use_chat_template = use_chat_template

    def encode(self, prompts: Sequence[str], response_length: int) -> list[list[int]]:
        """Return the token ids of every prompt.

        Raises:
            PromptError: when a prompt and its response do not fit the model's context.
        """
        encoded = [self._encode(prompt) for prompt in prompts]
        limit = self.context_length
        if limit is not None:
            long = [i for i, ids in enumerate(encoded) if len(ids) + response_length > limit]
            if long:
                first = long[0]
                more = f", as are {len(long) - 1} others" if len(long) > 1 else ""
                raise PromptError(
                    f"Prompt {first + 1} ({_shorten(prompts[first])}) is too long{more}: its "
                    f"{len(encoded[first])} tokens and {response_length} of response pass the "
                    f"policy's limit of {limit}; shorten or switch off long prompts, or lower "
                    "the response length.")
        return encoded

    def exchange(self, prompt: str, prompt_ids: Sequence[int], response: Sequence[int]) -> Exchange:
        """Return the text of a prompt and of the response to it."""
        if self.use_chat_template:
            # An answer stands alone. The turns around it and a system prompt are the policy's
            # own affair, and an instruction is not what a judge of texts was trained on.
            completion = self._decode(response)
            return Exchange(prompt, completion, completion)
        lead = self._decode(prompt_ids)
        joined = self._decode([*prompt_ids, *response])
        # Decoding both together keeps the space between them right for every tokenizer.
        completion = (
            joined[len(lead):] if joined.startswith(lead) else self._decode(response))
        return Exchange(prompt, completion, joined)

    def pieces(self, ids: Sequence[int]) -> tuple[str, ...]:
        """Return the text of each token, special ones by name; joined, they read as the text."""
        found: list[str] = []
        # Decoded from the last piece on, which settles the spaces between them: from the very
        # beginning each time would take the square of the length.
        start, read, before = 0, 0, ""
        for end in range(1, len(ids) + 1):
            text = self.tokenizer.decode(ids[start:end])
            # A character may be spread over several tokens: its text appears with the last.
            whole = text.removesuffix("\N{REPLACEMENT CHARACTER}")
            found.append(whole[len(before):])
            if whole == text:
                start, read = read, end
                before = self.tokenizer.decode(ids[start:read])
            elif len(whole) > len(before):
                before = whole
        return tuple(found)

    def _encode(self, prompt: str) -> list[int]:
        if self.use_chat_template:
            return self.tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], add_generation_prompt=True,
                return_dict=False)
        ids = self.tokenizer(prompt)["input_ids"]
        # Some tokenizers close a text by themselves; a prompt is to be continued.
        while ids and ids[-1] in self.eos_ids:
            ids = ids[:-1]
        return ids or self._nothing()

    def _nothing(self) -> list[int]:
        """Stand for an empty prompt: a model needs one token to continue from."""
        for token in (self.tokenizer.bos_token_id, *self.eos_ids):
            if token is not None:
                return [token]
        raise PromptError(
            "An empty prompt cannot be used: the policy's tokenizer has no token that starts a "
            "text; switch empty prompts off.")

    def _decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True)


def _shorten(text: str, length: int = 40) -> str:
    flat = " ".join(text.split())
    return f"“{flat[:length]}…”" if len(flat) > length else f"“{flat}”"
