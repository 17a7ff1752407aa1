"""What a policy is asked to complete, and what comes of it. No torch, no Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PromptLike(Protocol):
    """A text, or a conversation whose next turn is to be written.

    ``text`` is what a person reads, and what the policy continues without a chat template;
    ``messages`` are the turns, each a role and its content, where there is more to a prompt than
    one turn of the user; ``columns`` what else is known of it, for a reward that asks.
    """

    @property
    def text(self) -> str: ...
    @property
    def messages(self) -> Sequence[tuple[str, str]]: ...
    @property
    def columns(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """A prompt that is text and nothing else."""

    text: str
    messages: tuple[tuple[str, str], ...] = ()
    columns: Mapping[str, object] = field(default_factory=dict, hash=False)


def as_prompt(prompt: str | PromptLike) -> PromptLike:
    """Return a prompt, of a text alone as well."""
    return TextPrompt(prompt) if isinstance(prompt, str) else prompt


def conversation(prompt: PromptLike) -> list[dict[str, str]]:
    """Return a prompt as chat templates take it: a text is a turn of the user."""
    turns = prompt.messages or [("user", prompt.text)]
    return [{"role": role, "content": content} for role, content in turns]


def with_equal_columns(prompts: Sequence[str | PromptLike]) -> list[PromptLike]:
    """Return prompts that all have the columns that any of them has; what is missing is None."""
    found = [as_prompt(prompt) for prompt in prompts]
    names: dict[str, object] = dict.fromkeys(name for p in found for name in p.columns)
    return [prompt if len(prompt.columns) == len(names) else TextPrompt(
        prompt.text, tuple(prompt.messages), {**names, **prompt.columns})
        for prompt in found]


def written_out(turns: Sequence[tuple[str, str]]) -> str:
    """Return a conversation as a person reads it, up to where the assistant goes on."""
    said = "".join(f"{role.capitalize()}: {content}\n\n" for role, content in turns)
    return f"{said}Assistant:"


Turns = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two completions of one prompt, of which one was found better.

    All three are texts, or all three lists of turns: the prompt's up to the user's last, and the
    assistant's answer to it. ``messages`` are the turns of a prompt that is text and writes them
    out. A completion that has not ``ended`` was cut, and no end is learned after it. ``margin`` is
    by how much the chosen one was found better, and ``by`` who found so, where that is known.
    """

    prompt: str | Turns
    chosen: str | Turns
    rejected: str | Turns
    messages: tuple[tuple[str, str], ...] = ()
    chosen_ended: bool = True
    rejected_ended: bool = True
    margin: float | None = None
    by: str = ""

    @property
    def asked(self) -> TextPrompt:
        """The prompt as a policy is asked it."""
        if isinstance(self.prompt, str):
            return TextPrompt(self.prompt, self.messages)
        if len(self.prompt) == 1:
            return TextPrompt(self.prompt[0][1])
        return TextPrompt(written_out(self.prompt), tuple(self.prompt))

    @property
    def answers(self) -> tuple[str, str]:
        """The texts of the chosen and of the rejected completion."""
        chosen, rejected = (each if isinstance(each, str) else each[-1][1]
                            for each in (self.chosen, self.rejected))
        return chosen, rejected


@dataclass(frozen=True, slots=True)
class PairData:
    """Pairs that a run learns from: ``what`` they are, in a few words, and what was read and left
    out on the way, in a sentence."""

    kind: ClassVar = "pairs"
    what: str
    pairs: Sequence[Pair]
    summary: str = ""

    @property
    def items(self) -> Sequence[Pair]:
        """What is learned from."""
        return self.pairs


@dataclass(frozen=True, slots=True)
class ScoredText:
    """A completion that somebody wrote and somebody scored; ``ended``: an end token follows it."""

    prompt: PromptLike
    completion: str
    score: float
    ended: bool = True


@dataclass(frozen=True, slots=True)
class ScoredData:
    """Scored completions that a run learns from, told of as :class:`PairData` is."""

    kind: ClassVar = "completions"
    what: str
    texts: Sequence[ScoredText]
    summary: str = ""

    @property
    def items(self) -> Sequence[ScoredText]:
        """What is learned from."""
        return self.texts


RunData = PairData | ScoredData
"""What a run learns from beside its prompts; ``kind`` is what its algorithm ``learns_from``."""

DataByKind = Mapping[str, RunData | tuple[int, ...]]
"""What was chosen to be learned from, by its kind: that, or the numbers of the runs whose
completions it is. Of a kind that is not there it is what there is without a choice
(:class:`workbench.training.commands.Start`)."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt and its completion as text.

    ``joined`` is what a reader who knows no turns should see: the prompt as it was typed and what
    the policy wrote after it, or the completion alone where it answers in a chat. ``messages`` and
    ``columns`` are those of the prompt (:class:`PromptLike`).
    """

    prompt: str
    completion: str
    joined: str
    messages: tuple[tuple[str, str], ...] = ()
    columns: Mapping[str, object] = field(default_factory=dict, hash=False)

    @property
    def answer(self) -> str:
        """The completion as a text of its own: without the space that joins it to the prompt."""
        return self.completion.removeprefix(" ")


@dataclass(frozen=True, slots=True)
class Completion:
    """One completion as a person reads it. ``prompt`` is its position among the prompts;
    ``parts`` has what each part of a weighted sum gave; ``cut`` tokens at the beginning were too
    many for the reward model."""

    prompt: int
    text: str
    score: float
    kl: float
    length: int
    ended: bool
    parts: Mapping[str, float] = field(default_factory=dict)
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Likeliest:
    """The tokens that the policy found likeliest at each of T places, likeliest first, and last
    the one that was drawn: k in all, of which one may come twice.

    ``tokens`` is (T, k) int32, ``pieces`` their texts. ``logprobs`` are their log-probabilities,
    (T, k) float32 each, by whom: the ``start`` policy, the one that wrote (``before`` the update)
    and the updated one (``after``), as far as they are known.
    """

    tokens: np.ndarray
    pieces: Mapping[int, str]
    logprobs: Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class TokenTrace:
    """One completion token by token. ``position`` is its row in the cycle's batch.

    ``numbers`` has the algorithm's columns (PPO's: :meth:`workbench.ppo.cycle.PPOTrainer.columns`),
    each (T,) float32, for the T tokens of ``tokens`` and ``pieces``. ``likeliest`` is None where it
    was not kept.
    """

    position: int
    prompt: int
    tokens: np.ndarray
    pieces: tuple[str, ...]
    numbers: Mapping[str, np.ndarray]
    likeliest: Likeliest | None = None
    prompt_text: str = ""
    """Its prompt, where that is none of the run's; ``prompt`` is -1 then, and the cycle did not
    write it."""
    worth: float = math.nan
    """What such a one came to."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a cycle in hand has so far: completions that it is to learn from, whose score and KL may
    not be known yet (NaN), and tokens of them, whose columns may be fewer."""

    rollout: Sequence[Completion]
    traces: Sequence[TokenTrace] = ()


@dataclass(frozen=True, slots=True)
class Continuation:
    """What was written after a branch, as token ids and as text, and what the reward gave the
    whole completion."""

    tokens: tuple[int, ...]
    pieces: tuple[str, ...]
    score: float
    ended: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """A token that could come next. ``chance`` and ``start_chance`` are its probabilities by the
    policy that wrote on and by the start policy, at the sampling temperature; ``value`` is what
    the value head foresees after it."""

    token: int
    piece: str
    chance: float
    start_chance: float
    value: float
    continuations: tuple[Continuation, ...] = ()

    @property
    def worth(self) -> float:
        """The mean score of what was written after it; NaN where nothing was."""
        scores = [c.score for c in self.continuations]
        return sum(scores) / len(scores) if scores else float("nan")


@dataclass(frozen=True, slots=True)
class Crossroads:
    """The likeliest tokens at one place of a completion, each written on from with the same random
    numbers.

    ``position`` is the completion's row in the batch of ``cycle``, ``at`` the place: 0 is its first
    token. ``writer`` names the policy; ``value`` is what its value head foresees before the place;
    ``taken`` is the token that stands there, one of the ``branches``, likeliest first.
    """

    run_id: int
    cycle: int
    position: int
    at: int
    writer: str
    seed: int
    value: float
    taken: int
    branches: tuple[Branch, ...]

    @property
    def path(self) -> Branch:
        """The branch that was taken."""
        return next(b for b in self.branches if b.token == self.taken)

    @property
    def others(self) -> float:
        """What the other branches are worth on average, each as likely as the policy finds it."""
        others = [b for b in self.branches if b.token != self.taken and b.continuations]
        weight = sum(b.chance for b in others)
        return sum(b.chance * b.worth for b in others) / weight if weight else float("nan")

    @property
    def worth(self) -> float:
        """What all branches are worth on average: what the value before the place estimates."""
        known = [b for b in self.branches if b.continuations]
        weight = sum(b.chance for b in known)
        return sum(b.chance * b.worth for b in known) / weight if weight else float("nan")

    @property
    def advantage(self) -> float:
        """How much better the path that was taken is than the others."""
        return self.path.worth - self.others


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """All that could come next at one place of a completion (:class:`Crossroads`).

    ``logprobs``, by the policy that ``reader`` names, and ``start``, by the start policy, are (V,)
    float32 log-probabilities at temperature 1. ``taken`` is the token that stands there;
    ``pieces`` are the texts of the likeliest tokens and of that one.
    """

    run_id: int
    cycle: int
    position: int
    at: int
    reader: str
    taken: int
    logprobs: np.ndarray
    start: np.ndarray
    pieces: Mapping[int, str]


PromptsOf = Literal["trained", "compared", "held out"]
"""Which prompts of a run."""


@dataclass(frozen=True, slots=True)
class BestOf:
    """What the best of n completions of each of ``prompts`` prompts are worth; ``of`` says which
    those are, "" where they were given or an earlier version sampled them.

    ``writer`` names the policy: that of the run after ``cycle``, 0 the start policy. ``rewards``
    are those for n = 1, 2, …, and ``kl`` is how far each is at most from the start policy, in nats
    a completion.
    """

    run_id: int
    cycle: int
    writer: str
    seed: int
    prompts: int
    rewards: tuple[float, ...]
    kl: tuple[float, ...]
    of: PromptsOf | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class CycleResult:
    """What a finished cycle leaves to be recorded: the completions that it learned from, those of
    the compared prompts after it, and tokens of the former. Of ``spreads``, (n,) each, only how the
    numbers are spread is kept."""

    metrics: Mapping[str, float]
    rollout: Sequence[Completion]
    comparison: Sequence[Completion]
    traces: Sequence[TokenTrace]
    spreads: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
