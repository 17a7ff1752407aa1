"""What a learning algorithm declares of itself. Window, command line, health check, listing and
store read it; none of them names an algorithm's metrics or settings. No torch, no Qt.

An algorithm is a package with its formulas, its cycle (a
:class:`workbench.learning.trainer.Trainer`) and one :class:`Algorithm`, which stands in
:data:`workbench.algorithms.ALGORITHMS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from workbench.formatting import number, short_number
from workbench.guide import Guide
from workbench.health import Rule
from workbench.settings import Settings, Value

Tone = Literal["", "good", "bad"]
"""Whether something is of good or of bad items alone."""

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.records import Likeliest, TokenTrace

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]

_SMALL, _TINY = 0.005, 0.001  # scores of which two decimals, or four, tell nothing
_ROUNDING = 1e-4  # of sums over a completion; a distance below it is that of a policy to itself
_BY_CHANCE = "below 0 by chance of few samples"

NOT_NEGATIVE, NOT_POSITIVE = (0.0, math.inf), (-math.inf, 0.0)
_SHARE = (0.0, 1.0)
_COUNTED = frozenset({"completions", "tokens", "tokens / s", "steps", "epochs", "passes", "s",
                      "score²"})
"""Units of what cannot be below 0."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that every cycle reports. ``name`` is TRL's where TRL has one."""

    name: str
    label: str
    unit: str
    formula: str
    help: str
    source: str = ""
    """The paper it is from; empty where it is from none."""
    absent: str = ""
    """Why a healthy cycle may have no number of it; empty where each has one."""
    short: str = ""
    """What it is called beside another one of its kind."""
    distance: bool = False
    """It is never below 0, though its estimate may be."""
    of: str = ""
    """The metric that says of how many it is the share."""
    of_noun: str = ""
    """What these are, in the singular, where they are not what the algorithm draws."""
    exact: bool = False
    """It is set rather than summed up, so that also a tiny one is more than rounding."""
    within: tuple[float, float] | None = None
    """Between which its numbers can be, where its unit does not say so."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which its numbers can be; estimates of a distance may lie below."""
        if self.within is not None:
            return self.within
        if self.unit == "share":
            return _SHARE
        return NOT_NEGATIVE if self.distance or self.unit in _COUNTED else (-math.inf, math.inf)

    @property
    def rounding(self) -> float:
        """Below which size its numbers are all rounding; 0 where none are."""
        return _ROUNDING if self.distance else 0.0

    def text(self, value: float) -> str:
        """Return one of its numbers as it is written everywhere, in at most about six characters:
        a score as scores are, unless it is a tiny one."""
        if abs(value) < self.rounding:
            return "0"
        if self.unit == "score" and (value == 0 or abs(value) >= _TINY):
            return number(value, 2 if value == 0 or abs(value) >= _SMALL else 4)
        return short_number(value)

    def aside(self, value: float) -> str:
        """Say of a number that cannot be as it was measured why it is: a distance that is estimated
        from few completions may come out below zero. Nothing of others."""
        return _BY_CHANCE if self.distance and value <= -self.rounding else ""

    def in_full(self, value: float, unit: str = "") -> str:
        """Return :meth:`text`, the unit, and :meth:`aside` behind it."""
        return ", ".join(filter(None, [f"{self.text(value)} {unit}".rstrip(), self.aside(value)]))


@dataclass(frozen=True, slots=True)
class PlotSet:
    """Plots that answer a question together, with what they show."""

    title: str
    metrics: tuple[str, ...]
    help: str


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings that go together, with when to take them; what is not named keeps its value."""

    name: str
    help: str
    values: Mapping[str, Value] = field(default_factory=dict)
    is_way: bool = False
    """It is a way to learn of its own, to be compared with others."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric in the line that the command line prints of a cycle, with what it is called
    there."""

    label: str
    metric: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a cycle, in the order in which they follow one another.

    ``phase`` is 1 while completions are made, 2 while the model is updated and 0 after both.
    ``say(metrics)`` puts its result in a few words, of the metrics that are known of it by now;
    ``band(settings, metrics)`` gives ``(low, high, least, most)``: a range that the part keeps to,
    and where its numbers lie. ``view`` is the dock that shows what it made.
    """

    name: str
    title: str
    phase: int
    help: str
    view: str
    say: Callable[[Mapping[str, float]], str] = lambda metrics: ""
    band: Callable[
        [Mapping[str, Any], Mapping[str, float]], tuple[float, float, float, float] | None
    ] = lambda settings, metrics: None


@dataclass(frozen=True, slots=True)
class TokenColumn:
    """A number of every token. ``weight`` is what colours it; only a ``signed`` one has two
    sides."""

    title: str
    help: str
    text: Callable[[Any], str]
    weight: Callable[[Any], float]
    signed: bool = True


@dataclass(frozen=True, slots=True)
class ValueLine:
    """What was foreseen of a completion, drawn as a line over its words to what it came to.

    All are on the scale of the estimates, and NaN where not known yet. ``estimate(step)`` was
    foreseen before a token, ``target(step)`` what it should have been; ``bar(step)`` is what the
    token is credited with, above 0 or below. Of the last step, ``end(step)`` is what the completion
    came to; ``flag(step)`` puts that in words, of one line or two, and ``gap(step)`` its distance
    from the last estimate. ``say(step)`` is one plain sentence on a token.
    """

    title: str
    help: str
    estimate: Callable[[Any], float]
    target: Callable[[Any], float]
    bar: Callable[[Any], float]
    end: Callable[[Any], float]
    flag: Callable[[Any], str]
    gap: Callable[[Any], str]
    say: Callable[[Any], str]
    formula: str = ""
    source: str = ""
    sums: bool = False
    """Whether an estimate is what has come about so far, which ends at what it came to, rather than
    a guess at that."""
    of_value_head: bool = True
    """Whether a value head foresaw it, so that those of checkpoints can be drawn beside it."""
    gained: str = "advantage"
    """What ``bar`` is called."""
    unit: Callable[[Mapping[str, object]], str] = lambda settings: ""
    """What ``bar`` is counted in with some settings; nothing: the score's own unit."""


@dataclass(frozen=True, slots=True)
class Siblings:
    """Completions of one prompt that a cycle wrote, held against something they have in common.

    They follow one another in the batch; ``count`` is the setting that says how many a prompt has.
    Of the steps of one (:class:`TokenView`), ``worth(steps)`` is what it came to as it was learned
    from, ``against(steps)`` what that was held against, both on the scale of the scores, and
    ``advantage(steps)`` what came of it; NaN where not known yet. ``line`` is what the mean of
    ``against`` over the siblings is called, ``gained`` what the advantage is.
    """

    title: str
    help: str
    count: str
    line: str
    gained: str
    worth: Callable[[Sequence[Any]], float]
    against: Callable[[Sequence[Any]], float]
    advantage: Callable[[Sequence[Any]], float]
    formula: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Sides:
    """Completions that are learned from side by side, and that the cycle did not write: they follow
    one another in the batch, and ``titles`` is what each is called; a single one, which may be
    empty: each stands by itself. What one came to is kept with its tokens, and called ``worth``."""

    titles: tuple[str, ...]
    worth: str
    many: str
    """What they are together, in the plural."""
    mark: str = ""
    """The column of the trace that says what each was marked, the same for all its tokens: its
    place in ``marks``, the best last. Empty: they are not marked."""
    marks: tuple[str, ...] = ()
    order: str = "in the order drawn"
    """Which they are, and how they follow one another."""

    def title(self, position: int, numbers: Mapping[str, Sequence[float] | Array]) -> str:
        """Return what a completion is called; of a trace with these ``numbers``."""
        if self.mark in numbers:
            return self.marks[int(numbers[self.mark][0])]
        return self.titles[position % len(self.titles)]


@dataclass(frozen=True, slots=True)
class TokenView:
    """How the tokens of a completion are shown.

    ``read(pieces, numbers, score, settings)`` gives a step a token, which has its ``piece``, of the
    columns that the trace keeps; ``say(step, settings)`` puts one in words, as HTML;
    ``weight(step)`` is large where the choice of the token mattered.
    """

    help: str
    """What is seen of every token that a cycle learned from."""
    columns: tuple[TokenColumn, ...]
    read: Callable[
        [Sequence[str], Mapping[str, Sequence[float]], float, Mapping[str, object]], Sequence[Any]]
    say: Callable[[Any, Mapping[str, object]], str]
    weight: Callable[[Any], float]
    line: ValueLine | None = None
    siblings: Siblings | None = None
    sides: Sides | None = None
    others: Callable[[Sequence[Any], Likeliest], Sequence[Any]] | None = None
    """Returns steps with what is kept of the tokens that could have stood in their places."""


@dataclass(frozen=True, slots=True)
class Term:
    """A summand of the loss. An ``optional`` one is shown only where it is on; ``source`` is the
    paper that it is from. One of good or bad items alone has the colour of these by its ``tone``.
    """

    title: str
    help: str
    optional: bool = False
    formula: str = ""
    source: str = ""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Share:
    """What a term gave to a cycle's loss: ``amount``, which ``said`` writes out with its
    coefficient. One that is off gave nothing, and ``said`` is why. ``gradient`` is the length of
    its own gradient (NaN: not measured)."""

    amount: float
    said: str
    off: bool = False
    gradient: float = math.nan


def weighed(coefficient: float, loss: float, why_off: str) -> Share:
    """Return what a term gave that is its ``loss`` times a coefficient; one of 0 is off."""
    if coefficient == 0:
        return Share(0.0, f"off: {why_off}", off=True)
    amount = coefficient * loss
    return Share(amount, f"{coefficient:g} × {short_number(loss)} = {short_number(amount)}")


@dataclass(frozen=True, slots=True)
class TrustRegion:
    """What a token earns by the ratio of its chance after the update to that before it.

    ``earned(ratio, sign, settings)`` is that for an advantage of +1 or -1; ``held(ratio, advantage,
    settings)`` says which tokens push no further, where that curve is flat; ``band(settings)`` is
    ``(low, high)`` and ``edge_at(ratio)`` the setting that has the band's edge there. ``ratio`` and
    ``advantage`` are columns of the trace, (n,). ``epochs(settings)`` names what the ratios are
    kept as that each epoch found before its steps, the first epoch first.
    """

    help: str
    edge: str
    """The setting that makes the band wide."""
    symbol: str
    ratio: str
    advantage: str
    earned: Callable[[Array, float, Mapping[str, Any]], Array]
    held: Callable[[Array, Array, Mapping[str, Any]], Flags]
    band: Callable[[Mapping[str, Any]], tuple[float, float]]
    edge_at: Callable[[float], float]
    formula: str = ""
    source: str = ""
    epochs: Callable[[Mapping[str, Any]], Sequence[str]] = lambda settings: ()


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """What a cycle learned from, (n,) each: ``x``, the number that decides the loss of each, which
    of the curves it is on, and its ``places``, the row in the batch and the token."""

    x: Array
    curve: NDArray[np.int_]
    places: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Curve:
    """What those of one kind give to the loss: ``loss(x)``, (n,) of (n,)."""

    title: str
    loss: Callable[[Array], Array]
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class LossCurve:
    """What each item of a cycle gives to the loss by one number of it, called ``x``.

    ``curves(settings, metrics)`` has one for each kind of items, ``mark(settings, metrics)`` the
    place to hold them against, and what stands there. ``items(traces, settings)`` finds those whose
    tokens are kept, and ``say(items, settings, metrics)`` puts them in a sentence. ``noun`` is what
    they are, in the plural, ``y`` what a curve is the height of.
    """

    title: str
    help: str
    x: str
    y: str
    noun: str
    curves: Callable[[Mapping[str, Any], Mapping[str, float]], Sequence[Curve]]
    mark: Callable[[Mapping[str, Any], Mapping[str, float]], tuple[float, str]]
    items: Callable[[Sequence[TokenTrace], Mapping[str, Any]], Items]
    say: Callable[[Items, Mapping[str, Any], Mapping[str, float]], str]
    least: float = 1.0
    """How far the axis goes on either side of 0, at least."""
    formula: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Objective:
    """The loss as a sum of terms.

    ``shares(metrics, settings, cycle)`` gives one a term, which add up to the metric ``total``, or
    where none is named to the loss; none where a cycle lacks one of ``metrics``. Some cycles have
    ``more`` of them. ``measure`` is the setting that lets the gradients be measured. Beside the
    terms a trust ``region`` is drawn, or a ``curve``.
    """

    title: str
    total: str
    metrics: tuple[str, ...]
    terms: tuple[Term, ...]
    shares: Callable[[Mapping[str, float], Mapping[str, Any], int], Sequence[Share]]
    region: TrustRegion | None = None
    curve: LossCurve | None = None
    more: tuple[str, ...] = ()
    measure: str = ""


@dataclass(frozen=True, slots=True)
class EntropyTerm:
    """What the loss has for keeping the choice of tokens open.

    ``push(logprobs, entropy, settings)`` is by how much the term lowers the loss for each nat that
    a token's logit, divided by the sampling temperature, is raised: above 0 it raises the logit.
    ``logprobs`` are those of n tokens of a distribution whose entropy is ``entropy``, in nats,
    which is the ``column`` of the trace. ``off(settings, cycle)`` says why there is no term in a
    cycle; nothing where there is one.
    """

    coefficient: str
    """The setting that it is multiplied by."""
    symbol: str
    column: str
    off: Callable[[Mapping[str, Any], int], str]
    push: Callable[[Array, float, Mapping[str, Any]], Array]


@dataclass(frozen=True, slots=True)
class Distribution:
    """A number whose spread is drawn cycle by cycle: of every token, where ``column`` is one of the
    trace; else of every completion its "score", "kl" or "length"."""

    title: str
    help: str
    text: Callable[[float], str]
    column: str = ""
    completions: str = ""
    formula: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was foreseen of every token against what came: two columns of the trace. ``metric`` says
    which share of the latter's variance was foreseen."""

    title: str
    help: str
    predicted: str
    actual: str
    metric: str
    formula: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Algorithm:
    """One way to learn."""

    name: str
    """Kept with every run."""
    title: str
    help: str
    """When to choose it."""
    settings: type[Settings]
    key: str = ""
    """What the window remembers for it is kept under this; empty: under its name."""
    choice: str = ""
    """The setting that decides at the start of a run which of the ``variants`` it is."""
    variants: Mapping[str, Algorithm] = field(default_factory=dict)
    """What runs are shown as that have another value there than the default; each is declared as
    the algorithm is, but for what differs."""
    trainer: Callable[[], Any]
    """Imports and returns its :class:`workbench.learning.trainer.Trainer`: torch takes seconds."""
    learns_from: Literal["", "pairs", "completions"] = ""
    """The data that a run needs beside its prompts; nothing: what the policy writes."""
    makes: Literal["policy", "reward model"] = "policy"
    """What is trained, and exported. Where it is no policy, the policy stays as it is: there is no
    completion before and after, nothing to compare with ways that train one, and no fork into one
    of those."""
    most_at_first: Mapping[str, float] = field(default_factory=dict)
    """What settings are at most where the reward was made just now: nothing that the policy brings
    along foresees it."""
    batch: Callable[[Mapping[str, Any]], str] = lambda settings: (
        f"{settings['batch_size']} completions")
    """What a cycle with these settings learns from, in a few words."""
    metrics: tuple[Metric, ...]
    start_metrics: tuple[Metric, ...] = ()
    """Measured once, before the first cycle."""
    headline: str
    """The metric by which its runs are compared."""
    parts: tuple[Part, ...] = ()
    """Of a cycle; where there are none, those that all algorithms have."""
    companions: tuple[str, ...] = ()
    """Metrics drawn in the plot of the headline metric."""
    plot_sets: tuple[PlotSet, ...]
    """The first is shown where nothing was chosen."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Where metrics stand in the menu of plots: what their names begin with, by title. Where there
    are none, they stand as those that all algorithms have."""
    tokens: TokenView | None = None
    objective: Objective | None = None
    """Where there is none, the loss is not drawn."""
    entropy: EntropyTerm | None = None
    variety: tuple[str, ...] = ()
    """The metrics that tell whether the policy still tries different things; where there are none,
    those that all algorithms have."""
    distributions: tuple[Distribution, ...] = ()
    """Where there are none, those that completions have whatever the algorithm."""
    calibration: Calibration | None = None
    rules: tuple[Rule, ...] = ()
    watched: tuple[str, ...] = ()
    """The metrics that the rules look at."""
    presets: tuple[Preset, ...] = ()
    progress: tuple[Figure, ...] = ()
    guide: Guide | None = None
    """What a first run is told of it; where there is none, what all algorithms do alike."""
    rate_by_size: bool = False
    """Whether the learning rate that fits a policy of a size
    (:mod:`workbench.models.fitting_rate`), found with PPO, is proposed for it too."""
    remarks: Callable[[Any, bool], list[str]] = lambda settings, own_head: []
    """What is worth saying of allowed settings when a run begins; the second argument: the policy
    brings a value head for its reward."""
    remarks_on_change: Callable[[Any, Any], list[str]] = lambda old, new: []
    """What is worth saying of a change of settings during a run."""

    def variant(self, settings: Mapping[str, Any]) -> Algorithm:
        """Return what a run with these settings is shown as."""
        return self.variants.get(str(settings.get(self.choice)), self)

    def rule(self, name: str) -> Rule | None:
        """Return the health rule of this name; None where another version had it."""
        return next((rule for rule in self.rules if rule.name == name), None)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What the command line prints of a cycle."""
        label = next(m.label for m in self.metrics if m.name == self.headline)
        return self.progress or (Figure(label.lower(), self.headline),)

    @property
    def default_plots(self) -> tuple[str, ...]:
        """The metrics plotted where nothing was chosen."""
        return self.plot_sets[0].metrics
