"""What the Judge view says of a pair, of how far the person is, and of whom they agree with."""

from __future__ import annotations

import getpass
import math
from collections.abc import Mapping

from workbench.formatting import counted, number, percent
from workbench.gui.completions.rows import cycle_name
from workbench.gui.judge.queue import UNMARKED, Queue
from workbench.gui.judge.stage import Said, Shown
from workbench.store.judged import CLEARLY, Choice, Entry, PairToJudge, Side

BEGIN = ("Pairs of completions come here, side by side and without their scores. What you say of "
         "them is kept at once and is what DPO can learn from.")
_TELLING = 5
"""So many preferences say something about the reward."""
_WORDS: Mapping[Said, tuple[str, str]] = {
    "left": ("left", "a pair to learn from"), "right": ("right", "a pair to learn from"),
    "tie": ("tie", "no pair, two thumbs up"), "both_bad": ("both bad", "no pair, two thumbs down"),
    "skip": ("left for later", "")}
"""What was said, in a word, and what it is used for."""


def last(said: Said, strength: int, repeating: bool) -> str:
    """Say what the last mark was, and what it is used for."""
    word, use = _WORDS[said]
    if said in ("left", "right") and strength == CLEARLY:
        word += " clearly"
    use = "asked again" if repeating else use
    return f"last: {word}, {use}" if use else f"last: {word}"


def on_stage(pair: PairToJudge, left: Choice, entry: Entry | None, looks_back: bool) -> Shown:
    """Return how a pair is shown.

    Args:
        left: the side that stands on the left.
        entry: what the person said of it before; None where they are not to know.
        looks_back: the person looks at what they have marked, and may know what the sides are. Who
            may mark a pair anew is left blind.
    """
    one, other = (pair.first, pair.second) if left == "first" else (pair.second, pair.first)
    choice = entry.choice if entry else None
    said: Said | None
    if choice == "first" or choice == "second":
        said = "left" if choice == left else "right"
    else:
        said = choice
    known = looks_back and choice not in (None, "skip")
    return Shown(pair.prompt, one.text, other.text, said,
                 entry is not None and entry.strength == CLEARLY,
                 (_facts(one), _facts(other)) if known else ("", ""))


def progress(queue: Queue) -> str:
    """Say how far the person is, and how far they agree with themselves."""
    done, of = queue.done, len(queue.entries)
    place, shown = queue.position
    said = f"{done:,} of {of:,} marked, {queue.left:,} left" if queue.shown == UNMARKED else (
        f"Pair {place:,} of {shown:,}; {done:,} of {of:,} marked")
    same, again = queue.with_oneself
    return f"{said} · self-agreement {same:,} of {again:,}" if again else said


def against(queue: Queue, name: str, others: Mapping[int, Choice]) -> str:
    """Say how far the person and another agree."""
    both, whole, beyond = queue.with_other(others)
    return (f"You and {name or 'the unnamed'} agree on {both:,} of {counted(whole, 'pair')}"
            f"{_beyond(beyond)}")


def reward(queue: Queue) -> tuple[str, str]:
    """Say how far the person and the reward agree, and how far that is beyond chance; nothing where
    there are too few marks to tell."""
    agrees, told = queue.with_reward
    if told < _TELLING:
        return "", ""
    said = f"You and the reward agree on {percent(agrees / told)} of {counted(told, 'pair')}"
    apart = told - agrees
    if apart:
        said += f"; see {'the one where' if apart == 1 else f'the {apart:,} where'} you do not"
    return said, _beyond(queue.kappa_with_reward)


def over(queue: Queue) -> str:
    """Say that none of the pairs that are wanted is left."""
    of = len(queue.entries)
    if queue.shown != UNMARKED or queue.count(UNMARKED):
        return "No pair is left here."
    return f"All {counted(of, 'pair')} are marked or skipped." if of > 1 else (
        "The pair is marked or skipped.")


def user() -> str:
    """Return the name of the system's user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "You"


def _facts(side: Side) -> str:
    origin, said = side.origin, []
    if not math.isnan(side.score):
        said.append(f"reward {number(side.score)}")
    if origin.run:
        said.append(cycle_name(origin.cycle))
    elif origin.file:
        said.append(f"{origin.file}, line {origin.line:,}")
    elif origin.writer:
        said.append(origin.writer)
    return " · ".join(said)


def _beyond(kappa: float) -> str:
    return "" if math.isnan(kappa) else f", Cohen's kappa {number(kappa)}"
