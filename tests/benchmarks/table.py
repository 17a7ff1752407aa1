"""The table of one comparison."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from process import Side
from work import SIDES

_PHASES = ("sampling", "reference", "value", "reward", "update")


def render(sides: Sequence[Side], fp32_rate: float, bf16_rate: float) -> list[str]:
    """Return the lines of a Markdown table: medians, and ratios taken round by round.

    A ratio is a side's time divided by the first side's in the same round. The share of the
    matrix-multiply rate is the time that the products alone would need over the time taken.
    """
    first = sides[0]
    phases = [name for name in _PHASES if any(s.measured.phase(name) is not None for s in sides)]
    lines = [
        f"| side | seconds a cycle | × {first.name} | " + " | ".join(phases)
        + " | CPU s | tokens/s | peak memory | of matmul rate |",
        "|---|" + "---:|" * (len(phases) + 6),
    ]
    for side in sides:
        found = side.measured
        ratio = median(a / b for a, b in
                       zip(found.seconds, first.measured.seconds, strict=True))
        seconds = [found.phase(name) for name in phases]
        rate = bf16_rate if side.name.endswith("bf16") else fp32_rate
        share = median(f / rate / s for f, s in
                       zip(found.flops, found.seconds, strict=True)) if rate else float("nan")
        speed = median(t / s for t, s in zip(found.tokens, found.seconds, strict=True))
        lines.append(
            f"| {SIDES[side.name]} | {median(found.seconds):.2f} | {ratio:.2f} | "
            + " | ".join("–" if s is None else f"{s:.2f}" for s in seconds)
            + f" | {median(found.cpu):.2f} | {speed:,.0f} | {found.memory / 2**30:.2f} GiB "
            f"| {share:.0%} |")
    if fp32_rate:
        bf16 = f" and {bf16_rate / 1e9:,.0f} in bf16" if bf16_rate else ""
        lines += ["", f"Matrix products ran at {fp32_rate / 1e9:,.0f} GFLOP/s in float32{bf16}."]
    return lines
