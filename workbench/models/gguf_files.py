"""Policies from GGUF files, as llama.cpp and its kin keep them.

transformers reads such a file, quantised or not, into a float32 model that can be trained, adapted
and saved like any other. It is not written back as GGUF.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from workbench.models.control import Interrupted
from workbench.models.gguf_positions import scale_positions
from workbench.models.sources import LoadError, Report
from workbench.models.weight_files import check_cause, check_room

_STRING, _ARRAY, _DEEPEST = 8, 9, 4
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value, by its type (gguf.GGUFValueType)."""


def read(path: Path, report: Report) -> tuple[Any, Any]:
    """Return the causal language model in a file, in float32 on the CPU, and its tokenizer.

    Args:
        report: told how much of the weights has been read; what it raises ends the reading.

    Raises:
        LoadError: the file is damaged, or nothing here can use what it holds.
    """
    with _header_read_once(report) as reader:
        architecture = _check(path, reader)
        where: dict[str, Any] = {
            # Whole: transformers looks for a bare name in the working directory first.
            "gguf_file": str(path.absolute()), "local_files_only": True}
        try:
            config = AutoConfig.from_pretrained(path.parent, **where)
        except Exception as error:
            raise LoadError(
                f"The architecture of {path} ({architecture}) is not among those the installed "
                "transformers reads from GGUF files; choose another model, or the folder it was "
                "made from.") from error
        if config.is_encoder_decoder:
            raise LoadError(
                f"{path} is an encoder-decoder; as the policy choose a decoder-only model.")
        scale_positions(reader(str(path.absolute())), architecture, config, str(path))
        report("Reading the policy's tokenizer", 0.55)
        try:
            tokenizer = AutoTokenizer.from_pretrained(path.parent, **where)
        except Exception as error:
            raise LoadError(
                f"The tokenizer in {path} cannot be used; choose another file, or the folder the "
                "model was made from.") from error
        kind: Any = AutoModelForCausalLM
        try:
            model, info = kind.from_pretrained(
                path.parent, config=config, dtype=torch.float32, output_loading_info=True,
                **_unpacked(), **where)
        except Interrupted:
            raise
        except Exception as error:
            check_cause(error, str(path))
            raise LoadError(
                f"The weights in {path} cannot be read; the file may be damaged or incomplete: "
                "download it again.") from error
    missing = sorted(info["missing_keys"])
    if missing:
        raise LoadError(
            f"The weights in {path} are incomplete ({missing[0]} missing); choose another file.")
    return model, tokenizer


def _check(path: Path, reader: Any) -> str:
    """Return the architecture a header names."""
    numbers = 0
    try:
        numbers = count_numbers(path)
        header = reader(str(path.absolute()))
        architecture = str(header.get_field("general.architecture").contents())
        parts = header.get_field("split.count")
        count = int(parts.contents()) if parts is not None else 1
    except Exception as error:  # bytes that make no sense can fail in any way
        raise LoadError(
            f"The file {path} is damaged or incomplete; download it again.") from error
    if count > 1:
        raise LoadError(
            f"{path} is one of {count} parts of a model; join them first "
            "(llama-gguf-split --merge), or choose a model in one file.")
    check_room(4 * numbers, str(path))
    if not header.tensors:
        raise LoadError(f"The file {path} holds no weights; choose another.")
    return architecture


def count_numbers(path: Path) -> int:
    """Return how many weights a header names, having made sure that it claims no more than its
    file can hold: the reader believes every count, and 60 bytes could keep it busy for ever.

    Raises:
        ValueError, struct.error: it does.
    """
    weights = 0
    whole = path.stat().st_size
    with path.open("rb") as file:
        def number(kind: str) -> int:
            [found] = struct.unpack(f"<{kind}", file.read(struct.calcsize(kind)))
            return found

        def skip(length: int) -> None:
            if length > whole - file.tell():
                raise ValueError("longer than the file")
            file.seek(length, os.SEEK_CUR)

        def text() -> None:
            skip(number("Q"))

        def value(kind: int, depth: int = 0) -> None:
            if kind == _STRING:
                text()
            elif kind != _ARRAY:
                skip(_SIZES[kind])
            elif depth > _DEEPEST:
                raise ValueError("nested without end")
            else:
                inner, count = number("I"), number("Q")
                if inner in _SIZES:
                    skip(count * _SIZES[inner])
                elif count > whole - file.tell():
                    raise ValueError("more than the file")
                else:
                    for _ in range(count):
                        value(inner, depth + 1)

        if file.read(4) != b"GGUF" or not 2 <= number("I") <= 3:
            raise ValueError("another version or byte order")
        tensors, entries = number("Q"), number("Q")
        if tensors + entries > whole:
            raise ValueError("more than the file")
        for _ in range(entries):
            text()
            value(number("I"))
        for _ in range(tensors):
            text()
            dimensions = number("I")
            if dimensions > 8:
                raise ValueError("too many dimensions")
            weights += math.prod(number("Q") for _ in range(dimensions))
            skip(12)
    # No kind of quantisation puts more than 8 numbers into a byte.
    if weights > 8 * whole:
        raise ValueError("more than the file")
    return weights


def _unpacked() -> dict[str, Any]:
    """Ask for quantised weights to be unpacked for good.

    Earlier releases of transformers 5 know no other way, and no name for it.
    """
    config = getattr(transformers, "GgufConfig", None)
    return {"quantization_config": config(dequantize=True)} if config else {}


@contextlib.contextmanager
def _header_read_once(report: Report) -> Iterator[Any]:
    """Give the reader of headers; within, transformers uses the same and tells ``report``.

    A header with a large vocabulary takes seconds, and transformers reads it three times; the
    table of names it makes anew for every module of the model.
    """
    try:
        import gguf
    except ImportError as error:
        raise LoadError(
            "Reading a GGUF file needs the package gguf: install it with `pip install gguf`, or "
            "choose a folder.") from error
    from transformers import modeling_gguf_pytorch_utils as reading

    class Reader(gguf.GGUFReader):
        """Over a plain view of the file: to slice a memory map takes three times as long, and a
        vocabulary is some hundred thousand slices."""

        @property
        def data(self) -> Any:
            return self._view

        @data.setter
        def data(self, mapped: Any) -> None:
            self._view = np.asarray(mapped)

    def watched(tensors: Any, **_: Any) -> Iterator[Any]:
        for done, tensor in enumerate(tensors):
            report("Unpacking the policy's weights", 0.6 + 0.3 * done / len(tensors))
            yield tensor

    reader = functools.cache(Reader)
    changed: tuple[tuple[Any, str, Any], ...] = (
        (gguf, "GGUFReader", reader), (reading, "tqdm", watched),
        (gguf, "get_tensor_name_map", functools.cache(gguf.get_tensor_name_map)))
    before = [getattr(module, name) for module, name, _ in changed]
    try:
        for module, name, value in changed:
            setattr(module, name, value)
        yield reader
    finally:
        for (module, name, _), value in zip(changed, before, strict=True):
            setattr(module, name, value)
