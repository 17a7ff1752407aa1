"""The policy's side of text: prompts to token ids, completions to text."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from workbench.models.chat_template import lost_turns, reason
from workbench.records import Exchange, PromptLike, TextPrompt, as_prompt, conversation
from workbench.stop_strings import Stopped, cut_at_stop

_CUT = "\N{REPLACEMENT CHARACTER}"
"""What stands for bytes that are no character, or not all of one."""
_TAIL = 64
"""Tokens of a response that are looked through for what ends it."""
_NEAR = 8
"""Tokens of a prompt that settle whether a space follows it."""
_AT_ONCE = 1000
"""Prompts that are encoded in one call: one by one takes ten times as long, and what the tokenizer
tells beside the ids of very many takes much memory."""
_Numbered = Sequence[tuple[int, PromptLike]]


class PromptError(ValueError):
    """A prompt cannot be used. The message is a plain sentence naming it."""


class PolicyTokenizer:
    """Turns prompts into token ids and what the policy wrote into text, with its tokenizer."""

    def __init__(
        self, tokenizer: Any, eos_ids: Sequence[int], *, context_length: int | None,
        use_chat_template: bool, rows: int | None = None,
    ) -> None:
        """Use ``tokenizer``; ``rows`` is how many token ids the policy's embedding has (None:
        every one that the tokenizer has)."""
        self.tokenizer = tokenizer
        self.eos_ids = tuple(eos_ids)
        self.context_length = context_length
        self.use_chat_template = use_chat_template
        self.rows = rows
        special = {i: str(token) for i, token in
                   getattr(tokenizer, "added_tokens_decoder", {}).items() if token.special}
        self._special_ids = frozenset(special)
        longest_first = sorted(special.values(), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
        self._before, self._word = self._find_start()
        self.stop_strings: tuple[str, ...] = ()
        """Texts that end a response (:mod:`workbench.stop_strings`)."""
        self._names: dict[int, str] = {}
        self._texts_next: dict[int, str] = {}
        self._known: dict[tuple[object, bool], list[int]] = {}

    def encode(
        self, prompts: Sequence[str | PromptLike], response_length: int, *,
        control_tokens: bool = False,
    ) -> list[list[int]]:
        """Return the token ids of every prompt, which leaves room for a response.

        Raises:
            PromptError: a prompt and its response do not fit the model's context; as :meth:`read`.
        """
        encoded = self.read(prompts, control_tokens=control_tokens)
        self.check_lengths(prompts, encoded, response_length)
        return encoded

    def read(
        self, prompts: Sequence[str | PromptLike], *, control_tokens: bool = False
    ) -> list[list[int]]:
        """Return the token ids of every prompt, however long. Those of the last call are known
        already.

        Args:
            control_tokens: what a prompt spells like a control token of the policy, ``<|im_end|>``
                say, is one; else it is text like any other.

        Raises:
            PromptError: a prompt cannot be written with what tokenizer, template and weights know.
        """
        asked = list(map(as_prompt, prompts))
        keys = [(self._key(prompt), control_tokens) for prompt in asked]
        new: dict[tuple[object, bool], tuple[int, PromptLike]] = {}
        for number, (key, prompt) in enumerate(zip(keys, asked, strict=True), 1):
            if key not in self._known:
                new.setdefault(key, (number, prompt))
        known = {key: self._known[key] for key in keys if key in self._known}
        known |= zip(new, self._encode(list(new.values()), control_tokens), strict=True)
        encoded = [known[key] for key in keys]
        self._check_rows(asked, encoded)
        self._known = known
        return encoded

    def read_answers(
        self, prompts: Sequence[PromptLike], prompt_ids: Sequence[Sequence[int]],
        answers: Sequence[tuple[str, bool]],
    ) -> list[list[int]]:
        """Return the token ids of completions that somebody else wrote, as the policy would have to
        write them after ``prompt_ids``.

        Args:
            answers: the text of each, and whether it ended, so that an end token follows it.

        Raises:
            PromptError: the tokenizer cannot read one.
        """
        texts = [text for text, _ in answers]
        alone = self._bare(texts)
        found = alone
        if not self.use_chat_template:
            # Read together with its prompt, an answer has the space before it, or none, as the
            # tokenizer writes it there; where both grow together into a token, the prompt's stay.
            found = []
            joined = self._bare([p.text + text for p, text in zip(prompts, texts, strict=True)])
            for ids, together, own in zip(prompt_ids, joined, alone, strict=True):
                lead = list(ids[len(self._before):]) if (
                    list(ids[: len(self._before)]) == self._before) else list(ids)
                found.append(together[len(lead):] if together[: len(lead)] == lead else own)
        end = self._end_of_answer()
        return [ids + end if ended else ids
                for ids, (_, ended) in zip(found, answers, strict=True)]

    def _bare(self, texts: Sequence[str]) -> list[list[int]]:
        found: list[list[int]] = []
        for start in range(0, len(texts), _AT_ONCE):
            some = list(texts[start : start + _AT_ONCE])
            try:
                found += self.tokenizer(
                    some, add_special_tokens=False, return_attention_mask=False,
                    return_token_type_ids=False, split_special_tokens=True)["input_ids"]
            except Exception as error:
                raise PromptError("The policy's tokenizer cannot read a completion of the pairs: "
                                  f"{reason(error)}; take it out.") from error
        return [list(ids) for ids in found]

    def _end_of_answer(self) -> list[int]:
        own = getattr(self.tokenizer, "eos_token_id", None)
        return [own] if own in self.eos_ids else list(self.eos_ids[:1])

    def check_lengths(
        self, prompts: Sequence[str | PromptLike], encoded: Sequence[Sequence[int]],
        response_length: int,
    ) -> None:
        """Make sure that every prompt leaves room for a response.

        Raises:
            PromptError: one does not.
        """
        limit = self.context_length
        if limit is None:
            return
        long = [i for i, ids in enumerate(encoded) if len(ids) + response_length > limit]
        if long:
            first = long[0]
            others = len(long) - 1
            more = f", as {'is' if others == 1 else 'are'} {others:,} " + (
                "other" if others == 1 else "others") if others else ""
            raise PromptError(
                f"Prompt {first + 1:,} ({_shorten(prompts[first])}) is too long{more}: its "
                f"{len(encoded[first]):,} tokens and {response_length} of response pass the "
                f"policy's limit of {limit:,}; shorten or switch off long prompts, or lower "
                "the response length.")

    def remark(
        self, prompts: Sequence[str | PromptLike], encoded: Sequence[Sequence[int]], *,
        control_tokens: bool = False,
    ) -> str:
        """Return sentences on turns of prompts that the chat template leaves out, and on prompts
        that spell control tokens without being told to mean them, or nothing."""
        asked = list(map(as_prompt, prompts))
        return " ".join(filter(None, [
            self._about_turns(asked), self._about_control_tokens(asked, encoded, control_tokens)]))

    def _about_turns(self, prompts: Sequence[PromptLike]) -> str:
        if not self.use_chat_template:
            return ""
        kinds = Counter(tuple(role for role, _ in p.messages) for p in prompts if p.messages)
        lost: Counter[str] = Counter()
        for roles, number in kinds.items():
            with contextlib.suppress(Exception):  # it knows no such turns, or has made them up
                for role in lost_turns(self.tokenizer, roles, add_generation_prompt=True):
                    lost[role] += number
        said = [f"{'a system turn' if role in ('system', 'developer') else f'turns of the {role}'} "
                f"in {f'{number:,} prompts' if number > 1 else 'one prompt'}"
                for role, number in lost.items()]
        return (f"The policy's chat template leaves out {' and '.join(said)}: the policy does not "
                "read them." if said else "")

    def _about_control_tokens(
        self, asked: Sequence[PromptLike], encoded: Sequence[Sequence[int]], control_tokens: bool
    ) -> str:
        spelled = [i for i, prompt in enumerate(asked) if self._spells(prompt)]
        if control_tokens or not spelled:
            return ""
        names = ", ".join(dict.fromkeys(
            found for i in spelled for text in self._texts(asked[i])
            for found in self._special.findall(text)))
        one = len(spelled) == 1
        said = (f"{'One prompt spells' if one else f'{len(spelled)} prompts spell'} control tokens "
                f"of the policy ({names})")
        without = self._encode([(i + 1, self._without(asked[i])) for i in spelled], False)
        if any(self._count(encoded[i]) > self._count(ids)
               for i, ids in zip(spelled, without, strict=True)):
            return (f"{said}, and its tokenizer has no other way to write them: they are control "
                    "tokens there, not text.")
        return (f"{said}; they are read as text. If they are meant, set Control tokens in prompts "
                "(control_tokens) to tokens.")

    def exchange(
        self, prompt: str | PromptLike, prompt_ids: Sequence[int], response: Sequence[int]
    ) -> Exchange:
        """Return the text of a prompt, as it was typed, and of the response to it."""
        prompt = as_prompt(prompt)
        beside = tuple(prompt.messages), prompt.columns
        if self.use_chat_template:
            # An answer stands alone. The turns around it and a system prompt are the policy's
            # own affair, and an instruction is not what a judge of texts was trained on.
            completion = self._cut(self._decode(response))
            return Exchange(prompt.text, completion, completion, *beside)
        lead = self._decode(prompt_ids)
        completion = self._cut(self._continuation(lead, prompt_ids, response))
        # A space that a tokenizer drops at the end of a prompt is written again by the response.
        closing = prompt.text[len(prompt.text.rstrip()):]
        again = bool(closing) and not lead.endswith(closing)
        joined = prompt.text + (completion.removeprefix(" ") if again else completion)
        return Exchange(prompt.text, completion, joined, *beside)

    @property
    def stopped(self) -> Stopped | None:
        """What tells whether a response has come to a stop string; None: there is none."""
        return self._stopped if self.stop_strings else None

    def _stopped(self, prompt_ids: Sequence[int], response: Sequence[int]) -> bool:
        # A token writes a character or more, or at least a byte of one, which takes no more than 4.
        tail = max(_TAIL, 4 * max(map(len, self.stop_strings)))
        if len(response) > tail:
            text = self._decode(response[-tail:])
        else:
            near = [] if self.use_chat_template else prompt_ids[-_NEAR:]
            text = self._continuation(self._decode(near), near, response)
        return any(stop in text for stop in self.stop_strings)

    def _continuation(
        self, lead: str, prompt_ids: Sequence[int], response: Sequence[int]
    ) -> str:
        """Return the text of a response after ``lead``, the text of its prompt. Reading both
        together keeps the space between them right for every tokenizer."""
        both = self._decode([*prompt_ids, *response])
        return both[len(lead):] if both.startswith(lead) else self._decode(response)

    def _cut(self, completion: str) -> str:
        return cut_at_stop(completion, self.stop_strings)

    def pieces(self, ids: Sequence[int]) -> tuple[str, ...]:
        """Return the text of each token; joined, they read as the text. A special token, and one
        that has no text, stands by its name."""
        names = [self._name(token) for token in ids]
        texts = iter(self._pieces([i for i, name in zip(ids, names, strict=True) if not name]))
        return tuple(name or next(texts) for name in names)

    def texts(self, tokens: Iterable[int]) -> dict[int, str]:
        """Return the text that each of several tokens adds where it comes next."""
        wanted = set(tokens)
        if new := wanted - self._texts_next.keys():
            # After a word: the first token of a text may lose the space that it begins with.
            self._texts_next |= {token: self.pieces([*self._word, token])[-1] for token in new}
        return {token: self._texts_next[token] for token in wanted}

    def _pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the text of each of several tokens that have one."""
        found: list[str] = []
        # Decoded from the last piece on, which settles the spaces between them: from the very
        # beginning each time would take the square of the length.
        start, read, before = 0, 0, ""
        for end in range(1, len(ids) + 1):
            some = self._decode(ids[start:end])
            # A character may be spread over several tokens: its text appears with the last.
            whole = some.rstrip(_CUT)
            found.append(whole[len(before):])
            if whole == some:
                start, read = read, end
                before = self._decode(ids[start:read])
            elif len(whole) > len(before):
                before = whole
        text = self._decode(ids)
        return found if "".join(found) == text else self._exact_pieces(ids, text)

    def _exact_pieces(self, ids: Sequence[int], text: str) -> list[str]:
        """Return of each token what it settles of ``text``, which has bytes that make no
        character: some tokenizers read those before them otherwise once they follow."""
        ends = [len(text)]
        for end in range(len(ids) - 1, -1, -1):
            ends.append(min(ends[-1], _alike(self._decode(ids[:end]), text)))
        return [text[a:b] for a, b in itertools.pairwise(reversed(ends))]

    def _name(self, token: int) -> str:
        """Return the name of a token that is no part of the text, else nothing."""
        if token not in self._names:
            convert = getattr(self.tokenizer, "convert_ids_to_tokens", lambda token: "?")
            known = convert(token)
            special = not self._decode([token]) and self.tokenizer.decode([token])
            # Models have room for more tokens than their tokenizers know.
            self._names[token] = f"<id {token}>" if not known else known if special else ""
        return self._names[token]

    def _key(self, prompt: PromptLike) -> object:
        """Return all of a prompt that decides its tokens."""
        return (tuple(prompt.messages) if self.use_chat_template else ()) or prompt.text

    def _texts(self, prompt: PromptLike) -> list[str]:
        """Return what of a prompt the policy reads."""
        if self.use_chat_template:
            return [turn["content"] for turn in conversation(prompt)]
        return [prompt.text]

    def _spells(self, prompt: PromptLike) -> bool:
        """Whether a prompt has what reads like a control token."""
        return any(self._special.search(text) for text in self._texts(prompt))

    def _without(self, prompt: PromptLike) -> PromptLike:
        """Return a prompt without what reads like control tokens."""
        def strip(text: str) -> str:
            return self._special.sub("", text) or " "
        turns = tuple((role, strip(content)) for role, content in prompt.messages)
        return TextPrompt(strip(prompt.text), turns)

    def _encode(self, prompts: _Numbered, control_tokens: bool) -> list[list[int]]:
        """Return the token ids of prompts, each with the number to name it by."""
        encode = self._as_turns if self.use_chat_template else self._as_text
        found: list[list[int]] = []
        for start in range(0, len(prompts), _AT_ONCE):
            found += encode(prompts[start : start + _AT_ONCE], control_tokens)
        return found

    def _as_text(self, prompts: _Numbered, control_tokens: bool) -> list[list[int]]:
        try:
            rows = self.tokenizer(
                [prompt.text for _, prompt in prompts], add_special_tokens=False,
                return_attention_mask=False, return_token_type_ids=False,
                split_special_tokens=not control_tokens)["input_ids"]
        except Exception as error:
            if len(prompts) > 1:  # one by one, to find which it was
                return [row for each in prompts for row in self._as_text([each], control_tokens)]
            [(number, prompt)] = prompts
            raise PromptError(
                f"The policy's tokenizer cannot read prompt {number:,} ({_shorten(prompt)}): "
                f"{reason(error)}; change or switch off the prompt.") from error
        # Who writes the turns of a chat may have written what begins a text as well.
        begins = len(self._before)
        return [(ids if ids[:begins] == self._before else [*self._before, *ids])
                or self._nothing() for ids in rows]

    def _as_turns(self, prompts: _Numbered, control_tokens: bool) -> list[list[int]]:
        # Telling text from control tokens takes time where there is nothing to tell.
        plain = [each for each in prompts if control_tokens or not self._spells(each[1])]
        found: dict[int, list[int]] = {}
        if len(plain) > 1:
            with contextlib.suppress(Exception):  # which prompt is at fault is found below
                rows = self._render([conversation(prompt) for _, prompt in plain])
                found = dict(zip((number for number, _ in plain), rows, strict=True))
        return [found[number] if number in found else self._as_turn(number, prompt, control_tokens)
                for number, prompt in prompts]

    def _as_turn(self, number: int, prompt: PromptLike, control_tokens: bool) -> list[int]:
        turns = [conversation(prompt)]
        try:
            if not control_tokens and self._spells(prompt):
                # A tokenizer of whole words has no other way to write them.
                with contextlib.suppress(ValueError):
                    return self._render(turns, sanitize_control_tokens=True)[0]
            return self._render(turns)[0]
        except Exception as error:
            raise PromptError(
                f"The policy's chat template fails on prompt {number:,} ({_shorten(prompt)}): "
                f"{reason(error)}; change or switch off the prompt, or load the policy again "
                "with the chat template switched off.") from error

    def _render(self, conversations: list[list[dict[str, str]]], **how: bool) -> list[list[int]]:
        rows = self.tokenizer.apply_chat_template(
            conversations, add_generation_prompt=True, return_dict=False, **how)
        return [ids or self._nothing() for ids in rows]

    def _find_start(self) -> tuple[list[int], list[int]]:
        """Return the ids that the tokenizer puts before every text, and those of some word. What it
        puts after a text is left out: a prompt is to be continued."""
        for probe in ("a", "the", " ", "1", self._some_word()):
            try:
                bare = self.tokenizer([probe], add_special_tokens=False)["input_ids"][0]
                whole = self.tokenizer([probe])["input_ids"][0]
            except Exception:  # its vocabulary has no way to write it
                continue
            for start in range(len(whole) - len(bare) + 1) if bare else ():
                if whole[start : start + len(bare)] == bare:
                    return whole[:start], bare
        return [], []

    def _some_word(self) -> str:
        """Return the text of a token in the middle of the vocabulary, "" where none is told."""
        known: dict[str, int] = getattr(self.tokenizer, "get_vocab", dict)()
        plain = sorted(set(known.values()) - self._special_ids)
        return self._decode([plain[len(plain) // 2]]) if plain else ""

    def _check_rows(self, prompts: Sequence[PromptLike], encoded: Sequence[Sequence[int]]) -> None:
        if self.rows is None:
            return
        for number, (prompt, ids) in enumerate(zip(prompts, encoded, strict=True), 1):
            if ids and max(ids) >= self.rows:
                name = self.tokenizer.convert_ids_to_tokens(max(ids))
                raise PromptError(
                    f"Prompt {number:,} ({_shorten(prompt)}) needs the token {name} (id "
                    f"{max(ids)}), for which the policy's weights have no row: they know "
                    f"{self.rows:,} tokens. Change the prompt, or choose a policy whose weights "
                    "belong to its tokenizer.")

    def _count(self, ids: Sequence[int]) -> int:
        """Count control tokens."""
        return sum(i in self._special_ids for i in ids)

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


def _alike(text: str, other: str) -> int:
    """Return how many characters two texts begin with in common."""
    pairs = enumerate(zip(text, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(text), len(other)))


def _shorten(prompt: str | PromptLike, length: int = 40) -> str:
    flat = " ".join(as_prompt(prompt).text[: 10 * length].split())
    return f"“{flat[:length]}…”" if len(flat) > length else f"“{flat}”"
