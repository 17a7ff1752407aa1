"""Rotary positions as GGUF files have them scaled.

transformers (5.24) reads the base of the frequencies and passes over how they are scaled, but for
gpt-oss and Gemma 4. A Llama 3.1 would then read every text by other positions, without a word.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from workbench.models.sources import LoadError

_READ_BY_TRANSFORMERS = ("gpt-oss", "gemma4")
_FACTORS = "rope_freqs.weight"
_LONG, _SHORT = "rope_factors_long.weight", "rope_factors_short.weight"
_LLAMA3 = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 8192}
_KEYS = {"linear": {"type", "factor", "finetuned"},
         "yarn": {"type", "factor", "finetuned", "original_context_length"}}


def scale_positions(header: Any, architecture: str, config: Any, name: str) -> None:
    """Let ``config`` scale the positions as the file called ``name`` says.

    Raises:
        LoadError: it scales them in a way that transformers cannot.
    """
    if architecture in _READ_BY_TRANSFORMERS:
        return
    prefix = f"{architecture}.rope."
    said = {key.removeprefix(prefix): field.contents() for key, field in header.fields.items()
            if key.startswith(prefix)}
    scaling = {key.removeprefix("scaling."): value for key, value in said.items()
               if key.startswith("scaling.")}
    if "scale_linear" in said and not scaling:  # as it was called until 2023
        scaling = {"type": "linear", "factor": said["scale_linear"]}
    kind = str(scaling.get("type", "none"))
    tensors = {tensor.name: tensor for tensor in header.tensors}
    by_factors = _FACTORS in tensors
    if kind == "none" and not by_factors and not {_LONG, _SHORT} & set(tensors):
        return
    parts = _parts(config)
    if not parts or {_LONG, _SHORT} & set(tensors) or (by_factors and kind != "none"):
        raise _cannot(name, kind)
    if by_factors:
        factors = np.array(tensors[_FACTORS].data, np.float32).reshape(-1)
        for part in parts:
            _divide(config, part, factors)
        return
    factor = float(scaling.get("factor", 1.0))
    if kind not in _KEYS or not set(scaling) <= _KEYS[kind]:
        raise _cannot(name, kind)
    if factor == 1:
        return
    for part in parts:
        part |= {"rope_type": kind, "factor": factor}
        if kind == "yarn":
            part["original_max_position_embeddings"] = int(scaling.get(
                "original_context_length", config.max_position_embeddings))


def _parts(config: Any) -> list[dict[str, Any]]:
    """Return what of a config says how positions are turned: of layers that see only a window,
    which are never scaled, nothing."""
    found = getattr(config, "rope_parameters", None)
    if not isinstance(found, dict) or not found:
        return []
    inner = [part for part in found.values() if isinstance(part, dict)]
    return [found["full_attention"]] if "full_attention" in found else [] if inner else [found]


def _divide(config: Any, part: dict[str, Any], factors: np.ndarray) -> None:
    """Let each frequency be divided by its factor: as Llama 3.1 does where the factors are its,
    else by a list of them."""
    before = dict(part)
    part |= {**_LLAMA3, "factor": float(factors.max())}
    if part is config.rope_parameters and _same(config, before, factors):
        return
    part.clear()
    listed = [float(f) for f in factors]
    part |= {**before, "rope_type": "longrope", "short_factor": listed, "long_factor": listed,
             "attention_factor": 1.0,
             "original_max_position_embeddings": config.max_position_embeddings}


def _same(config: Any, before: dict[str, Any], factors: np.ndarray) -> bool:
    """Whether ``config`` divides the frequencies by ``factors``."""
    now, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    steps = 2 * len(now)
    plain = before["rope_theta"] ** -(torch.arange(0, steps, 2) / steps)
    return len(now) == len(factors) and torch.allclose(
        plain / now, torch.from_numpy(factors), rtol=1e-5)


def _cannot(name: str, kind: str) -> LoadError:
    how = "by factors of its own" if kind == "none" else f"in a way of its own ({kind})"
    return LoadError(
        f"{name} stretches its positions {how}, which the installed transformers does not read "
        "from GGUF files; load the folder that it was made from.")
