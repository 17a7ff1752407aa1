"""The texts of pairs that somebody else wrote."""

from __future__ import annotations

import re

from workbench.records import Pair

_FOREIGN = re.compile(
    r"<\|[\w .-]{1,32}\|>|<｜[^｜<>]{1,32}｜>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>"
    r"|<(?:bos|eos|pad|unk)>")
"""How the control tokens of models that people use are spelled."""


def answer_of(pair: Pair, side: int, chat: bool) -> str:
    """Return the text of a completion of a pair as a policy writes it after the prompt."""
    text = pair.answers[side]
    if chat:
        return text.removeprefix(" ")
    # After turns that are written out, an answer is a word like any other.
    return text if isinstance(pair.prompt, str) or text[:1].isspace() else f" {text}"


def foreign_token(pair: Pair, own: set[str]) -> str:
    """Return a control token of another tokenizer that a pair spells, if there is one."""
    for text in (pair.asked.text, *pair.answers):
        for found in _FOREIGN.finditer(text):
            if found[0] not in own:
                return found[0]
    return ""
