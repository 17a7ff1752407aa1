"""The command ``ppo-workbench``: the window, headless training, doctor.

Only the standard library is imported here; each command brings what it needs, so that the window
is not kept waiting.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from workbench import __version__, logs, processes, terminal
from workbench.exit_status import FAILED, INTERRUPTED, UNUSABLE
from workbench.memory_allocator import keep_freed_memory


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    terminal.prepare()
    options = parse(arguments)
    options.words = sys.argv[1:] if arguments is None else list(arguments)
    only_prints = options.command in ("runs", "show", "doctor")
    try:
        status = _run(options)
    except KeyboardInterrupt:
        terminal.tell("interrupted.")
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads on: `ppo-workbench runs | head`
        terminal.discard_output()
        return FAILED
    except OSError as error:
        if not only_prints or error.filename is not None:
            raise
        terminal.discard_output()
        terminal.tell(terminal.cannot_write(error))
        return FAILED
    if processes.started() > 1:
        from workbench.launch import note_status

        note_status(status)
    try:
        sys.stdout.flush()
    except OSError as error:
        terminal.discard_output()
        if only_prints and not isinstance(error, BrokenPipeError):
            terminal.tell(terminal.cannot_write(error))
        return FAILED if only_prints else status
    return status


def _run(options: argparse.Namespace) -> int:
    keep_freed_memory()
    logs.set_level(options.log_level or "info")
    if options.log_level and options.command:
        logs.start_terminal()
    if processes.own_number():
        from workbench.training.following import follow

        return follow()
    match options.command:
        case "train":
            from workbench.headless import train

            return train(options)
        case "resume":
            from workbench.headless import resume

            return resume(options)
        case "hand-over":
            from workbench.headless import hand_over

            return hand_over(options)
        case "compare":
            from workbench.compare import compare

            return compare(options)
        case "best-of-n":
            from workbench.headless import best_of_n

            return best_of_n(options)
        case "export":
            from workbench.headless import export

            return export(options)
        case "fork":
            from workbench.headless import fork

            return fork(options)
        case "judge":
            from workbench.judge import judge

            return judge(options)
        case "runs":
            from workbench.listing import list_runs

            return list_runs(options)
        case "show":
            from workbench.listing import show_run

            return show_run(options)
        case "doctor":
            from workbench.doctor import doctor

            return doctor(options.home)
        case _:
            return _window(options)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the words of the command line, as options."""
    # Not by set_defaults: that would give the commands' --home a default, to undo an earlier one.
    defaults = argparse.Namespace(home=None, log_level=None, policy=None, reward=None)
    return _parser().parse_args(arguments, defaults)


def _parser() -> argparse.ArgumentParser:
    home = argparse.ArgumentParser(add_help=False)
    # Accepted before and after the command; SUPPRESS keeps the one from undoing the other.
    home.add_argument("--home", metavar="DIR", default=argparse.SUPPRESS,
                      help="where runs are kept (default: the platform's data folder, or "
                           "PPO_WORKBENCH_HOME)")
    home.add_argument("--log-level", choices=logs.LEVELS, default=argparse.SUPPRESS,
                      help="what is logged: in the window's case to logs/workbench.log of that "
                           "folder (default: info), else to the terminal (default: nothing)")
    parser = argparse.ArgumentParser(
        prog="ppo-workbench", parents=[home],
        description="PPO on language models: watch it, compare completions, steer it. "
                    "Without a command, the window opens.")
    parser.add_argument("--version", action="version", version=f"ppo-workbench {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    train = commands.add_parser(
        "train", parents=[home], help="train without a window, into the same store",
        description="Train without a window. The run can be opened in the window afterwards.",
        epilog=_hyperparameter_help(), formatter_class=argparse.RawDescriptionHelpFormatter)
    train.add_argument("--algorithm", metavar="A", default="ppo",
                       help="how the policy learns (default: ppo)")
    _add_data(train)
    _add_models(train)
    train.add_argument("--seed", metavar="N", help="the same as --set seed=N")
    train.add_argument("--name", default="", help="a name for the run")
    compare = commands.add_parser(
        "compare", parents=[home], help="train in several ways, one after the other",
        description="Train the same policy by the same reward on the same prompts in several "
                    "ways, one run after the other, and print how each did. Stopped by Ctrl+C, it "
                    "goes on with --continue.")
    compare.add_argument("--ways", metavar="A,B,...",
                         help="ways to learn, such as PPO,GRPO,RLOO (default: all there are)")
    compare.add_argument("--seeds", metavar="N,N,...", default="0",
                         help="a run of each way for each (default: 0)")
    compare.add_argument("--samples", metavar="N", type=int,
                         help="completions that each run writes (default: those of the settings); "
                              "one that learns from data has as many cycles as --cycles says")
    compare.add_argument("--seconds", metavar="S", type=float,
                         help="how long the cycles of each run may take, in place of --samples")
    compare.add_argument("--continue", metavar="N", type=int, dest="go_on",
                         help="go on with comparison N where it stood")
    _add_models(compare)
    resume = commands.add_parser(
        "resume", parents=[home], help="go on with a run from a checkpoint",
        description="Go on with a run; on a CPU as if it had never stopped.")
    _add_run(resume)
    resume.add_argument("--cycle", metavar="N", type=int,
                        help="go back to the checkpoint after cycle N (0: the start); the later "
                             "cycles are kept as an abandoned branch")
    fork = commands.add_parser(
        "fork", parents=[home], help="begin a run from a checkpoint of another",
        description="Begin a new run where another stood, with changed settings; both share the "
                    "cycles up to there.",
        epilog=_hyperparameter_help(), formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_run(fork)
    fork.add_argument("--cycle", metavar="N", type=int,
                      help="from the checkpoint after cycle N (default: the last; 0: the start)")
    fork.add_argument("--seed", metavar="N", help="the same as --set seed=N")
    fork.add_argument("--name", default="", help="a name for the fork")
    fork.add_argument("--algorithm", metavar="A",
                      help="go on by another algorithm, with the settings that mean the same to it")
    _add_data(fork)
    _add_reward(fork)
    for command in (train, resume, fork, compare):
        _add_trust(command)
        command.add_argument("--cycles", metavar="N", help="the same as --set num_cycles=N")
        command.add_argument(
            "--set", metavar="NAME=VALUE", action="append", default=[], dest="settings",
            help="set a hyperparameter; may be given several times")
        command.add_argument("--threads", metavar="N", type=int, help="CPU threads for torch")
        command.add_argument("--processes", metavar="N", help="the same as --set processes=N")
        command.add_argument(
            "--json", action="store_true", help="one JSON object per cycle and line")
    export = commands.add_parser(
        "export", parents=[home], help="save a run's policy as a plain model folder",
        description="Save the policy of a run as a folder that AutoModelForCausalLM loads.")
    _add_run(export)
    export.add_argument("folder", metavar="DIR", help="where to")
    export.add_argument("--cycle", metavar="N", type=int,
                        help="as it stood after cycle N (default: the last checkpoint)")
    _add_trust(export)
    handing = commands.add_parser("hand-over", parents=[home])  # for other programs: not listed
    handing.add_argument("--processes", required=True)
    _add_best_of_n(commands, home)
    _add_judge(commands, home)
    commands.add_parser("runs", parents=[home], help="list the runs of the home folder as a tree")
    show = commands.add_parser(
        "show", parents=[home], help="print a run's settings, changes, checkpoints and results",
        description="Print what decided a run, where it comes from and how it went.")
    _add_run(show)
    commands.add_parser("doctor", parents=[home],
                        help="versions, device, memory, home folder, and what is wrong")
    return parser


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", metavar="FILE|RUN|judgements:NAME|bundled", action="append",
                         help="for dpo and reward: a file of pairs, or the number of a run whose "
                              "completions make them (default: bundled); for ilql and kto: a file "
                              "of completions with scores or labels, or a run's number, for "
                              "several runs several times (default: all finished runs of the "
                              "same models); for any: what was said in Judge, by the name of "
                              "the set")
    command.add_argument("--least-difference", metavar="X", type=float,
                         help="of the scores of two completions that make a pair of --data RUN "
                              "(default: half the deviation of all)")


def _add_reward(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--reward", metavar="R[=WEIGHT]", action="append",
        help="folder or hub name of a sequence classifier, a Python file, the http(s) address of a "
             "server, or one of bundled, vader, length_and_repetition (default: bundled); given "
             "several times, the reward is their weighted sum")
    command.add_argument(
        "--reward-label", metavar="N", type=int, action=_PartAction, default=[],
        help="which output is the score, for a classifier with several; of the --reward just "
             "before it")
    command.add_argument(
        "--reward-reads", metavar="HOW", action=_PartAction, default=[],
        choices=("auto", "text", "segments", "chat"),
        help="how a classifier reads: prompt and completion as one text, as two segments (a "
             "pair), or as the turns of its chat template (default: auto, turns where it has a "
             "template); of the --reward just before it")
    command.add_argument(
        "--reward-end-token", action=_PartAction, nargs=0, default=[],
        help="end every text with the classifier's end-of-sequence token (EOS), as TRL's "
             "RewardTrainer does; of the --reward just before it")
    command.add_argument(
        "--gold", metavar="R", action="append", default=[],
        help="a reward that is scored on the side and never learned from, named as --reward is: "
             "where the reward rises and the gold one falls, the reward is over-optimised")


def _add_models(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--policy", metavar="P",
        help="folder, GGUF file, hub name, or smollm2 for SmolLM2-135M-Instruct (default: bundled)")
    _add_reward(command)
    command.add_argument(
        "--chat-template", action=argparse.BooleanOptionalAction,
        help="wrap prompts in the policy's chat template (default: with smollm2)")
    command.add_argument(
        "--prompts", metavar="FILE",
        help="txt, jsonl, json, csv, tsv, their .gz, or parquet (default: bundled)")


def _add_best_of_n(commands: Any, home: argparse.ArgumentParser) -> None:
    best = commands.add_parser(
        "best-of-n", parents=[home], help="what the best of n completions of a run's policy are "
        "worth",
        description="Sample n completions of each prompt and print the mean reward of the best of "
                    "1, 2, ... n, with its KL bound. It is kept with the run, for Frontier.")
    _add_run(best)
    best.add_argument("--cycle", metavar="N", type=int,
                      help="by the policy as it stood after cycle N (default: the last "
                           "checkpoint; 0: the start policy)")
    best.add_argument("--n", metavar="N", type=int, default=16,
                      help="completions of each prompt, 2 to 64 (default: 16)")
    best.add_argument("--prompts", metavar="FILE",
                      help="of these prompts (default: those that the run trains on)")
    best.add_argument("--most", metavar="N", type=int, default=64,
                      help="so many of the run's prompts at most (default: 64)")
    best.add_argument("--seed", metavar="N", type=int, default=0, dest="sampling_seed",
                      help="of the random numbers (default: 0)")
    best.add_argument("--threads", metavar="N", type=int, help="CPU threads for torch")
    best.add_argument("--processes", metavar="N", type=int,
                      help="how many processes share out the completions (default: as many as "
                           "compute the run)")
    best.add_argument("--json", action="store_true", help="one JSON object per n and line")
    _add_trust(best)


def _add_judge(commands: Any, home: argparse.ArgumentParser) -> None:
    judge = commands.add_parser(
        "judge", parents=[home], help="have an AI say which completions of pairs are better",
        description="Have an AI judge the pairs of a set of Judge, each in both orders; where both "
                    "agree it is a mark. Stopped by Ctrl+C, the same command goes on: nothing is "
                    "asked twice.")
    judge.add_argument("set", metavar="SET", help="the set of pairs, by its name")
    judge.add_argument("--judge", metavar="J", required=True,
                       help="bundled, smollm2, a folder, GGUF file or hub name; or the http(s) "
                            "address of a server that speaks OpenAI's chat completions, whose key "
                            "is taken from PPO_WORKBENCH_JUDGE_KEY")
    judge.add_argument("--model", metavar="NAME", default="",
                       help="which model of the server (default: the first that it names)")
    judge.add_argument("--rubric", metavar="FILE",
                       help="a text that says what makes an answer better (default: one of ours)")
    judge.add_argument("--most", metavar="N", type=int,
                       help="so many pairs at most, with two questions each (default: all)")
    judge.add_argument("--trust-judge-server", action="store_true",
                       help="send prompts and completions to the judge's address; remembered for "
                            "it")
    judge.add_argument("--threads", metavar="N", type=int, help="CPU threads for torch")


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "run", metavar="RUN", type=_run_number, help="its number (ppo-workbench runs)")


def _run_number(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a run is named by its number, not {text!r}") from None
    if abs(number) >= 2**63:  # what the database can count to
        raise argparse.ArgumentTypeError(f"there is no run {text}")
    return number


class _PartAction(argparse.Action):
    """Keeps what is said of a reward with the number of the one it follows."""

    def __call__(self, parser: object, namespace: argparse.Namespace, values: object,
                 option_string: str | None = None) -> None:
        place = max(0, len(namespace.reward or []) - 1)
        value = True if self.nargs == 0 else values
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), (place, value)])


def _add_trust(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--trust-reward-file", action="store_true",
        help="run the reward's Python file: a program that can do whatever you can; remembered "
             "until the file changes")
    command.add_argument(
        "--trust-reward-server", action="store_true",
        help="send every prompt and completion to the reward's address; remembered for it")


def _hyperparameter_help() -> str:
    # Only wanted when it is printed: pydantic takes a while to import.
    if not {"-h", "--help"} & set(sys.argv):
        return ""
    from workbench.algorithms import ALGORITHMS
    from workbench.formatting import format_number

    def shown(default: object) -> str:
        return format_number(default) if isinstance(default, float) else str(default) or '""'

    tables = {algorithm.title: [(s.name, shown(s.default), s.label)
                                for s in algorithm.settings.specs().values()]
              for algorithm in ALGORITHMS}
    name, default = (max(len(row[column]) for rows in tables.values() for row in rows)
                     for column in (0, 1))
    return "\n\n".join("\n".join([
        f"{title}: settings for --set, with their defaults:",
        *(f"  {row[0]:{name}}  {row[1]:>{default}}  {row[2]}" for row in rows)])
        for title, rows in tables.items())


def _window(options: argparse.Namespace) -> int:
    from workbench.display import display_available

    if not display_available():
        terminal.tell("there is no display to open the window on; use `ppo-workbench train` to "
                      "run PPO without one.")
        return UNUSABLE
    from workbench.crash_log import keep_crashes
    from workbench.gui.app import run
    from workbench.store.home import find_home

    home = find_home(options.home)
    with keep_crashes(home):
        return run(home)
