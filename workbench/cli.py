"""The command ``ppo-workbench``: the window, headless training, doctor.

Only the standard library is imported here; each command brings what it needs, so that the window
is not kept waiting.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from workbench import __version__
from workbench.memory_allocator import keep_freed_memory

FAILED, UNUSABLE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    options = _parser().parse_args(arguments)
    keep_freed_memory()
    match options.command:
        case "train":
            from workbench.headless import train

            return train(options)
        case "resume":
            from workbench.headless import resume

            return resume(options)
        case "export":
            from workbench.headless import export

            return export(options)
        case "runs":
            from workbench.headless import list_runs

            return list_runs(options)
        case "doctor":
            from workbench.doctor import doctor

            return doctor(options.home)
        case _:
            return _window(options)


def _parser() -> argparse.ArgumentParser:
    home = argparse.ArgumentParser(add_help=False)
    # Accepted before and after the command; SUPPRESS keeps the one from undoing the other.
    home.add_argument("--home", metavar="DIR", default=argparse.SUPPRESS,
                      help="where runs are kept (default: the platform's data folder, or "
                           "PPO_WORKBENCH_HOME)")
    parser = argparse.ArgumentParser(
        prog="ppo-workbench", parents=[home],
        description="PPO on language models: watch it, compare completions, steer it. "
                    "Without a command, the window opens.")
    parser.add_argument("--version", action="version", version=f"ppo-workbench {__version__}")
    parser.set_defaults(home=None, policy=None, reward=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    train = commands.add_parser(
        "train", parents=[home], help="run PPO without a window, into the same store",
        description="Run PPO without a window. The run can be opened in the window afterwards.",
        epilog=_hyperparameter_help(), formatter_class=argparse.RawDescriptionHelpFormatter)
    train.add_argument("--policy", metavar="P", help="folder or hub name (default: bundled)")
    train.add_argument("--reward", metavar="R", help="folder or hub name (default: bundled)")
    train.add_argument("--reward-label", metavar="N", type=int,
                       help="which output is the score, for a reward model with several")
    train.add_argument("--chat-template", action="store_true",
                       help="wrap prompts in the policy's chat template")
    train.add_argument("--prompts", metavar="FILE", help="txt, jsonl or csv (default: bundled)")
    train.add_argument("--seed", metavar="N", help="the same as --set seed=N")
    train.add_argument("--name", default="", help="a name for the run")
    resume = commands.add_parser(
        "resume", parents=[home], help="go on with a run from a checkpoint",
        description="Go on with a run; on a CPU as if it had never stopped.")
    resume.add_argument("run", metavar="RUN", type=int, help="its number (ppo-workbench runs)")
    resume.add_argument("--cycle", metavar="N", type=int,
                        help="from the checkpoint after cycle N (default: the last; 0: the start)")
    for command in (train, resume):
        command.add_argument("--cycles", metavar="N", help="the same as --set num_cycles=N")
        command.add_argument(
            "--set", metavar="NAME=VALUE", action="append", default=[], dest="settings",
            help="set a hyperparameter; may be given several times")
        command.add_argument("--threads", metavar="N", type=int, help="CPU threads for torch")
        command.add_argument(
            "--json", action="store_true", help="one JSON object per cycle and line")
    export = commands.add_parser(
        "export", parents=[home], help="save a run's policy as a plain model folder",
        description="Save the policy of a run as a folder that AutoModelForCausalLM loads.")
    export.add_argument("run", metavar="RUN", type=int, help="its number (ppo-workbench runs)")
    export.add_argument("folder", metavar="DIR", help="where to")
    export.add_argument("--cycle", metavar="N", type=int,
                        help="as it stood after cycle N (default: the last checkpoint)")
    commands.add_parser("runs", parents=[home], help="list the runs of the home folder")
    commands.add_parser("doctor", parents=[home],
                        help="versions, device, memory, home folder, and what is wrong")
    return parser


def _hyperparameter_help() -> str:
    # Only wanted when it is printed: pydantic takes a while to import.
    if not {"-h", "--help"} & set(sys.argv):
        return ""
    from workbench.ppo.hyperparameters import specs

    lines = [f"  {s.name:22} {s.default!s:>8}  {s.label}" for s in specs().values()]
    return "hyperparameters for --set, with their defaults:\n" + "\n".join(lines)


def _window(options: argparse.Namespace) -> int:
    if not display_available():
        print("ppo-workbench: there is no display to open the window on; use `ppo-workbench "
              "train` to run PPO without one.", file=sys.stderr)
        return UNUSABLE
    from workbench.gui.app import run
    from workbench.store.home import find_home

    return run(find_home(options.home))


def display_available() -> bool:
    """Whether Qt has somewhere to draw; asked first, because Qt aborts the process otherwise."""
    platform = os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if platform in ("offscreen", "minimal", "vnc"):
        return True
    if not sys.platform.startswith("linux"):
        return True
    if platform != "xcb" and _socket_exists(os.environ.get("WAYLAND_DISPLAY", "")):
        return True
    return _x_answers(os.environ.get("DISPLAY", ""))


def _socket_exists(name: str) -> bool:
    folder = os.environ.get("XDG_RUNTIME_DIR", "")
    return bool(name) and (Path(folder) / name).exists()


def _x_answers(display: str) -> bool:
    """Whether an X server accepts connections on ``display``, local or forwarded."""
    import socket

    host, colon, number = display.rpartition(":")
    number = number.partition(".")[0]
    if not colon or not number.isdigit():
        return False
    try:
        if host in ("", "unix"):
            if Path(f"/tmp/.X11-unix/X{number}").exists():
                return True
            with socket.socket(socket.AF_UNIX) as local:
                local.connect(f"\0/tmp/.X11-unix/X{number}")
            return True
        with socket.create_connection((host, 6000 + int(number)), timeout=2):
            return True
    except OSError:
        return False
