"""Numbers, sizes, counts and settings as text, in the window and on the command line."""

from __future__ import annotations

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


def count_cycles(number: int) -> str:
    """Return 1 cycle or 20 cycles."""
    return "1 cycle" if number == 1 else f"{number} cycles"


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
