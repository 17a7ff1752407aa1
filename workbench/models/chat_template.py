"""Trying a chat template before it is relied on.

A template is a program that came with a model. transformers runs it in a sandbox, from which it
cannot reach files; but it may loop for ever or ask for all of memory. So it is first rendered in a
process of its own, with limits.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from workbench.models.sources import LoadError

_SECONDS = 2
"""Of computing; a template takes milliseconds."""
_PATIENCE = 60
"""Seconds to wait on a machine that is busy with other things."""
_BYTES = 2**30
_LONGEST = 1_000_000
"""Characters of a template, and of what it writes around a short prompt."""
_SHORT, _ANSWER = "How are you today?", "Very well, and you?"
_PROBES = (_SHORT, 200 * "Tell me about tea. ")

# Runs without our packages: transformers takes seconds to import. Its environment is rebuilt as far
# as time and memory go; whether the template works is then tried with the real one.
_CHILD = """
import json, sys
seconds, memory, longest = map(int, sys.argv[1:])
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except (ImportError, OSError, ValueError):
    pass
import datetime, jinja2, jinja2.ext, jinja2.sandbox
class Generation(jinja2.ext.Extension):
    tags = {"generation"}
    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)
environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
environment.filters["tojson"] = lambda x, **more: json.dumps(x, ensure_ascii=False, **more)
def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
asked = json.load(sys.stdin)
try:
    template = environment.from_string(asked["template"])
    for turns in asked["conversations"]:
        written = 0
        for part in template.generate(messages=turns, **asked["more"]):
            written += len(part)
            if written > longest:
                sys.exit(4)
except MemoryError:
    sys.exit(3)
except Exception:
    pass  # the real one says what is wrong
"""


def check_template(tokenizer: Any, source: str, what: str, *, answered: bool) -> None:
    """Make sure that a tokenizer's chat template ends, and writes what it is given.

    Args:
        what: "policy" or "reward model", which ``source`` is.
        answered: also try it with an answer, as a reward model reads.

    Raises:
        LoadError: with one sentence that says what is wrong and what to do.
    """
    cure = ("mend or delete the template in its folder" if answered else
            "load it again with the chat template switched off")

    def refuse(problem: str) -> LoadError:
        return LoadError(f"The chat template of the {what} {source} {problem}; {cure}.")

    try:
        template = tokenizer.get_chat_template()
    except ValueError as error:
        raise refuse("is one of several, and none is the default") from error
    if len(template) > _LONGEST:
        raise refuse(f"is too long to be one ({len(template):,} characters)")
    conversations = [_turns(probe, answered) for probe in _PROBES]
    more = {name: str(token) for name, token in tokenizer.special_tokens_map.items()
            if isinstance(token, str)} | {"add_generation_prompt": not answered}
    if problem := _try_apart(json.dumps(
            {"template": template, "conversations": conversations, "more": more})):
        raise refuse(problem)
    for turns in conversations:
        try:
            text = tokenizer.apply_chat_template(
                turns, add_generation_prompt=not answered, tokenize=False)
        except Exception as error:
            raise refuse(f"cannot be used ({reason(error)})") from error
        lost = [turn["role"] for turn in turns if turn["content"].strip() not in text]
        if lost:
            part = "prompt" if lost[0] == "user" else "answer"
            raise refuse(f"leaves out the text of the {part}")


def closing_token(tokenizer: Any) -> int | None:
    """Return the token with which a chat template closes an answer; None: it closes it by text, or
    not at all."""
    try:
        text = tokenizer.apply_chat_template(_turns(_SHORT, answered=True), tokenize=False)
    except Exception:  # it is asked for prompts alone
        return None
    _, found, rest = text.rpartition(_ANSWER)
    ids = tokenizer([rest.lstrip()], add_special_tokens=False)["input_ids"][0] if found else []
    return ids[0] if ids and ids[0] in tokenizer.added_tokens_decoder else None


def lost_turns(tokenizer: Any, roles: Sequence[str], **how: bool) -> list[str]:
    """Return the roles of a conversation whose words a chat template leaves out."""
    turns = [{"role": role, "content": f"What turn {number} says."}
             for number, role in enumerate(roles)]
    text = tokenizer.apply_chat_template(turns, tokenize=False, **how)
    return [*dict.fromkeys(turn["role"] for turn in turns if turn["content"] not in text)]


def about_system(tokenizer: Any) -> str:
    """Return a sentence on what a reward model's chat template makes of a system turn, where that
    is not read."""
    try:
        if "system" not in lost_turns(tokenizer, ("system", "user", "assistant")):
            return ""
    except Exception as error:
        return (f"Its chat template takes no system turn ({reason(error)}): prompts that have one "
                "cannot be scored; let it read text instead.")
    return ("Its chat template leaves out a system turn: prompts that have one are scored without "
            "it.")


def reason(error: BaseException, most: int = 200) -> str:
    """Return what an error says, as the middle of a sentence of at most ``most`` characters."""
    said = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return f"{said[:most]}…" if len(said) > most else said


def _turns(prompt: str, answered: bool) -> list[dict[str, str]]:
    turns = [{"role": "user", "content": prompt.strip()}]
    return [*turns, {"role": "assistant", "content": _ANSWER}] if answered else turns


@cache
def _try_apart(asked: str) -> str:
    """Render in another process; return what is wrong, "" for nothing."""
    command: Sequence[str] = [
        sys.executable, "-I", "-c", _CHILD, str(_SECONDS), str(_BYTES), str(_LONGEST)]
    try:
        status = subprocess.run(
            command, input=asked.encode(), timeout=_PATIENCE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, check=False,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)).returncode
    except subprocess.TimeoutExpired:
        return "does not end"
    except OSError:
        return ""  # no process can be started: the sandbox alone must do
    if status == 3:
        return "asks for more memory than any text needs"
    if status == 4:
        return f"writes more than {_LONGEST:,} characters around a short prompt"
    # A signal: it used up its time, or more memory than the interpreter could live without.
    return "does not end, or asks for more memory than any text needs" if status else ""
