"""``ppo-workbench judge``: an AI says which completions of a set's pairs are better."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path

from workbench.consent import typed_answer
from workbench.exit_status import INTERRUPTED, UNUSABLE
from workbench.formatting import counted
from workbench.headless import Engine, opened, unusable
from workbench.judging.asking import MARKED_BY
from workbench.judging.choice import IN_MEMORY, Chosen
from workbench.judging.questions import RUBRIC
from workbench.judging.server import KEY, consent_of, sent_to
from workbench.models.sources import LoadError
from workbench.options import UsageError
from workbench.store.home import StoreError
from workbench.store.judged_rows import guidelines_digest
from workbench.store.store import Store
from workbench.terminal import say, tell
from workbench.training import commands as do
from workbench.training import events as ev

_TENTHS = 10


def judge(options: argparse.Namespace) -> int:
    """Have a set judged and print how far the judge can be trusted.

    The exit status is 0 once all is asked; 2: it cannot be; 130: interrupted, and the same command
    goes on.
    """
    options.json = False
    try:
        chosen, rubric = _chosen(options), _rubric(options.rubric)
        with opened(options) as engine:
            return _judge(engine, options, chosen, rubric)
    except (LoadError, StoreError, UsageError) as error:
        return unusable(error)


def _chosen(options: argparse.Namespace) -> Chosen:
    chosen = Chosen.of(options.judge, options.model)
    if chosen.source == IN_MEMORY:
        raise UsageError("No policy is in memory here; name a model, or a folder that one was "
                         "exported to.")
    if options.model and not chosen.remote:
        raise UsageError("--model goes with the address of a server.")
    if options.most is not None and options.most < 1:
        raise UsageError(f"--most must be at least 1, not {options.most}.")
    return chosen


def _rubric(file: str | None) -> str:
    if file is None:
        return RUBRIC
    try:
        text = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"The rubric {file} cannot be read: {why}.") from error
    if not text:
        raise UsageError(f"The rubric {file} is empty; say what makes an answer better.")
    return text


def _judge(engine: Engine, options: argparse.Namespace, chosen: Chosen, rubric: str) -> int:
    store = engine.store
    found = store.judgements.set(options.set)
    if found is None:
        names = ", ".join(f"“{each.name}”" for each in store.judgements.sets())
        raise UsageError(f"There is no set “{options.set}”; " + (
            f"there are: {names}." if names else "add pairs in Judge, in the window, first."))
    by = f"{MARKED_BY}{chosen.name}" if chosen.name else ""
    questions = len(store.judge_answers.missing(found.id, by, rubric, options.most))
    if chosen.remote and not _agreed(store, chosen, questions, options.trust_judge_server):
        return UNUSABLE
    engine.session.send(do.JudgePairs(
        1, found.id, options.judge, rubric, options.most, options.model))
    status, by = _follow(engine, by)
    for quality in store.judge_answers.qualities(found.id, _person(store, found.id)):
        if quality.by == by and quality.rubric == guidelines_digest(rubric):
            say(f"{by}: {quality.summary}")
    return status


def _follow(engine: Engine, by: str) -> tuple[int, str]:
    """Print how far it is; return the exit status, and what the marks are by."""
    tenth = -1
    while True:
        match engine.events.get():
            case ev.Judging(text=text) if text:
                pass
            case ev.Judging(done=done, total=total):
                if total and done * _TENTHS // total > tenth:
                    tenth = done * _TENTHS // total
                    say(f"{done:,} of {counted(total, 'question')} answered.")
            case ev.PairsJudged(by=name):
                return 0, name
            case ev.JudgingFailed(sentence=sentence):
                if not sentence:
                    tell("What was answered is kept; the same command goes on.")
                    return INTERRUPTED, by
                tell(sentence)
                return UNUSABLE, by
            case ev.CommandRefused(sentence=sentence):
                tell(sentence)
                return INTERRUPTED if engine.interrupted() else UNUSABLE, by


def _agreed(store: Store, chosen: Chosen, questions: int, said_so: bool) -> bool:
    """Whether the person agrees to what is sent: before, by an option, or when asked."""
    consent = consent_of(chosen.source)
    if store.is_trusted(consent):
        return True
    sentence = sent_to(chosen.source, questions)
    if not said_so and not (sys.stdin.isatty() and sys.stderr.isatty()):
        tell(f"{sentence} You have not agreed to that; add --trust-judge-server.")
        return False
    if not said_so:
        print(f"{sentence} Who runs it can read and keep them. A key is taken from {KEY}. Send "
              "them? [y/N] ", end="", file=sys.stderr, flush=True)
        if typed_answer().strip().lower() not in ("y", "yes"):
            tell("it was not asked.")
            return False
    store.trust(consent, chosen.source).result()
    return True


def _person(store: Store, set_id: int) -> str:
    """Return whose marks the judge is held against: those of the system's user, or of the only
    person there is."""
    people = [name for name in store.judgements.people(set_id) if not name.startswith(MARKED_BY)]
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = ""
    return people[0] if len(people) == 1 else user
