"""The parts of a cycle of ILQL. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from workbench.formatting import number
from workbench.ilql.metrics import Q_MEAN, TOTAL
from workbench.learning import parts


def _say_update(metrics: Mapping[str, float]) -> str:
    if TOTAL not in metrics:
        return ""
    return f"loss {number(metrics[TOTAL], 3)}, Q {number(metrics[Q_MEAN])}"


UPDATE = replace(
    parts.UPDATE, view="metrics", say=_say_update,
    help="Steps on completions that were scored before: Q learns what each token brings, V what a "
         "state is worth, and the policy goes on learning to write like them. Nothing is written.")
COMPARE = replace(
    parts.COMPARE,
    help=f"{parts.COMPARE.help} They are written by the policy and, as β says, by the values.")
PARTS = (UPDATE, COMPARE)
