"""Writing what a run trains as a plain folder of transformers: whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import torch

from workbench.learning.reading_back import WrongExportError
from workbench.learning.trainer import AnyTrainer
from workbench.models.control import Interrupted
from workbench.models.sources import LoadError, Report
from workbench.store.folders import why_not_kept, why_not_writable

_BESIDE = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json",
           "tokenizer.model")
"""Files of a policy's folder that are not made anew: how pictures are prepared for it, and its
tokenizer in the form that llama.cpp's converter asks for."""


class ExportError(Exception):
    """What a run trains cannot be exported. The message is one plain sentence."""


def check_folder(folder: str) -> None:
    """Raise :class:`ExportError` for a folder that cannot be written to."""
    problem = why_not_kept(folder) or why_not_writable(Path(folder))
    if problem:
        raise ExportError(problem)


def export(trainer: AnyTrainer, folder: str, report: Report, *, replace: bool = False) -> str:
    """Write what is trained as it stands; it appears under its name when it is complete and has
    been read back.

    Args:
        report: told what is being done; may raise Interrupted to give up.
        replace: an older one of the same name makes room.

    Returns:
        a sentence on why it was not read back; empty when it was.

    Raises:
        ExportError: the folder cannot be written, or what was written is not the same; nothing
            is left behind.
    """
    final = Path(folder)
    partial = final.with_name(f"{final.name}.partial")
    missing = [parent for parent in final.parents if not parent.exists()]
    try:
        shutil.rmtree(partial, ignore_errors=True)
        report(f"Writing the {trainer.MAKES} to {folder}", 0.1)
        trainer.export(str(partial), report)
        _copy_beside(trainer, partial)
        unchecked = _read_back(trainer, str(partial), report)
        if final.is_dir() and replace:
            shutil.rmtree(final)
        elif final.is_dir():
            final.rmdir()
        partial.rename(final)
    except BaseException as error:  # whatever it is, the run and the window go on
        shutil.rmtree(partial, ignore_errors=True)
        for parent in missing:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise ExportError(_why_not(error, folder, trainer.MAKES)) from error
    return unchecked


def _copy_beside(trainer: AnyTrainer, folder: Path) -> None:
    for read in (trainer.policy_tokenizer.tokenizer, trainer.policy.model):
        source = Path(getattr(read, "name_or_path", ""))
        # A GGUF file lies among files of others.
        if not any((source / name).is_file() for name in ("config.json", "adapter_config.json")):
            continue
        for name in _BESIDE:
            if (source / name).is_file() and not (folder / name).exists():
                shutil.copyfile(source / name, folder / name)


def _read_back(trainer: AnyTrainer, folder: str, report: Report) -> str:
    try:
        return trainer.check_exported(
            folder, lambda text, share: report(
                text.replace("Reading the", "Reading back the"), 0.5 + 0.5 * share))
    except LoadError as error:
        reason = str(error).partition(";")[0].replace(folder, "it")
        raise WrongExportError(f"it cannot be read back: {reason}") from error
    except (MemoryError, torch.OutOfMemoryError):
        return "There was too little memory to read it back and compare."


def _why_not(error: BaseException, folder: str, what: str) -> str:
    if isinstance(error, Interrupted):
        return "The export was cancelled; nothing was written."
    if isinstance(error, WrongExportError):
        return (f"The {what} was not exported to {folder}, for {error}; please report this with "
                "the name of the model.")
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0] or (
        type(error).__name__)
    return f"The {what} could not be written to {folder} ({reason}); choose another folder."
