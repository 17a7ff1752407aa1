"""What is to be known of a setting beside its help."""

from __future__ import annotations

from workbench.algorithms import find_spec
from workbench.formatting import format_number, format_value
from workbench.settings import Spec


def only_with(spec: Spec) -> str:
    """Return a sentence that says with which other setting this one has an effect."""
    if spec.only_with is None:
        return ""
    name, value = spec.only_with
    master = find_spec(name)
    assert master is not None
    values = value if isinstance(value, tuple) else (value,)
    state = "not off" if value is True else " or ".join(format_value(master, v) for v in values)
    return f"Has an effect only while {master.label} is {state}."


def facts_of(spec: Spec) -> list[str]:
    """Return range, unit, default and when a change counts, line by line."""
    facts = []
    if spec.minimum is not None and spec.maximum is not None:
        low, high = format_number(spec.minimum), format_number(spec.maximum)
        facts.append(f"Range: {low} to {high} {spec.unit}".strip())
    if spec.choices:
        facts.append(f"One of: {', '.join(spec.choices)}")
    facts.append(f"Default: {format_value(spec, spec.default)}")
    if spec.only_with:
        facts.append(only_with(spec))
    facts.append("A change counts from the next cycle on." if spec.live
                 else "Fixed at the start of a run.")
    return facts
