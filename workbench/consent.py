"""Whether the person agrees, on the terminal, to what is run or sent for a reward."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from workbench.feedback.reward_server import AT_ONCE
from workbench.store.store import Store
from workbench.terminal import tell
from workbench.training import events as ev


def agreed(store: Store, untrusted: ev.Untrusted, options: argparse.Namespace) -> bool:
    """Whether the person agrees to a Python file or a server: by an option, or when asked on a
    terminal."""
    if isinstance(untrusted, ev.UntrustedServer):
        yes = _agreed_to_send(untrusted, options.trust_reward_server)
    else:
        yes = _agreed_to_run(untrusted, options.trust_reward_file)
    if yes:
        store.trust(untrusted.sha256, untrusted.path).result()
    return yes


def _agreed_to_send(server: ev.UntrustedServer, said_so: bool) -> bool:
    if said_so:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        tell(f"{server.path} would be sent every prompt and completion, which you have not agreed "
             "to; add --trust-reward-server.")
        return False
    print(f"As the reward, {server.path} is sent every prompt and completion, of each cycle those "
          f"of the batch and those compared, up to {AT_ONCE} in a request. Send them? [y/N] ",
          end="", file=sys.stderr, flush=True)
    if typed_answer().strip().lower() not in ("y", "yes"):
        tell("it was not asked.")
        return False
    return True


def _agreed_to_run(file: ev.UntrustedFile, said_so: bool) -> bool:
    name = Path(file.path).name
    since = f"{name} has changed since the run began; " if file.changed else ""
    if not said_so and not (sys.stdin.isatty() and sys.stderr.isatty()):
        tell(f"{since}{file.path} is a program that you have not agreed to run; read it, then add "
             "--trust-reward-file.")
        return False
    if not said_so:
        print(f"{file.text.rstrip()}\n\n{since}{file.path} (above) is a program: it can do "
              "whatever you can. Run it? [y/N] ", end="", file=sys.stderr, flush=True)
        if typed_answer().strip().lower() not in ("y", "yes"):
            tell("it was not run.")
            return False
    return True


def typed_answer() -> str:
    """Read a line from the terminal; Ctrl+C is no answer."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return sys.stdin.readline()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return ""
    finally:
        signal.signal(signal.SIGINT, before)
