"""The layouts in which people keep prompts: one record, known by the names of its fields, as a
prompt. What is not part of the prompt is kept as its columns."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from workbench.records import written_out
from workbench.store.records import Message, Prompt

Turns = list[Message]

_ROLES = {
    "system": "system", "developer": "developer",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant",
    "bot": "assistant",
}
HH_TURN = re.compile(r"\n\n(Human|Assistant):")
_HH_ROLES = {"Human": "user", "Assistant": "assistant"}
_FLAGS = ("enabled", "pinned")
_YES = {"1", "true", "yes", "on", "x"}
_NO = {"0", "false", "no", "off"}


class BadRecordError(Exception):
    """Why a record was left out; completes the words "Line 3 ..."."""


def prompt_of(record: Mapping[str, Any]) -> tuple[Prompt, tuple[str, ...]]:
    """Return the prompt of a record, and the names of the fields that it was made of.

    Raises:
        BadRecordError: it holds none, or one that cannot be used.
    """
    fields = Fields(unwrapped(record))
    flags: dict[str, Any] = {name: _flag(name, fields.get(name)) for name in _FLAGS
                             if fields.get(name) not in (None, "")}
    for names, read in _LAYOUTS:
        if all(fields.get(name) is not None for name in names):
            prompt = read(fields)
            break
    else:
        if fields.has("prompt"):
            raise BadRecordError("has an empty prompt")
        known = ", ".join(f"“{name}”" for name in list(fields.record)[:8])
        raise BadRecordError('has no text under "prompt" or "text"'
                             + (f" (its fields: {known})" if known else ""))
    columns = {name: value for name, value in fields.record.items()
               if name.strip().casefold() not in (*fields.whole, *_FLAGS) and name}
    given = columns.get("reward_model")  # verl
    if isinstance(given, dict) and "ground_truth" in given:
        columns.setdefault("ground_truth", given["ground_truth"])
    return replace(prompt, columns=columns, **flags), tuple(fields.used)


def layout_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return which of the columns of these names hold prompts, in lower case; none: it is no
    layout that is known."""
    there = {name.strip().casefold() for name in names}
    return next((layout for layout, _ in _LAYOUTS if there.issuperset(layout)), ())


def text_prompt(text: str) -> Prompt:
    """Return a prompt of a text.

    Raises:
        BadRecordError: it is empty, or no text.
    """
    if not text.strip():
        raise BadRecordError("has an empty prompt")
    check_characters(text)
    return Prompt(text)


def chat_prompt(turns: Sequence[Message]) -> Prompt:
    """Return the prompt of a conversation that ends with the user's turn.

    Raises:
        BadRecordError: that turn is empty.
    """
    if len(turns) == 1:
        return text_prompt(turns[0].content)
    if not turns[-1].content.strip():
        raise BadRecordError("has an empty prompt")
    for _, content in turns:
        check_characters(content)
    return Prompt(written_out(turns), messages=tuple(turns))


class Fields:
    """A record whose fields are asked for by their lower-case names; ``used`` are those that a
    prompt was made of, ``whole`` those of them that it holds all of."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = {str(name): value for name, value in record.items()}
        self._names = {name.strip().casefold(): name for name in reversed(self.record)}
        self.used: list[str] = []
        self.whole: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether there is a field of this name, be it empty."""
        return name in self._names

    def get(self, name: str) -> Any:
        """Return what a field holds; None where there is none."""
        return self.record.get(self._names.get(name, ""))

    def take(self, name: str, *, whole: bool = True) -> Any:
        """Return what a field that there is holds, for a prompt to be made of it."""
        self.used.append(self._names[name])
        if whole:
            self.whole.add(name)
        return self.get(name)


# -- layouts

def unwrapped(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what Label Studio and Argilla put their records' fields into."""
    for name, beside in (("data", "annotations"), ("fields", "responses"), ("row", "row_idx")):
        inner = record.get(name)
        if beside in record and isinstance(inner, dict):
            return {**{k: v for k, v in record.items() if k != name}, **inner}
    return record


def _prompt(fields: Fields) -> Prompt:
    value = fields.take("prompt")
    if isinstance(value, str):
        return text_prompt(value)
    turns = turns_of(value, "prompt")
    if turns and turns[-1].role == "assistant":
        raise BadRecordError(
            'has a "prompt" that ends with the assistant\'s turn instead of the user\'s')
    prompt = chat_prompt(_until_user(turns))
    text = fields.get("prompt_text")  # how the workbench writes what reads otherwise
    if isinstance(text, str) and text.strip():
        return replace(prompt, text=fields.take("prompt_text"), messages=tuple(turns))
    return prompt


def _chat(name: str) -> Callable[[Fields], Prompt]:
    """Return the reader of a conversation: the prompt is what precedes the last answer. The
    system's turn may stand beside it, as LLaMA-Factory has it."""
    def read(fields: Fields) -> Prompt:
        turns = _until_user(turns_of(fields.take(name, whole=False), name))
        begun = turns[0].role in ("system", "developer")
        return chat_prompt(turns) if begun else _with_system(fields, turns)
    return read


def _text(name: str) -> Callable[[Fields], Prompt]:
    """Return the reader of a text, or a conversation, with the system's turn beside it."""
    def read(fields: Fields) -> Prompt:
        value = fields.take(name)
        if isinstance(value, list):
            return chat_prompt(_until_user(turns_of(value, name)))
        if not isinstance(value, str):
            raise BadRecordError(f'has no text under "{name}"')
        return _with_system(fields, [Message("user", value)])
    return read


def _instruction(fields: Fields) -> Prompt:
    """Alpaca's; LLaMA-Factory adds ``system`` and ``history``, pairs of question and answer. Dolly
    calls ``context`` what Alpaca calls ``input``."""
    text = fields.take("instruction")
    if not isinstance(text, str):
        raise BadRecordError('has no text under "instruction"')
    for name in ("input", "context"):
        if isinstance(fields.get(name), str):
            more = fields.take(name)
            text = f"{text}\n{more}" if more.strip() else text
            break
    turns: Turns = []
    if fields.get("history"):
        for pair in fields.take("history"):
            if not isinstance(pair, list) or len(pair) != 2 or not all(
                    isinstance(said, str) for said in pair):
                raise BadRecordError('has a "history" that is no list of questions and answers')
            turns += [Message("user", pair[0]), Message("assistant", pair[1])]
    return _with_system(fields, [*turns, Message("user", text)])


def _with_system(fields: Fields, turns: Turns) -> Prompt:
    for name in ("system", "system_prompt"):
        said = fields.get(name)
        if isinstance(said, str) and said.strip():
            return chat_prompt([Message("system", fields.take(name)), *turns])
    return chat_prompt(turns)


def _summary(fields: Fields) -> Prompt:
    """TL;DR comparisons, as the reward's authors have them read."""
    info = fields.take("info", whole=False)
    text = isinstance(info, dict) and (info.get("post") or info.get("article"))
    if not isinstance(text, str):
        raise BadRecordError('has no text under "info.post"')
    lines = [f"{name.upper()}: {info[name]}" for name in ("subreddit", "title") if info.get(name)]
    return text_prompt("\n\n".join([*lines, f"POST: {text}", "TL;DR:"]))


def _pair(first: str, second: str) -> Callable[[Fields], Prompt]:
    """Return the reader of two answers that begin with the prompt they have in common."""
    def read(fields: Fields) -> Prompt:
        one, other = fields.take(first, whole=False), fields.take(second, whole=False)
        if isinstance(one, str) and isinstance(other, str):
            return _common_text(one, other, f'"{first}" and "{second}"')
        both = zip(turns_of(one, first), turns_of(other, second), strict=False)
        common = [a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], both)]
        if not any(turn.role == "user" for turn in common):
            raise BadRecordError(f'has "{first}" and "{second}" without a turn in common')
        return chat_prompt(_until_user(common))
    return read


def _common_text(one: str, other: str, names: str) -> Prompt:
    common = os.path.commonprefix([one, other])  # noqa: RUF071 - they are no paths
    turns = [m for m in HH_TURN.finditer(common) if m[1] == "Assistant"]
    if turns:  # HH-RLHF: what follows the last turn in common differs
        text = common[: turns[-1].end()]
        before, *parts = HH_TURN.split(text)
        said = tuple(Message(_HH_ROLES[role], content.strip())
                     for role, content in zip(parts[:-2:2], parts[1:-2:2], strict=True))
        whole = not before.strip() and said and said[-1].role == "user"
        return replace(text_prompt(text), messages=said if whole else ())
    if common in (one, other):
        raise BadRecordError(f"has {names} of which one begins with the other, so that nobody "
                             "knows where the prompt ends")
    common = common[: len(common) - len(re.split(r"\s", common)[-1])]  # whole words
    if not common.strip():
        raise BadRecordError(f"has {names} without a beginning in common, and no prompt")
    return text_prompt(common.rstrip())


_LAYOUTS: tuple[tuple[tuple[str, ...], Callable[[Fields], Prompt]], ...] = (
    (("prompt",), _prompt),
    (("messages",), _chat("messages")),
    (("conversations",), _chat("conversations")),
    (("conversation",), _chat("conversation")),
    (("instruction",), _instruction),
    (("question",), _text("question")),
    (("query",), _text("query")),
    (("history",), _text("history")),
    (("context", "response1"), _text("context")),
    (("input",), _text("input")),
    (("info", "summaries"), _summary),
    (("conversation_a", "conversation_b"), _pair("conversation_a", "conversation_b")),
    (("chosen", "rejected"), _pair("chosen", "rejected")),
    (("text",), _text("text")),
)
"""The fields that tell a layout, and what reads it; the first that fits is taken."""

# -- turns

def turns_of(value: Any, name: str) -> Turns:
    """Return the turns of a field that holds a conversation.

    Raises:
        BadRecordError: it holds none.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, list) or not all(isinstance(turn, dict) for turn in value):
        text = "neither text nor a" if name == "prompt" else "no"
        raise BadRecordError(f'has a "{name}" that is {text} list of messages')
    return [Message(_role(turn), _content(turn)) for turn in value]


def _role(turn: Mapping[str, Any]) -> str:
    said = turn.get("role", turn.get("from"))
    role = _ROLES.get(said.lower()) if isinstance(said, str) else None
    if role is None or turn.get("tool_calls") or turn.get("function_call"):
        what = "a call of a tool" if role else f"a turn of “{said}”" if said else "a turn of nobody"
        raise BadRecordError(f"has {what}, where only system, user and assistant are known")
    return role


def _content(turn: Mapping[str, Any]) -> str:
    """Return a turn's text; that of a list of parts is what they say together."""
    content = turn.get("content", turn.get("value"))
    parts = content if isinstance(content, list) else [content]
    said = []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, dict) else None
            raise BadRecordError(f"has a message with a part that is no text ({kind})" if kind
                                 else "has a message without text")
        said.append(text)
    return "".join(said)


def _until_user(turns: Turns) -> Turns:
    last = max((i for i, turn in enumerate(turns) if turn.role == "user"), default=None)
    if last is None:
        raise BadRecordError("has no turn of the user")
    return turns[: last + 1]


# -- values

def _flag(name: str, value: Any) -> bool:
    if isinstance(value, str) and (word := value.strip().lower()) in _YES | _NO:
        return word in _YES
    if not isinstance(value, bool):
        raise BadRecordError(f'has "{name}" that is neither true nor false')
    return value


def check_characters(text: str) -> None:
    """Make sure that a text is one that can be written to a file.

    Raises:
        BadRecordError: it is not.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRecordError("has half a surrogate pair, which is no character") from None
