"""What the options of the command line say: settings, models, prompts and data of a run."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from workbench import algorithms, assets
from workbench.algorithm import Algorithm
from workbench.algorithms import (
    find_algorithm,
)
from workbench.known_models import known_policy
from workbench.records import RunData
from workbench.store.prompt_files import read_prompts
from workbench.terminal import tell
from workbench.training import commands as do
from workbench.training.pair_data import bundled_pairs, pairs_of_file
from workbench.training.reward_parts import RewardPart, find_source, parse_part
from workbench.training.scored_data import scored_of_file

_PROBLEMS = 20
"""Lines of a prompt file that are named, each in a line; the others are counted."""
_JUDGED = "judgements:"
BUNDLED = "bundled"
"""What is shipped and taken without a choice, wherever there is such a thing."""
Named = RunData | tuple[int, ...] | str | None
"""What a file holds that is to be learned from, the numbers of runs, or the name of a set of
judgements; None: nothing was named."""


class UsageError(ValueError):
    """What was asked for cannot be done. A plain sentence."""


def load_command(options: argparse.Namespace) -> do.LoadModels:
    """Return the command that loads the models that the command line names.

    Raises:
        PartError: a reward is not named as one is.
    """
    policy, chat = _policy(options)
    return do.LoadModels(policy, reward_of(options), chat)


def algorithm_named_by(name: str) -> Algorithm:
    try:
        return find_algorithm(name)
    except KeyError:
        names = ", ".join(algorithm.name for algorithm in algorithms.ALGORITHMS)
        raise UsageError(f"There is no algorithm {name!r}; there are: {names}.") from None


def data_of(
    options: argparse.Namespace, algorithm: Algorithm
) -> Named:
    """Return what the command line names to be learned from."""
    named = options.data or []
    if named and not algorithm.learns_from:
        *needing, last = (a.name for a in algorithms.ALGORITHMS if a.learns_from)
        raise UsageError(f"{algorithm.title} learns from what the policy writes and takes no "
                         f"--data; that goes with --algorithm {', '.join(needing)} or {last}.")
    runs = tuple(int(name) for name in named if name.isdecimal())
    if len(named) > 1 and (len(runs) < len(named) or algorithm.learns_from == "pairs"):
        several = " or several runs" if algorithm.learns_from == "completions" else ""
        raise UsageError(f"{algorithm.title} learns from one file, one run{several}, or one set of "
                         "judgements; give --data no more than that.")
    if options.least_difference is not None and not (runs and algorithm.learns_from == "pairs"):
        raise UsageError("--least-difference goes with --data RUN, a run's number, of which pairs "
                         "are made.")
    if runs or not named:
        return runs or None
    if named[0] == BUNDLED:
        if algorithm.learns_from != "pairs":
            raise UsageError(f"There are no bundled completions for {algorithm.title} to learn "
                             "from; leave out --data for those of all finished runs of the same "
                             "models, or name a file or a run.")
        return bundled_pairs()
    if named[0].startswith(_JUDGED):
        return named[0].removeprefix(_JUDGED)
    return _data_of(Path(named[0]).expanduser(), algorithm)


def _data_of(path: Path, algorithm: Algorithm) -> RunData:
    read = pairs_of_file if algorithm.learns_from == "pairs" else scored_of_file
    data, found = read(path)
    for problem in found.problems[:_PROBLEMS]:
        tell(problem)
    return data


def settings_of(options: argparse.Namespace) -> dict[str, object]:
    """Return the settings that the command line names.

    Raises:
        UsageError: one is not NAME=VALUE.
    """
    values: dict[str, object] = {}
    for setting in options.settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set wants NAME=VALUE, not {setting!r}.")
        values[name.strip()] = value.strip()
    if options.cycles is not None:
        values["num_cycles"] = options.cycles
    if getattr(options, "seed", None) is not None:
        values["seed"] = options.seed
    if getattr(options, "processes", None) is not None:
        values["processes"] = options.processes
    return values


def name_of(options: argparse.Namespace) -> str:
    """Return the run's name as one line that a terminal takes for text."""
    return " ".join("".join(c if c.isprintable() else " " for c in options.name).split())


def reward_of(options: argparse.Namespace) -> tuple[RewardPart, ...]:
    """Return the parts of the reward that the command line names.

    Raises:
        PartError: one is not named as one is.
    """
    parts = [parse_part(text) for text in options.reward or ["bundled"]]
    for name, told in (("label", options.reward_label), ("reads", options.reward_reads),
                       ("end_token", options.reward_end_token)):
        for place, value in told:
            parts[place] = replace(parts[place], **{name: value})
    return (*parts, *(RewardPart(find_source(name), 0.0) for name in options.gold))


def prompts_of(file: str | None) -> tuple[do.PromptItem, ...]:
    """Return the enabled prompts of a file, or the bundled ones; say which lines are none.

    Raises:
        PromptFileError: there are none.
    """
    found = read_prompts(assets.DEFAULT_PROMPTS if not file or file == BUNDLED else
                         Path(file).expanduser())
    for problem in found.problems[:_PROBLEMS]:
        tell(problem)
    if len(found.problems) > _PROBLEMS or found.from_layout:
        tell(found.summary)
    return tuple(do.PromptItem.of(p) for p in found.prompts if p.enabled)


def _policy(options: argparse.Namespace) -> tuple[str, bool]:
    """Return what to load as the policy, and whether to apply its chat template."""
    wanted = options.policy or BUNDLED
    if wanted == BUNDLED:
        wanted = str(assets.BUNDLED_POLICY)
    path = Path(wanted).expanduser()
    if path.exists():
        # A run is resumed from any folder.
        wanted = str(path.absolute())
    known = known_policy(wanted)
    chat = options.chat_template
    return (known.source() if known else wanted,
            bool(known and known.chat) if chat is None else chat)
