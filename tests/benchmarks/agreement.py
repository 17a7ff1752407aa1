"""Do all sides compute the same quantities? The workbench samples; the others must reproduce it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from process import Side
from work import SEPARATE_VALUE_MODEL, Work

# Rounding in float32 leaves differences of about 1e-6.
TOLERANCE = 2e-5
# What is compared and how it is called.
QUANTITIES = {
    "logprobs": "log-probabilities, sampling policy",
    "ref_logprobs": "log-probabilities, reference",
    "values": "values",
    "scores": "scores",
    "advantages": "advantages, whitened",
    "policy_loss": "policy loss, mean of the epochs",
    "value_loss": "value loss, mean of the epochs",
    "approxkl": "approx-KL, mean of the epochs",
    "after": "log-probabilities after the epochs",
}


class DisagreementError(AssertionError):
    """Two sides computed different numbers."""


def compare_numbers(
    work: Work, pythons: Mapping[str, Path], folder: Path, settings: dict[str, str]
) -> list[str]:
    """Run one whole cycle on the same sequences on every side and compare.

    A separate value model trains apart from the policy, a shared trunk does not; so against the
    former the value loss has no weight. Returns the lines of a table.

    Raises:
        DisagreementError: some quantity is too far apart.
    """
    others = [(vf_coef, name) for vf_coef, name in ((0.0, "trl-1.12.0"), (0.1, "trl-0.11.4"))
              if name in pythons]
    found: dict[str, dict[str, float]] = {}
    for vf_coef, name in others:
        told = replace(work, learning_rate=1e-4, vf_coef=vf_coef, ragged=False, mini_batches=1)
        with ExitStack() as stack:
            ours, other = (
                stack.enter_context(Side(side, pythons[side], told, settings))
                for side in ("ours", name))
            mine, theirs = folder / "ours.npz", folder / f"{name}.npz"
            ours.ask(do="check", save=str(mine))
            other.ask(do="check", save=str(theirs), ours=str(mine))
        found[name] = _differences(np.load(mine), np.load(theirs))
    return _table(found, np.load(mine))


def _table(found: Mapping[str, Mapping[str, float]], mine: Mapping[str, np.ndarray]) -> list[str]:
    lines = ["| largest difference to the workbench | " + " | ".join(found) + " |",
             "|---|" + "---:|" * len(found)]
    wrong = []
    for key, label in QUANTITIES.items():
        if key == "value_loss":
            # With no weight it trains no value model; the shared trunk moves under its head.
            numbers = {n: d[key] for n, d in found.items() if n not in SEPARATE_VALUE_MODEL}
        else:
            numbers = {n: d[key] for n, d in found.items()}
        lines.append(f"| {label} | " + " | ".join(
            f"{numbers[n]:.1e}" if n in numbers else "–" for n in found) + " |")
        wrong += [f"{label}, {n}: {x:.1e}" for n, x in numbers.items() if not x <= TOLERANCE]
    shift = np.abs(mine["after"] - mine["logprobs"])
    lines += ["", f"Tolerance {TOLERANCE:.0e}. The four epochs, at a learning rate of 1e-4, moved "
                  f"the log-probabilities by {shift.mean():.2f} on average and {shift.max():.2f} "
                  "at most."]
    if wrong:
        raise DisagreementError("\n".join([*lines, "", "Too far apart:", *wrong]))
    return lines


def _differences(
    mine: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]
) -> dict[str, float]:
    if not np.array_equal(mine["tokens"], theirs["tokens"]):
        raise DisagreementError("the sequences compared are not the same")
    return {key: float(np.abs(mine[key].astype(float) - theirs[key]).max()) for key in QUANTITIES}
