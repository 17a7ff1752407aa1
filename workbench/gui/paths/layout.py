"""Where the nodes of a tree of paths stand: tokens to the right, worth upwards. No Qt."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from workbench.records import Branch, Continuation, Crossroads

_ROOM, _ROOM_OF_ALL = 0.24, 0.5  # of the width, for the tokens' names of one place and of all
_APART = 0.2  # of a place's room: so far it stands from the branch before, which may be as long


@dataclass(slots=True)
class Node:
    """A point of the tree: a place that was written on from, a branch there, where continuations
    part, or their end.

    ``x`` runs from 0 to 1. ``worth`` is the mean score of what was written on from it, at a place
    over all branches as likely as they are. ``crossroads`` is the place it belongs to; a branch and
    what comes of it have their ``branch``, and a leaf has its ``continuation``. ``taken``: the path
    that was taken leads to it, or through its branch.
    """

    x: float
    worth: float
    crossroads: Crossroads
    parent: Node | None = None
    branch: Branch | None = None
    continuation: Continuation | None = None
    taken: bool = False
    children: list[Node] = field(default_factory=list)

    @property
    def advantage(self) -> float:
        """How much better it is than where it comes from."""
        return 0.0 if self.parent is None else self.worth - self.parent.worth

    @property
    def is_place(self) -> bool:
        """Whether it is a place that was written on from."""
        return self.branch is None

    @property
    def on_path(self) -> bool:
        """Whether it stands on the path that was taken, rather than on what came of it when it was
        written on."""
        return self.is_place or (self.taken and self.parent is not None and self.parent.is_place)

    def walk(self) -> Iterator[Node]:
        """Yield the node and all behind it."""
        yield self
        for child in self.children:
            yield from child.walk()

    def leaves(self) -> list[Node]:
        """Return the ends behind it, in order, without those of later places."""
        return [node for node in self.walk()
                if node.continuation is not None and node.crossroads is self.crossroads]

    def branches(self) -> list[Node]:
        """Return the branches of a place, likeliest first."""
        return [node for node in self.children if not node.is_place]


def grow(places: Sequence[Crossroads]) -> Node | None:
    """Return the tree of places of one completion along the path that was taken: a later place
    comes behind the branch that was taken at the one before. Continuations that begin alike share
    their nodes. None without a place."""
    scale = _Scale(places)
    root: Node | None = None
    before: Node | None = None
    for found in sorted(places, key=lambda found: found.at):
        here = Node(scale.place(found.at), found.worth, found, before, taken=True)
        root = root or here
        if before is not None:
            before.children.append(here)
        before = here
        for branch in found.branches:
            if branch.continuations:
                node = Node(scale.x(found.at + 1), branch.worth, found, here, branch,
                            taken=branch.token == found.taken)
                here.children.append(node)
                _split(node, branch.continuations, 0, scale)
                before = node if node.taken else before
    return root


class _Scale:
    """Tokens from left to right, with room behind each place for the names of its branches."""

    def __init__(self, places: Sequence[Crossroads]) -> None:
        self._at = sorted(found.at for found in places)
        self._room = min(_ROOM, _ROOM_OF_ALL / max(1, len(places)))
        ends = [found.at + 1 + len(c.tokens) for found in places for branch in found.branches
                for c in branch.continuations]
        self._span = max((end - self._at[0] - bisect_left(self._at, end) for end in ends),
                         default=0)

    def x(self, at: int) -> float:
        """Return where a text of ``at`` tokens ends."""
        passed = bisect_left(self._at, at)  # so many tokens stand at places
        share = (at - self._at[0] - passed) / self._span if self._span else 0.0
        return self._room * passed + (1 - self._room * len(self._at)) * share

    def place(self, at: int) -> float:
        """Return where a place stands that has so many tokens before it."""
        return self.x(at) + (0.0 if at == self._at[0] else _APART * self._room)

    def end(self, at: int) -> float:
        """Return where a path ends that has so many tokens; at the right where all are as long."""
        return self.x(at) if self._span else 1.0


def _split(node: Node, below: Sequence[Continuation], depth: int, scale: _Scale) -> None:
    """Add what comes behind a node whose ``below`` are alike up to ``depth``."""
    groups: dict[int | None, list[Continuation]] = {}
    for one in below:
        groups.setdefault(one.tokens[depth] if depth < len(one.tokens) else None, []).append(one)
    found, begins = node.crossroads, node.crossroads.at + 1
    for token, group in groups.items():
        if token is None or len(group) == 1:
            for one in group:
                node.children.append(Node(
                    scale.end(begins + len(one.tokens)), one.score, found, node, node.branch, one,
                    node.taken))
            continue
        end = _alike(group, depth + 1)
        child = Node(scale.x(begins + end), fmean(c.score for c in group), found, node,
                     node.branch, taken=node.taken)
        node.children.append(child)
        _split(child, group, end, scale)


def _alike(group: Sequence[Continuation], depth: int) -> int:
    """Return how many tokens all of a group have in common, of which the first ``depth`` are."""
    if len(group) == 1:
        return len(group[0].tokens)
    while all(len(c.tokens) > depth for c in group) and len(
            {c.tokens[depth] for c in group}) == 1:
        depth += 1
    return depth


def spread(
    wanted: Sequence[float], sizes: Sequence[float], low: float, high: float
) -> list[float]:
    """Return the middles of things of these ``sizes``, clear of one another, between ``low`` and
    ``high`` and as near to the ``wanted`` ones as can be; closer together where there is no
    room."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    offsets = [0.0]
    for before, after in pairwise(order):
        offsets.append(offsets[-1] + (sizes[before] + sizes[after]) / 2)
    whole = offsets[-1]
    if whole > high - low:
        offsets = [(high - low) * offset / whole for offset in offsets]
    # Those that would overlap stand together, around the mean of where they want to be.
    groups: list[list[float]] = []
    for i, offset in zip(order, offsets, strict=False):
        group = [wanted[i] - offset]
        while groups and fmean(groups[-1]) > fmean(group):
            group = groups.pop() + group
        groups.append(group)
    starts = [max(low, min(fmean(group), high - offsets[-1])) for group in groups for _ in group]
    places = [0.0] * len(wanted)
    for i, start, offset in zip(order, starts, offsets, strict=False):
        places[i] = start + offset
    return places
