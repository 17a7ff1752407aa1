"""What every model's folder is read by: configuration, tokenizer, place in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoConfig

from workbench.models import four_bit
from workbench.models.adapter_files import Adapter
from workbench.models.device import Placement
from workbench.models.sources import LoadError
from workbench.models.tokenizer_files import has_tokenizer, read_tokenizer
from workbench.models.weight_files import check_files, read_settings


def tokenizer_of(adapter: Adapter | None, whole: Path, source: str) -> Any:
    """Return the tokenizer that an adapter brings, or that of the whole model."""
    own = adapter is not None and has_tokenizer(adapter.folder)
    return read_tokenizer(adapter.folder if adapter and own else whole, source, whole)


def read_config(folder: Path, source: str, *, packed: bool = False, **settings: Any) -> Any:
    """Return a folder's configuration, changed by ``settings``.

    Args:
        packed: weights that are packed into 4 bits can be read.

    Raises:
        LoadError: it cannot be used.
    """
    check_files(folder, source)
    kind = read_settings(folder, source, packed=packed).get("model_type")
    try:
        config = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **settings)
        if config._attn_implementation not in (None, "eager", "sdpa"):
            config._attn_implementation = None  # of the machine that it was trained on
        config.return_dict = True  # some are saved as they were traced, with False
        if getattr(config, "quantization_config", None):
            four_bit.prepare(config)
        return config
    except Exception as error:
        known = "is damaged" if kind in CONFIG_MAPPING else (
            f"names an architecture ({kind}) that is unknown to the installed transformers")
        raise LoadError(
            f"The configuration of {source} cannot be used: config.json {known}; choose another "
            "model.") from error


def architectures(config: Any) -> set[str]:
    """Return the classes that a model was saved from."""
    return set(config.architectures or ())


def place(model: Any, source: str, placement: Placement) -> Any:
    """Move a model to its device.

    Raises:
        LoadError: it does not fit there.
    """
    try:
        return model.to(placement.device)
    except torch.cuda.OutOfMemoryError as error:
        raise LoadError(
            f"{source} does not fit into the memory of {placement.device}; choose a smaller "
            "model.") from error
