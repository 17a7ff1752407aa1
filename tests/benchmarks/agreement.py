"""Do all sides compute the same quantities? The workbench samples; the others must reproduce it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from process import Side
from work import Work

# Rounding in float32 leaves differences of about 1e-6.
TOLERANCE = 2e-5
AFTER = 5e-5  # of the largest move, which float error grows with
STEP = 1e-2  # of the learning rate, for a weight after one step of Adam
RATE = 1e-4
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

# The same of TRL 1.16.0's trainers.
PAIR_QUANTITIES = {
    "logprobs": "log-probabilities a token, policy",
    "ref_logprobs": "log-probabilities a token, reference",
    "loss": "loss",
    "margins": "reward margin",
}
MARK_QUANTITIES = {
    "logprobs": "log-probabilities a token, policy",
    "ref_logprobs": "log-probabilities a token, reference",
    "kl": "reference point z",
    "loss": "loss",
    "good": "reward of the good",
    "bad": "reward of the bad",
}
SCORE_QUANTITIES = {
    "scores": "scores",
    "loss": "loss",
    "margins": "score margin",
}
GROUP_QUANTITIES = {
    "logprobs": "log-probabilities, policy",
    "ref_logprobs": "log-probabilities, reference",
    "scores": "scores",
    "advantages": "advantages of the group",
    "loss": "loss, mean of the steps",
    "after": "log-probabilities after the steps",
}

_PEERS = {"trl-1.12.0": "ours-separate", "trl-0.11.4": "ours"}


class DisagreementError(AssertionError):
    """Two sides computed different numbers."""


def compare_numbers(
    work: Work, pythons: Mapping[str, Path], folder: Path, settings: dict[str, str]
) -> list[str]:
    """Run one whole cycle on the same sequences on every side and compare.

    TRL 1.12.0 is compared with our separate value model, TRL 0.11.4 with our shared trunk.
    Returns the lines of a table.

    Raises:
        DisagreementError: some quantity is too far apart.
    """
    found: dict[str, dict[str, float]] = {}
    told = replace(work, learning_rate=RATE, ragged=False, mini_batches=1)
    for name, peer in _PEERS.items():
        if name not in pythons:
            continue
        with ExitStack() as stack:
            ours, other = (
                stack.enter_context(Side(side, pythons[side], told, settings))
                for side in (peer, name))
            mine, theirs = folder / f"{peer}.npz", folder / f"{name}.npz"
            ours.ask(do="check", save=str(mine))
            other.ask(do="check", save=str(theirs), ours=str(mine))
        found[name] = _differences(np.load(mine), np.load(theirs))
    return _table(found, np.load(mine)) if found else []


def compare_steps(
    work: Work, pythons: Mapping[str, Path], folder: Path, settings: dict[str, str]
) -> list[str]:
    """Take the same steps on the same texts by our DPO, KTO, reward model or GRPO, and by TRL
    1.16.0's, and compare losses, log-probabilities or scores and, after a single step, all weights.
    Returns the lines of a table.

    Raises:
        DisagreementError: some quantity is too far apart.
    """
    found: dict[str, dict[str, float]] = {}
    moves: dict[str, float] = {}
    names = {"dpo": PAIR_QUANTITIES, "kto": MARK_QUANTITIES, "reward": SCORE_QUANTITIES,
             "grpo": GROUP_QUANTITIES}[work.algorithm]
    for title, told in _cases(work).items():
        ours, theirs = (folder / f"{side}.npz" for side in ("ours", "theirs"))
        with ExitStack() as stack:
            mine, other = (
                stack.enter_context(Side(side, pythons[side], told, settings))
                for side in (f"ours-{work.algorithm}", f"trl-1.16.0-{work.algorithm}"))
            mine.ask(do="check", save=str(ours))
            other.ask(do="check", save=str(theirs), ours=str(ours))
        a, b = np.load(ours), np.load(theirs)
        if not np.array_equal(a["tokens"], b["tokens"]):
            raise DisagreementError("the sequences compared are not the same")
        found[title] = {key: _apart(a[key], b[key]) for key in names}
        if told.epochs == 1:
            found[title]["weights"] = _apart(a["weights"], b["weights"]) / RATE
        moves[title] = float(np.abs(a["moved"]).max() / RATE)
    return _step_table(found, moves, {**names, "weights": "weights, in learning rates"})


def _cases(work: Work) -> dict[str, Work]:
    """What is compared, by its title: one step each of several losses, or one and four steps."""
    if work.algorithm == "dpo":
        told = replace(work, learning_rate=RATE, rows=work.rows // work.mini_batches,
                       mini_batches=1, epochs=1, ragged=True)
        return {loss: replace(told, loss=loss) for loss in ("sigmoid", "ipo", "hinge")}
    if work.algorithm in ("kto", "reward"):
        return {"one step": replace(
            work, learning_rate=RATE, rows=work.rows // work.mini_batches, mini_batches=1, epochs=1,
            ragged=True)}
    told = replace(work, learning_rate=RATE, ragged=True, kl_coef=0.05)
    return {"one step": replace(told, epochs=1), "four steps": replace(told, epochs=4)}


def _apart(mine: np.ndarray, theirs: np.ndarray) -> float:
    if mine.ndim > theirs.ndim:  # what is the same all along a row
        mine = mine[:, 0]
    return float(np.abs(mine.astype(float) - theirs).max())


def _step_table(
    found: Mapping[str, Mapping[str, float]], moves: Mapping[str, float], names: Mapping[str, str]
) -> list[str]:
    lines = ["| largest difference to the workbench | " + " | ".join(found) + " |",
             "|---|" + "---:|" * len(found)]
    wrong = []
    for key, label in names.items():
        numbers = [differences.get(key) for differences in found.values()]
        lines.append(f"| {label} | " + " | ".join(
            "–" if x is None else f"{x:.1e}" for x in numbers) + " |")
        tolerance = STEP if key == "weights" else TOLERANCE
        wrong += [f"{label}: {x:.1e}" for x in numbers if x is not None and not x <= tolerance]
    lines += ["", f"Tolerance {TOLERANCE:.0e}; of a weight "
                  f"{STEP:.0e} of the learning rate ({RATE:.0e}), by which Adam's first step moves "
                  f"it at most ({max(moves.values()):.2f} of it at most, in all steps)."]
    if wrong:
        raise DisagreementError("\n".join([*lines, "", "Too far apart:", *wrong]))
    return lines


def _table(found: Mapping[str, Mapping[str, float]], mine: Mapping[str, np.ndarray]) -> list[str]:
    lines = ["| largest difference to the workbench | " + " | ".join(found) + " |",
             "|---|" + "---:|" * len(found)]
    wrong = []
    shift = np.abs(mine["after"] - mine["logprobs"])
    for key, label in QUANTITIES.items():
        numbers = [differences[key] for differences in found.values()]
        lines.append(f"| {label} | " + " | ".join(f"{x:.1e}" for x in numbers) + " |")
        tolerance = max(TOLERANCE, AFTER * shift.max()) if key == "after" else TOLERANCE
        wrong += [f"{label}: {x:.1e}" for x in numbers if not x <= tolerance]
    lines += ["", f"Tolerance {TOLERANCE:.0e}; after the epochs {AFTER:.0e} of the largest move "
                  "where that is more. The four epochs, at a learning rate of 1e-4, "
                  f"moved the log-probabilities by {shift.mean():.2f} on average and "
                  f"{shift.max():.2f} at most."]
    if wrong:
        raise DisagreementError("\n".join([*lines, "", "Too far apart:", *wrong]))
    return lines


def _differences(
    mine: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]
) -> dict[str, float]:
    if not np.array_equal(mine["tokens"], theirs["tokens"]):
        raise DisagreementError("the sequences compared are not the same")
    return {key: float(np.abs(mine[key].astype(float) - theirs[key]).max()) for key in QUANTITIES}
