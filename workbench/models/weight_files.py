"""Looking at a model's files before they are read, and at its weights after: what is wrong with
them is said by name."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import CONFIG_MAPPING

from workbench.formatting import size
from workbench.models.control import Interrupted
from workbench.models.four_bit import is_four_bit
from workbench.models.out_of_memory import is_out_of_memory
from workbench.models.sources import LoadError, is_pointer

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
            "pytorch_model.bin.index.json")
"""In the order in which transformers looks for them."""
_READ = (".json", ".jinja", ".model", ".txt", ".safetensors", ".bin", ".gguf")
_NOT_USED = (
    "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff",
    "repetition_penalty", "encoder_repetition_penalty", "no_repeat_ngram_size", "min_length",
    "min_new_tokens", "bad_words_ids", "suppress_tokens", "begin_suppress_tokens",
    "forced_bos_token_id", "forced_eos_token_id", "sequence_bias", "num_beams",
    "exponential_decay_length_penalty", "guidance_scale")
"""What bends the distribution of generated text (``transformers.GenerationConfig``)."""
_BENDS_NOTHING: dict[str, tuple[object, ...]] = {
    "temperature": (1,), "top_k": (0,), "top_p": (1,), "min_p": (0,), "typical_p": (1,),
    "epsilon_cutoff": (0,), "eta_cutoff": (0,), "repetition_penalty": (1,),
    "encoder_repetition_penalty": (1,), "no_repeat_ngram_size": (0,), "min_length": (0,),
    "min_new_tokens": (0,), "num_beams": (1,), "guidance_scale": (1,)}
"""Values that leave it as it is, beside None and an empty list."""


def check_files(folder: Path, source: str, *, names: tuple[str, ...] = _WEIGHTS) -> None:
    """Look for files that are not what their names say, or not there.

    Args:
        names: of the file that holds the weights or lists those that do; the first there counts.

    Raises:
        LoadError: naming the file.
    """
    pointers = sorted(file.name for file in folder.iterdir() if _is_pointer(file))
    if pointers:
        raise LoadError(
            f"The folder {source} holds pointers of git-lfs in place of files "
            f"({', '.join(pointers[:3])}{', ...' if len(pointers) > 3 else ''}); run "
            "`git lfs pull` in it, or download the model again.")
    if names is _WEIGHTS and (folder / "adapter_config.json").is_file():
        raise LoadError(
            f"The folder {source} holds an adapter_config.json and no adapter's weights "
            "(adapter_model.safetensors): save the adapter again, or delete that file if the "
            "folder's own weights are meant.")
    broken = sorted(f.name for f in folder.iterdir() if f.is_symlink() and not f.exists())
    if broken:
        raise LoadError(
            f"In the folder {source} {broken[0]} is a link to a file that is not there "
            f"({os.readlink(folder / broken[0])}); download the model again.")
    main = next((folder / name for name in names if (folder / name).is_file()), None)
    if main is None:
        there = sorted(f.name for f in folder.iterdir() if f.suffix in (".safetensors", ".bin"))
        raise LoadError(
            f"The folder {source} has no weights under a name that transformers reads "
            f"({names[0]}){f': it holds {there[0]}' if there else ''}; save or download the model "
            "again.")
    if main.suffix != ".json":
        return
    try:
        shards = sorted(set(json.loads(main.read_text("utf-8"))["weight_map"].values()))
        missing = [name for name in shards if not (folder / name).is_file()]
    except Exception as error:  # bytes that make no sense can fail in any way
        raise LoadError(
            f"The file {main.name} of {source}, which lists the files of its weights, is damaged; "
            "download the model again.") from error
    if missing:
        raise LoadError(
            f"The weights of {source} are incomplete: {missing[0]} is missing"
            f"{f', and {len(missing) - 1} more files' if len(missing) > 1 else ''}; download the "
            "model again.")


def read_settings(folder: Path, source: str, *, packed: bool = False) -> Mapping[str, Any]:
    """Return what config.json holds.

    Args:
        packed: weights that bitsandbytes has packed into 4 bits will do.

    Raises:
        LoadError: it is damaged, or the model cannot be read with code of ours.
    """
    try:
        settings = json.loads((folder / "config.json").read_text("utf-8"))
        if not isinstance(kind := settings.get("model_type", ""), str):
            raise TypeError("model_type")
        named = settings.get("architectures") or []
        if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            raise TypeError("architectures")
        code = settings.get("auto_map") or {}
        quantised = find_quantisation(settings)
    except Exception as error:
        raise LoadError(
            f"The config.json of {source} is damaged; save or download the model again."
        ) from error
    if code and kind not in CONFIG_MAPPING:
        file = str(next(iter(code.values()), "")).partition(".")[0].rpartition("--")[2]
        raise LoadError(
            f"{source} brings program code of its own ({file}.py), which PPO Workbench does not "
            f"run, and the installed transformers does not know its kind ({kind or 'unnamed'}); "
            "choose a model that transformers knows by itself.")
    four_bit = is_four_bit(settings)
    if quantised and not (packed and four_bit):
        hint = (" As the policy it can be trained with LoRA on an NVIDIA GPU, with the package "
                "bitsandbytes (`pip install 'ppo-workbench[eightbit]'`).") if four_bit else ""
        raise LoadError(
            f"{source} is quantised ({quantised}): its weights cannot be trained; choose the "
            f"original model that it was made from.{hint}")
    return settings


def find_quantisation(settings: Mapping[str, Any]) -> str:
    """Return how the weights of a model are quantised, as a person reads it; "" for not at all."""
    for part in (settings, settings.get("text_config") or {}):
        found = part.get("quantization_config")
        if not found:
            continue
        bits = found.get("bits") or next(
            (n for n in (4, 8) if found.get(f"load_in_{n}bit")), None)
        method = str(found.get("quant_method") or ("bitsandbytes" if bits else "unnamed"))
        return f"{method}, {bits} bits" if bits else method
    return ""


def check_memory(folder: Path, source: str, *, bytes_each: int = 4) -> None:
    """Make sure that a model's weights can be held at all.

    Args:
        bytes_each: of a number once it is read.

    Raises:
        LoadError: they cannot.
    """
    check_room(bytes_each * sum(_numbers(folder)), source)


def check_room(needed: int, source: str) -> None:
    """Make sure that so many bytes of weights can be held.

    Raises:
        LoadError: they cannot.
    """
    free = psutil.virtual_memory().available + psutil.swap_memory().free
    if needed > free:
        raise LoadError(
            f"{source} does not fit into memory: its weights take {size(needed)} once they are "
            f"read, and {size(free)} are free; choose a smaller model.")


def check_plain(folder: Path, source: str) -> None:
    """Make sure that weights are stored as the numbers that they are. Integers and floats of eight
    bits or less are what a quantisation made of them, to be scaled again; transformers reads them
    as they stand where config.json names none.

    Raises:
        LoadError: naming a weight and its kind of number.
    """
    for file in sorted(folder.glob("model*.safetensors")):
        for name, tensor in _header(file).items():
            dtype = str(tensor.get("dtype", "")) if isinstance(tensor, dict) else ""
            # Masks and positions are integers by right; no model's are called weights.
            if name.endswith("weight") and re.match(r"[IU]\d|F[468](_|$)", dtype):
                raise LoadError(
                    f"{source} is quantised, though its config.json does not say how: {name} is "
                    f"stored as {dtype}. Its weights cannot be trained; choose the original model "
                    "that it was made from.")


def read_weights(kind: Any, folder: Path, source: str, **settings: Any) -> tuple[Any, Any]:
    """Return a model of transformers and what is said of its loading.

    Raises:
        LoadError: with one sentence that names the cause.
    """
    if not getattr(settings.get("config"), "quantization_config", None):
        check_plain(folder, source)
    try:
        return kind.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, output_loading_info=True,
            **settings)
    except Interrupted:
        raise
    except Exception as error:
        check_cause(error, source)
        if any(isinstance(each, pickle.UnpicklingError) for each in _causes(error)):
            # Without torch's own words: they advise to let the file run what it likes.
            raise LoadError(
                f"The weights of {source} are a pickle that holds more than numbers and could run "
                "any program, so they were not read; get the model as safetensors.") from None
        if "padding_idx" in str(error).lower():
            raise LoadError(
                f"The config.json of {source} names a padding token (pad_token_id) that its "
                "weights have no row for; correct it there, or set it to null.") from error
        if "size mismatch" in str(error) or "ignore_mismatched_sizes" in str(error):
            raise LoadError(
                f"The weights of {source} have other shapes than its config.json says; the two "
                "belong to different models: save or download the model again.") from error
        if isinstance(error, KeyError) and str(error).strip("'") in _texts(folder):
            raise LoadError(
                f"The config.json of {source} names {error}, which the installed transformers does "
                "not know; correct it there, or download the model again.") from error
        raise LoadError(
            f"The weights of {source} cannot be read; the file may be damaged or incomplete: "
            "save or download the model again.") from error


def _texts(folder: Path) -> set[str]:
    """Return every text that is a value in config.json."""
    def inside(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, (dict, list)):
            for each in value.values() if isinstance(value, dict) else value:
                yield from inside(each)

    return set(inside(json.loads((folder / "config.json").read_text("utf-8"))))


def check_cause(error: BaseException, source: str) -> None:
    """Make sure that it was not for want of memory that something could not be read.

    Raises:
        LoadError: it was.
    """
    if any(map(is_out_of_memory, _causes(error))):
        raise LoadError(f"{source} does not fit into memory; choose a smaller model.") from error


def check_complete(missing: Iterable[str], source: str, others: Iterable[str] = ()) -> None:
    """Make sure that no weights had to be made up.

    Args:
        others: names in the files that are none of the model's.

    Raises:
        LoadError: naming one that is ``missing``.
    """
    names = sorted(missing)
    if names:
        before = next((name.removesuffix(names[0]) for name in others
                       if name.endswith(f".{names[0]}")), "")
        if before:
            raise LoadError(
                f"The weights of {source} have “{before}” before their names, as a wrapper around "
                "the model leaves it (torch.compile or DataParallel, say); save the model itself "
                "again, or take that off the names.")
        raise LoadError(
            f"The weights of {source} are incomplete ({names[0]}"
            f"{f' and {len(names) - 1} more' if len(names) > 1 else ''} missing); they "
            "were saved for another purpose, or the file is damaged.")


@torch.no_grad()
def check_finite(model: torch.nn.Module, source: str) -> None:
    """Make sure that every weight is a number.

    Raises:
        LoadError: naming the tensor that holds one that is none.
    """
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_floating_point() and tensor.numel() and tensor.device.type != "meta":
            least, most = torch.aminmax(tensor)
            # Buffers may hold an infinity on purpose, as masks do.
            if least.isnan() or (isinstance(tensor, torch.nn.Parameter) and not (
                    least.isfinite() and most.isfinite())):
                raise LoadError(
                    f"The weights of {source} are not all finite numbers ({name} holds NaN or "
                    "infinity): training had failed before they were saved, or the file is "
                    "damaged; choose another checkpoint.")


def unused(info: Any, model: Any, what: str) -> list[str]:
    """Return sentences on what a folder holds and is not used."""
    notes = []
    if extra := sorted(info["unexpected_keys"]):
        notes.append(
            f"The {what}'s folder also holds weights that are not used ({extra[0]}"
            f"{f' and {len(extra) - 1} more' if len(extra) > 1 else ''}).")
    generation = getattr(model, "generation_config", None)
    told = generation.to_diff_dict() if generation is not None and what == "policy" else {}
    bent = [name for name in _NOT_USED if told.get(name) not in (None, [])
            and told[name] not in _BENDS_NOTHING.get(name, ())]
    if bent:
        notes.append(
            f"What the policy's generation_config.json says of {', '.join(bent)} is not used: PPO "
            "samples from the whole distribution.")
    return notes


def _is_pointer(file: Path) -> bool:
    try:
        if file.suffix not in _READ or not file.is_file() or file.stat().st_size > 1024:
            return False
    except OSError:
        return False
    return is_pointer(file)


def _numbers(folder: Path) -> Iterator[int]:
    """Count the numbers in each file of weights, by its header or at least by its size."""
    files = list(folder.glob("model*.safetensors"))
    for file in files or folder.glob("pytorch_model*.bin"):
        if file.suffix == ".bin":
            yield file.stat().st_size // 4
            continue
        with contextlib.suppress(KeyError, TypeError, RuntimeError):
            for tensor in _header(file).values():
                yield torch.Size(tensor["shape"]).numel()


def _header(file: Path) -> Mapping[str, Any]:
    """Return what a safetensors file says of its tensors, by name; nothing where it is damaged,
    which is said when it is read."""
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if length > file.stat().st_size:
                return {}
            header = json.loads(opened.read(length))
    except (OSError, ValueError):
        return {}
    if not isinstance(header, dict):
        return {}
    return {name: tensor for name, tensor in header.items() if name != "__metadata__"}


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
