"""Numbers, sizes, counts and settings as text, in the window and on the command line."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation

from workbench.settings import Spec


def format_number(value: float) -> str:
    """Return the shortest usual form: 20, 0.05, 3e-4."""
    if value == 0 or 0.01 <= abs(value) < 100_000:
        return f"{value:.10g}"
    mantissa, _, exponent = f"{value:.9e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def format_speed(tokens_per_second: float) -> str:
    """Return 1,204 tokens/s or, of a slow model, 0.29 tokens/s: never 0."""
    shown = f"{tokens_per_second:,.0f}" if tokens_per_second >= 10 else f"{tokens_per_second:.2g}"
    return f"{shown} tokens/s"


def size(count: float) -> str:
    """Return 640 MiB or 1.4 GiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 0.95 * 2**30 else f"{count / 2**20:.0f} MiB"


def both_ends(text: str, most: int) -> str:
    """Return ``text`` in at most ``most`` characters: a path tells itself from others at its end,
    and where it is at its beginning."""
    if len(text) <= most:
        return text
    first = most // 3
    return f"{text[:first]}…{text[len(text) - (most - first - 1):]}"


def count_cycles(number: int) -> str:
    """Return 1 cycle or 20 cycles."""
    return "1 cycle" if number == 1 else f"{number} cycles"


def counted(number: int, noun: str) -> str:
    """Return "1 prompt" or "1,200 prompts"."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def format_value(spec: Spec | None, value: object) -> str:
    """Return a hyperparameter's value as the form shows it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        if value == 0 and spec and spec.zero_text:
            return spec.zero_text
        return str(value) if isinstance(value, int) else format_number(value)
    if value == "" and spec:
        return spec.empty_text
    return str(value)


def number(value: float, places: int = 2) -> str:
    """Write a number with a real minus sign, an unknown one as a dash."""
    # Adding 0 takes the sign of a zero away.
    return f"{round(value, places) + 0:.{places}f}".replace("-", "−") if math.isfinite(
        value) else "–"


def signed(value: float) -> str:
    """Write a number with its sign."""
    text = number(value)
    return f"+{text}" if math.isfinite(value) and value > 0 and text != "0.00" else text


def difference(before: str, after: str) -> str:
    """Return what lies between two written numbers, with its sign: what a reader gets who subtracts
    them. Nothing where one of them is no number."""
    try:
        between = Decimal(_plain(after)) - Decimal(_plain(before))
    except InvalidOperation:
        return ""
    text = f"{abs(between):,f}"
    return f"+{text}" if between > 0 else f"−{text}" if between else text


def _plain(text: str) -> str:
    return text.replace("−", "-").replace(",", "")


def percent(share: float) -> str:
    """Write a probability, or a part of a whole."""
    if not math.isfinite(share):
        return "–"
    if 0 < share < 0.001:
        return "<0.1\N{NO-BREAK SPACE}%"
    return f"{number(100 * share, 1 if abs(share) < 0.1 else 0)}\N{NO-BREAK SPACE}%"


def visible(piece: str) -> str:
    """Write a token so that nothing of it is unseen."""
    return piece.replace("\n", "↵").replace("\t", "⇥").strip(" ") or (
        "␣" if piece else "(part of a character)")


def short_number(value: float) -> str:
    """Return a number in at most about six characters: 1.87, 0.0421, 3.2e-5, 12,400."""
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    if value == 0:
        return "0"
    if size < 1e-3 or size >= 1e6:
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    elif size >= 1000:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{max(0, 2 - math.floor(math.log10(size)))}f}"
    return text.replace("-", "−", 1) if value < 0 else text


def format_duration(seconds: float) -> str:
    """Return 0:40, 12:30 or 2:05:00."""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def file_size(count: int) -> str:
    """Return 812 kB, 6.4 MB or 1.2 GB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
