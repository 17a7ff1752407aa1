"""The drawings of the cards: each shows an idea in the latest numbers of the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from PySide6.QtCore import QPointF, QRectF, Qt

from workbench.formatting import number, percent, short_number, signed, visible
from workbench.gui.guide.pencil import LEFT, MIDDLE, RIGHT, Pencil
from workbench.gui.guide.scene import Scene, Scored, Word
from workbench.gui.widgets.theme import mix
from workbench.guide import Card, Drawing

_MOST_OPEN = 8  # bars
_LEASH = 20.0  # nats at which the leash is drawn half as long as it can be
Draw = Callable[[Pencil, QRectF, Scene, Card], None]


def _models(pencil: Pencil, box: QRectF, scene: Scene, card: Card) -> None:
    """Policy and start policy, text, reward model, score."""
    theme, high = pencil.theme, pencil.line + 10
    top = box.top() + 8
    names = ("policy", "text", "reward model")
    wides = [pencil.wide(name) + 8 for name in ("start policy", *names[1:])]
    gap = (box.width() - sum(wides)) / 2
    boxes = [QRectF(box.left() + sum(wides[:i]) + i * gap, top, wide, high)
             for i, wide in enumerate(wides)]
    for name, at in zip(names, boxes, strict=True):
        plain = name == "text"
        pencil.box(at, theme.base if plain else theme.changed, theme.border)
        pencil.write(at.adjusted(2, 0, -2, 0), name, theme.text)
    for left, right in pairwise(boxes):
        pencil.arrow(QPointF(left.right() + 3, left.center().y()),
                     QPointF(right.left() - 5, right.center().y()), theme.muted)
    score = QRectF(boxes[2].left(), boxes[2].bottom() + 34, wides[2], pencil.line)
    pencil.arrow(QPointF(boxes[2].center().x(), boxes[2].bottom() + 3),
                 QPointF(boxes[2].center().x(), score.top() - 4), theme.muted)
    pencil.write(score, "1.87", theme.good, font=pencil.bold)
    copy = QRectF(boxes[0].left(), boxes[0].bottom() + 28, wides[0], high)
    pencil.stroke([QPointF(copy.center().x(), boxes[0].bottom() + 2),
                   QPointF(copy.center().x(), copy.top() - 2)], theme.muted, 1,
                  Qt.PenStyle.DashLine)
    pencil.box(copy, theme.base, theme.border)
    pencil.write(copy.adjusted(2, 0, -2, 0), "start policy", theme.muted)
    pencil.write(QRectF(copy.left(), copy.bottom() + 2, box.width() * 0.6, pencil.line),
                 "a copy that stays as it is", theme.muted, LEFT)


def _cycle(pencil: Pencil, box: QRectF, scene: Scene, card: Card) -> None:
    """Two phases and the way round."""
    theme, high = pencil.theme, pencil.line * 2 + 12
    first = QRectF(box.left(), box.top() + 2, box.width() - 40, high)
    second = QRectF(box.left() + 40, box.bottom() - high - 2, box.width() - 40, high)
    for at, title, parts in ((first, "Phase 1: create completions", card.phases[0]),
                             (second, "Phase 2: update the model", card.phases[1])):
        pencil.box(at, theme.changed, theme.border)
        upper = at.adjusted(6, 3, -6, -at.height() / 2)
        pencil.write(upper, title, theme.text)
        pencil.write(upper.translated(0, at.height() / 2 - 3), parts, theme.muted)
    right, left = box.right() - 16, box.left() + 16
    pencil.stroke([QPointF(first.right() + 2, first.center().y()),
                   QPointF(right, first.center().y())], theme.accent, 2)
    pencil.arrow(QPointF(right, first.center().y()), QPointF(right, second.top() - 4),
                 theme.accent, 2)
    pencil.stroke([QPointF(second.left() - 2, second.center().y()),
                   QPointF(left, second.center().y())], theme.accent, 2)
    pencil.arrow(QPointF(left, second.center().y()), QPointF(left, first.bottom() + 4),
                 theme.accent, 2)
    said = f"cycle {scene.cycle:,} of {scene.num_cycles:,}" if scene.cycle else "one cycle"
    pencil.write(QRectF(left + 8, first.bottom(), right - left - 16,
                        second.top() - first.bottom()), said, theme.text, font=pencil.bold)


def _chances(pencil: Pencil, box: QRectF, scene: Scene, card: Card) -> None:
    """A completion's first tokens, each over a bar as long as its chance; "…" where more follow."""
    theme, x, y = pencil.theme, box.left(), box.top()
    row, more = pencil.line * 2 + 10, pencil.wide("…")
    placed: list[tuple[QRectF, str, float]] = []
    for piece, chance in scene.chances:
        word, known = visible(piece), math.isfinite(chance)
        said = percent(chance) if known else ""
        wide = more if word == "…" else max(pencil.wide(word), pencil.wide(said), 24.0) + 8
        if x + wide > box.right() and x > box.left():
            x, y = box.left(), y + row
        if y + row > box.bottom() + 4:
            if placed and placed[-1][0].right() + more > box.right():
                placed.pop()
            if placed:
                last = placed[-1][0]
                placed.append((QRectF(last.right(), last.top(), more, pencil.line), "…", math.nan))
            break
        placed.append((QRectF(x, y, wide, pencil.line), word, chance))
        x += wide
    for at, word, chance in placed:
        pencil.write(at, word, theme.text, LEFT)
        if math.isfinite(chance):
            under = QRectF(at.left(), at.bottom() + 1, at.width() - 8, 4)
            pencil.bar(under, theme.border)
            pencil.bar(QRectF(under.left(), under.top(), under.width() * chance, 4), theme.accent)
            pencil.write(QRectF(at.left(), under.bottom(), at.width(), pencil.line),
                         percent(chance), theme.muted, LEFT)


def _scores(pencil: Pencil, box: QRectF, scene: Scene, card: Card) -> None:
    """The best and the worst completion with their scores."""
    theme, half = pencil.theme, (box.height() - 8) / 2
    for row, (scored, ground, colour) in enumerate((
            (scene.best, theme.better, theme.good), (scene.worst, theme.worse, theme.bad))):
        if isinstance(scored, Scored):
            at = QRectF(box.left(), box.top() + row * (half + 8), box.width(), half)
            score = number(scored.score) if math.isfinite(scored.score) else ""
            room = pencil.wide(score, pencil.bold) + 14
            pencil.box(at, ground)
            lines = max(1, int((half - 6) // pencil.line))
            pencil.write_lines(at.adjusted(7, 4, -room, 0), scored.text, theme.text, lines)
            pencil.write(QRectF(at.right() - room, at.top(), room - 6, half), score, colour, RIGHT,
                         pencil.bold)


def _leash(pencil: Pencil, box: QRectF, scene: Scene, card: Card) -> None:
    """The policy on a leash to where it started, as long as KL is."""
    theme, distance = pencil.theme, max(0.0, scene.distance)
    y = box.top() + box.height() * 0.42
    post = QPointF(box.left() + 44, y)
    room = box.width() - 96
    reach = room * (distance / (distance + _LEASH)) * 1.6 if math.isfinite(distance) else 0.0
    here = QPointF(post.x() + 18 + min(reach, room), y)
    for ring in (3, 2, 1):
        pencil.dot(post, 14 * ring, mix(theme.accent, theme.base, 0.06 * (4 - ring)))
    slack = [QPointF(post.x() + t / 12 * (here.x() - post.x()),
                     y + 10 * math.sin(math.pi * t / 12)) for t in range(13)]
    pencil.stroke(slack, theme.muted, 1.5)
    pencil.dot(post, 5, theme.text)
    pencil.dot(here, 6, theme.accent)
    below = QRectF(box.left(), y + 18, box.width(), pencil.line)
    pencil.write(QRectF(box.left(), below.top(), 80, pencil.line), "start policy", theme.muted,
                 LEFT)
    wide = pencil.wide("policy now")
    above = QRectF(min(max(here.x() - wide / 2, box.left()), box.right() - wide - 4),
                   y - 12 - pencil.line, wide + 4, pencil.line)
    pencil.write(above, "policy now", theme.text, LEFT)
    if math.isfinite(distance):
        pencil.write(QRectF(box.left() + 90, below.top(), box.width() - 90, pencil.line),
                     f"KL {number(distance, 1)} nats", theme.accent, RIGHT, pencil.bold)


def _estimates(pencil: Pencil, box: QRectF, scene: Scene, card: Card) -> None:
    """The estimate from token to token, up to the flag at what the text came to."""
    found, theme = scene.estimates, pencil.theme
    if found is None:
        return
    flag = found.flag or (
        f"reward {number(found.end)}" if math.isfinite(found.end) else "not scored yet")
    known = [*found.values, *([found.end] if math.isfinite(found.end) else [])]
    low, most = min(known), max(known)
    span = max(most - low, 0.5)
    words = pencil.line + 2
    top, bottom = box.top() + pencil.line + 6, box.bottom() - words - 6
    left, right = box.left() + 34, box.right() - 48

    def at(i: float, value: float) -> QPointF:
        return QPointF(left + i / max(1, len(found.values) - 1) * (right - left),
                       bottom - (value - low) / span * (bottom - top))

    if math.isfinite(found.end):
        end = at(len(found.values) - 1, found.end)
        pole = QPointF(box.right() - 12, end.y())
        pencil.stroke([QPointF(left, end.y()), pole], theme.muted, 1, Qt.PenStyle.DotLine)
        pencil.stroke([pole, QPointF(pole.x(), bottom)], theme.muted, 1.5)
        pencil.bar(QRectF(pole.x(), pole.y() - 4, 10, 8),
                   theme.good if found.end >= 0 else theme.bad)
    points = [at(i, value) for i, value in enumerate(found.values)]
    pencil.stroke(points, theme.accent, 2)
    for point in points if len(points) <= 24 else (points[0], points[-1]):
        pencil.dot(point, 2.5, theme.accent)
    first, last = points[0], points[-1]
    half = pencil.line / 2
    pencil.write(QRectF(box.left(), first.y() - half, 32, pencil.line), number(found.values[0]),
                 theme.text, LEFT)
    wide = pencil.wide(number(found.values[-1])) + 2
    pencil.write(QRectF(min(last.x() + 5, box.right() - wide),
                        min(last.y() + 4, bottom - pencil.line + 4), wide, pencil.line),
                 number(found.values[-1]), theme.text, LEFT)
    pencil.write(QRectF(box.left(), box.top(), box.width(), pencil.line), flag, theme.text, RIGHT)
    pencil.write(QRectF(box.left(), box.bottom() - words, box.width(), words),
                 found.text, theme.muted, LEFT)


def _paths(pencil: Pencil, box: QRectF, scene: Scene, card: Card) -> None:
    """Two ways from one place: what turned out better than foreseen, and what worse."""
    theme, middle = pencil.theme, box.center().y()
    begin = QPointF(box.left() + 8, middle)
    reach = box.left() + box.width() * 0.34
    foreseen = "as foreseen"
    end = QPointF(box.right() - pencil.wide(foreseen) - 6, middle)
    pencil.stroke([begin, end], theme.muted, 1, Qt.PenStyle.DotLine)
    pencil.write(QRectF(box.left(), middle - pencil.line / 2, box.width(), pencil.line), foreseen,
                 theme.muted, RIGHT)
    for word, up in ((scene.up, True), (scene.down, False)):
        if not isinstance(word, Word):
            continue
        y = box.top() + pencil.line if up else box.bottom() - pencil.line
        colour = theme.good if up else theme.bad
        pencil.arrow(begin, QPointF(reach, y), colour, 2.5)
        text = QRectF(reach + 8, y - pencil.line, box.right() - reach - 8, pencil.line)
        pencil.write(text, f"{visible(word.text)}  A {signed(word.advantage)}", colour, LEFT,
                     pencil.bold)
        soon = "to become likelier" if up else "to become rarer"
        said = f"now ×{word.ratio:.2f} as likely" if math.isfinite(word.ratio) else soon
        pencil.write(text.translated(0, pencil.line), said, theme.muted, LEFT)
    pencil.dot(begin, 4, theme.text)


def _siblings(pencil: Pencil, box: QRectF, scene: Scene, card: Card) -> None:
    """Completions of one prompt: as high as they were worth, and what they are held against."""
    theme, found = pencil.theme, scene.siblings
    if found is None:
        return
    worths = [worth for worth, _ in found.paths]
    low, high = min(*worths, found.mean), max(*worths, found.mean)
    half = pencil.line / 2
    top, bottom = box.top() + half, box.bottom() - 1.5 * pencil.line
    best, mean, worst = (number(x) for x in (worths[0], found.mean, worths[-1]))
    end = box.right() - max(map(pencil.wide, (best, mean, worst))) - 10

    def at(x: float, worth: float) -> QPointF:
        share = (high - worth) / (high - low) if high > low else 0.5
        return QPointF(x, top + share * (bottom - top))

    begin = at(box.left() + 8, found.mean)
    pencil.stroke([begin, at(end, found.mean)], theme.accent, 1.5, Qt.PenStyle.DashLine)
    most = max(abs(gained) for _, gained in found.paths) or 1.0
    for worth, gained in found.paths:
        colour = theme.good if gained > 0 else theme.bad if gained < 0 else theme.muted
        colour = mix(colour, theme.border, 0.3 + 0.7 * abs(gained) / most)
        pencil.curve(begin, at(end, worth), colour, 2)
        pencil.dot(at(end, worth), 2.5, colour)
    pencil.dot(begin, 4, theme.text)
    written: list[float] = []
    for text, worth, colour in ((mean, found.mean, theme.accent), (best, worths[0], theme.text),
                                (worst, worths[-1], theme.text)):
        y = at(end, worth).y()
        if all(abs(y - other) >= pencil.line for other in written):
            written.append(y)
            pencil.write(QRectF(end, y - half, box.right() - end, pencil.line), text, colour, RIGHT)
    pencil.write(QRectF(box.left(), box.bottom() - pencil.line, box.width(), pencil.line),
                 f"dashed: {found.title} {mean}", theme.accent, LEFT)


def _terms(pencil: Pencil, box: QRectF, scene: Scene, card: Card) -> None:
    """What each term gives to the loss, left or right of 0."""
    theme = pencil.theme
    if not scene.terms:
        return
    most = max((abs(share.amount) for _, share in scene.terms), default=0.0) or 1.0
    names = max(pencil.wide(title) for title, _ in scene.terms) + 8
    zero = box.left() + names + (box.width() - names) * 0.38
    half = min(zero - box.left() - names, box.right() - zero - 46)
    row = min(box.height() / len(scene.terms), 2.4 * pencil.line)
    for i, (title, share) in enumerate(scene.terms):
        at = QRectF(box.left(), box.top() + i * row, box.width(), row)
        pencil.write(at, title, theme.text, LEFT)
        colour = theme.series[i % len(theme.series)]
        bar = share.amount / most * half
        pencil.bar(QRectF(zero, at.center().y() - 6, bar, 12), colour)
        said = "off" if share.off else short_number(share.amount)
        beside = zero + max(0.0, bar) + 5
        pencil.write(QRectF(beside, at.top(), box.right() - beside, row), said,
                     theme.muted if share.off else theme.text, LEFT)
    pencil.stroke([QPointF(zero, box.top()), QPointF(zero, box.top() + row * len(scene.terms))],
                  theme.muted, 1)


def _band(pencil: Pencil, box: QRectF, scene: Scene, card: Card) -> None:
    """Tokens of the update by their ratio, the band, and those that the clip holds."""
    theme, dots = pencil.theme, scene.dots
    if dots is None:
        return
    low, high = dots.band
    widest = 2.2 * max(-math.log(max(low, 0.05)), math.log(high))
    left, right = box.left() + 4, box.right() - 4

    def x(ratio: float) -> float:
        place = math.log(max(ratio, 1e-6)) / widest
        return (left + right) / 2 + max(-1.0, min(1.0, place)) * (right - left) / 2

    head = pencil.line + 2  # for what the dots are
    ground = QRectF(x(low), box.top() + head, x(high) - x(low),
                    box.height() - head - pencil.line - 4)
    pencil.bar(ground, theme.better)
    for row, (ratio, held) in enumerate(zip(dots.ratios, dots.held, strict=True)):
        # Strewn by the golden ratio: the same dots are always in the same places.
        y = ground.top() + 5 + (row * 0.618034) % 1.0 * (ground.height() - 10)
        pencil.dot(QPointF(x(ratio), y), 3 if held else 2,
                   theme.warning if held else theme.accent)
    for ratio, text in ((low, number(low)), (1.0, "ρ = 1"), (high, number(high))):
        pencil.stroke([QPointF(x(ratio), ground.top()), QPointF(x(ratio), ground.bottom() + 2)],
                      theme.muted, 1)
        pencil.write(QRectF(x(ratio) - 40, ground.bottom() + 2, 80, pencil.line + 2), text,
                     theme.text, MIDDLE)
    if any(dots.held):
        side = QRectF(box.left(), box.top(), box.width(), pencil.line)
        pencil.write(side, "● held", theme.warning, RIGHT)


def _openness(pencil: Pencil, box: QRectF, scene: Scene, card: Card) -> None:
    """As many even bars as equally likely tokens would be as open a choice, at first and now."""
    theme = pencil.theme
    first, now = scene.first.get(card.metric, math.nan), scene.latest(card.metric)
    if scene.made_up:
        first, now = math.log(3.0), math.log(2.2)
    half = (box.height() - 10) / 2
    for row, (name, entropy) in enumerate((("at first", first), ("now", now))):
        if not math.isfinite(entropy):
            continue
        count = math.exp(entropy)
        at = QRectF(box.left(), box.top() + row * (half + 10), box.width(), half)
        pencil.write(QRectF(at.left(), at.top(), 60, pencil.line), name, theme.muted, LEFT)
        x, wide = at.left(), at.width() / _MOST_OPEN
        for i in range(min(_MOST_OPEN, math.ceil(count))):
            part = min(1.0, count - i)
            high = half - pencil.line - 6
            pencil.bar(QRectF(x + i * wide, at.bottom() - 2 - high, (wide - 3) * part, high),
                       theme.accent)
        same = row and number(entropy) == number(first)
        said = f"{number(entropy)} nats" + (", as at first" if same else "")
        pencil.write(QRectF(at.left(), at.top(), at.width(), pencil.line), said, theme.text,
                     RIGHT, pencil.bold)


def _rewards(pencil: Pencil, box: QRectF, scene: Scene, card: Card) -> None:
    """The compared reward over cycles."""
    _draw_course(pencil, box, scene.rewards, "start policy")


def _course(pencil: Pencil, box: QRectF, scene: Scene, card: Card) -> None:
    """A metric over cycles."""
    _draw_course(pencil, box, scene.courses.get(card.metric, ()), "at first")


def _draw_course(pencil: Pencil, box: QRectF, course: Sequence[float], begin: str) -> None:
    theme, values = pencil.theme, [v for v in course if math.isfinite(v)]
    if not values:
        return
    low, span = min(values), max(max(values) - min(values), 0.2)
    top, bottom = box.top() + 6, box.bottom() - pencil.line - 8
    left, right = box.left() + 6, box.right() - 8
    points = [QPointF(left + i / max(1, len(values) - 1) * (right - left),
                      bottom - (value - low) / span * (bottom - top))
              for i, value in enumerate(values)]
    pencil.stroke(points, theme.accent, 2)
    ends = [(points[0], values[0], begin, LEFT), (points[-1], values[-1], "now", RIGHT)]
    for point, value, name, side in ends[: len(values)]:  # at first there is no "now"
        pencil.dot(point, 3.5, theme.accent)
        # Below the line, which would strike through what stands at its ends.
        row = QRectF(box.left(), box.bottom() - pencil.line, box.width(), pencil.line)
        wide = pencil.wide(number(value), pencil.bold) + 6
        pencil.write(row, number(value), theme.text, side, pencil.bold)
        pencil.write(row.adjusted(wide, 0, 0, 0) if side == LEFT else row.adjusted(0, 0, -wide, 0),
                     name, theme.muted, side)


DRAW: Mapping[Drawing, Draw] = {
    "models": _models, "cycle": _cycle, "chances": _chances, "scores": _scores, "leash": _leash,
    "estimates": _estimates, "paths": _paths, "terms": _terms, "band": _band,
    "openness": _openness, "rewards": _rewards, "siblings": _siblings, "course": _course}
_NEEDS: Mapping[Drawing, Callable[[Scene, Card], object]] = {
    "chances": lambda s, c: s.chances, "scores": lambda s, c: s.best,
    "estimates": lambda s, c: s.estimates, "paths": lambda s, c: s.up,
    "terms": lambda s, c: s.terms, "band": lambda s, c: s.dots,
    "leash": lambda s, c: math.isfinite(s.distance),
    "openness": lambda s, c: s.made_up or math.isfinite(s.latest(c.metric)),
    "rewards": lambda s, c: s.rewards, "siblings": lambda s, c: s.siblings,
    "course": lambda s, c: s.courses.get(c.metric)}


def is_known(scene: Scene, card: Card) -> bool:
    """Return whether a scene has what a card draws."""
    return bool(_NEEDS.get(card.drawing, lambda s, c: True)(scene, card))
