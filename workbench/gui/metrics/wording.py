"""Metrics in words: tooltips, and labels within a sentence."""

from __future__ import annotations

import html

from workbench.ppo.metrics import Metric


def describe(metric: Metric) -> str:
    """Return the tooltip of a metric: label, name, formula, help."""
    return (f"<b>{html.escape(metric.label)}</b> · <code>{html.escape(metric.name)}</code><br>"
            f"{html.escape(metric.formula)}<br>{html.escape(metric.help)}")


def in_sentence(metric: Metric) -> str:
    """Return a metric's label as it stands within a sentence."""
    label = metric.label
    return label if label[1].isupper() else label[0].lower() + label[1:]
