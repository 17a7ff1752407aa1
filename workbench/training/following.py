"""A process of a run that another one leads: it does what it is told
(:mod:`workbench.training.leading`)."""

from __future__ import annotations

import contextlib
import logging
import os
import signal

import torch
from transformers.utils import logging as transformers_logging

from workbench.algorithms import find_algorithm
from workbench.models import ranks
from workbench.models.control import SharedControl
from workbench.models.out_of_memory import is_out_of_memory
from workbench.training.failures import explain, is_expected
from workbench.training.heartbeat import Heartbeat, meeting_place
from workbench.training.leading import ALIKE, GATHERED, Call, LearnBy, Load, is_broken
from workbench.training.models import Models

log = logging.getLogger(__name__)

def follow() -> int:
    """Do what the first process says until it ends; return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the first process decides when all end
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    ranks.join(meeting_place("group"))
    heartbeat = Heartbeat()
    models = Models()
    try:
        with ranks.together():
            while (told := ranks.broadcast(None)) is not None:
                _obey(told, models)
    except Exception as error:
        if is_broken(error):  # the first one says which is gone
            return 1
        if not is_expected(error):
            log.exception("a process of a run failed")
        heartbeat.fail("" if is_out_of_memory(error) else explain(error)[0])
        os._exit(1)
    heartbeat.close()
    ranks.leave()
    return 0


def _obey(told: object, models: Models) -> None:
    match told:
        case Load(command=command, trusted=trusted):
            failed: list[str] = []
            try:
                models.load(command, lambda *_: None, begin=lambda _: None,
                            trusted=trusted.__contains__, failed=lambda e: failed.append(str(e)))
            except ALIKE as error:
                failed.append(str(error))
            ranks.exchange(" ".join(failed))
        case LearnBy(algorithm=name):
            with contextlib.suppress(*ALIKE):
                models.learn_by(find_algorithm(name))
        case Call(method=method, arguments=arguments, control=place, threads=threads):
            torch.set_num_threads(threads)
            own = list(arguments)
            if place is not None:
                own[place] = SharedControl(None)
            kept = ranks.helping() if method in GATHERED else contextlib.nullcontext()
            with contextlib.suppress(*ALIKE), kept:
                getattr(models.trainer, method)(*own)
        case _:
            raise RuntimeError(f"told to do what is not known: {told!r}")
