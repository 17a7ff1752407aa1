"""Where the nodes of a tree of paths stand: depth to the right, worth upwards. No Qt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from workbench.records import Branch, Continuation, Crossroads

_BRANCHES_AT = 0.24  # of the width: room for the tokens' names


@dataclass(slots=True)
class Node:
    """A place in the tree. ``worth`` is the mean score of the leaves behind it, ``x`` runs from 0
    to 1; ``branch`` is the one it belongs to, and a leaf has its ``continuation``."""

    x: float
    worth: float
    parent: Node | None = None
    branch: Branch | None = None
    continuation: Continuation | None = None
    taken: bool = False
    children: list[Node] = field(default_factory=list)

    @property
    def advantage(self) -> float:
        """How much better it is than where it comes from."""
        return 0.0 if self.parent is None else self.worth - self.parent.worth

    def walk(self) -> Iterator[Node]:
        """Yield the node and all behind it."""
        yield self
        for child in self.children:
            yield from child.walk()

    def leaves(self) -> list[Node]:
        """Return what is at the ends, in order."""
        return [node for node in self.walk() if node.continuation is not None]


def grow(found: Crossroads) -> Node:
    """Return the tree of a crossroads: continuations that begin alike share their nodes."""
    root = Node(0.0, found.worth)
    longest = max((len(c.tokens) for b in found.branches for c in b.continuations), default=0)
    for branch in found.branches:
        if branch.continuations:
            node = Node(_BRANCHES_AT, branch.worth, root, branch,
                        taken=branch.token == found.taken)
            root.children.append(node)
            _split(node, branch.continuations, 0, longest)
    return root


def _split(node: Node, below: Sequence[Continuation], depth: int, longest: int) -> None:
    """Add what comes behind a node whose ``below`` are alike up to ``depth``."""
    groups: dict[int | None, list[Continuation]] = {}
    for one in below:
        groups.setdefault(one.tokens[depth] if depth < len(one.tokens) else None, []).append(one)
    for token, group in groups.items():
        end = depth if token is None else _alike(group, depth + 1)
        x = _BRANCHES_AT + (1 - _BRANCHES_AT) * (end / longest if longest else 1.0)
        if token is None or len(group) == 1:
            for one in group:
                x = _BRANCHES_AT + (1 - _BRANCHES_AT) * (
                    len(one.tokens) / longest if longest else 1.0)
                node.children.append(Node(
                    x, one.score, node, node.branch, one, node.taken))
            continue
        child = Node(x, sum(c.score for c in group) / len(group), node, node.branch,
                     taken=node.taken)
        node.children.append(child)
        _split(child, group, end, longest)


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
