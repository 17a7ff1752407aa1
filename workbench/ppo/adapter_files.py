"""Models kept as adapters: a folder with what was learned, and the name of the base it belongs to.

Base and adapter are loaded together and merged, so that what follows is a model like any other.
"""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from workbench.ppo.sources import LoadError, Report, find_folder, is_adapter
from workbench.ppo.weight_files import check_files

_NAMES = ("adapter_model.safetensors", "adapter_model.bin")
_HEADS = re.compile(r"\.(score|classifier)(\.\w+)*\.weight$")
_ROWS = re.compile(r"\.(embed_tokens|wte|embed_in|word_embeddings|lm_head|embed_out)\.weight$")
_ENDS = re.compile(r"\.(embed_tokens|wte|embed_in|word_embeddings|lm_head|embed_out)\."
                   r"(?!.*trainable_tokens)")
_PROMPTS = ("PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING",
            "ADAPTION_PROMPT", "CARTRIDGE")


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter's folder and its base's, and the shapes of its weights by name."""

    folder: Path
    base: Path
    kind: str
    task: str
    shapes: dict[str, tuple[int, ...]]

    @property
    def outputs(self) -> int | None:
        """How many outputs its head for scoring has; None: it has none."""
        heads = [shape[0] for name, shape in self.shapes.items() if _HEADS.search(name)]
        return heads[0] if heads else None

    @property
    def rows(self) -> int | None:
        """How many tokens its own embedding has; None: it has none."""
        rows = [shape[0] for name, shape in self.shapes.items() if _ROWS.search(name)]
        return rows[0] if rows else None


def find_adapter(folder: Path, source: str, report: Report) -> Adapter | None:
    """Return the adapter in a folder, its base found or downloaded; None: it holds none.

    Raises:
        LoadError: naming adapter and base.
    """
    if not is_adapter(folder):
        return None
    check_files(folder, source, names=_NAMES)
    try:
        settings = json.loads((folder / "adapter_config.json").read_text("utf-8"))
        kind, task = str(settings["peft_type"]), str(settings.get("task_type") or "")
        name = str(settings.get("base_model_name_or_path") or "")
        shapes = _shapes(folder)
    except Exception as error:
        raise LoadError(
            f"The adapter {source} is damaged; save or download it again.") from error
    if kind in _PROMPTS:
        raise LoadError(
            f"{source} is an adapter of a kind ({kind}) that cannot be merged into its base "
            f"{name}; choose a model with weights of its own.")
    if not name:
        raise LoadError(
            f"{source} is an adapter ({kind}) that does not name its base; write the base's folder "
            "into base_model_name_or_path of its adapter_config.json.")
    beside = folder / name
    try:
        base = find_folder(str(beside) if beside.is_dir() else name, report)
    except LoadError as error:
        raise LoadError(
            f"{source} is an adapter ({kind}) of {name}, and that cannot be had. {error}",
            package=error.package) from error
    if is_adapter(base):
        raise LoadError(
            f"{source} is an adapter of {name}, which is an adapter itself; merge that into its "
            "base first.")
    return Adapter(folder, base, kind, task, shapes)


def merge(model: Any, adapter: Adapter, source: str) -> Any:
    """Return ``model``, the adapter's base, with the adapter's weights merged into its own.

    Raises:
        LoadError: they do not fit.
    """
    import peft

    sentence = (f"The adapter {source} does not fit its base {adapter.base}; save it again, or "
                "correct base_model_name_or_path in its adapter_config.json.")
    try:
        if adapter.rows not in (None, model.get_input_embeddings().weight.shape[0]):
            model.resize_token_embeddings(adapter.rows, mean_resizing=False)
        config = peft.PeftConfig.from_pretrained(str(adapter.folder))
        config.inference_mode = True
        if any(map(_ENDS.search, adapter.shapes)) and not getattr(
                config, "ensure_weight_tying", False):
            _untie(model)
        with warnings.catch_warnings(action="ignore"):  # of peft to transformers, and the like
            wrapped = peft.get_peft_model(model, config)
            result: Any = wrapped.load_adapter(str(adapter.folder), "default", torch_device="cpu")
        lacking = [*(k for k in result.missing_keys if "lora_" in k or "modules_to_save" in k),
                   # peft writes modules that are kept whole twice, where they have grown.
                   *(k for k in result.unexpected_keys if ".modules_to_save." not in k)]
        if lacking:
            raise LoadError(f"{sentence[:-1]} ({lacking[0]}).")
    except LoadError:
        raise
    except Exception as error:
        raise LoadError(sentence) from error
    merged: Any = wrapped
    try:
        return merged.merge_and_unload().requires_grad_(True)
    except Exception as error:
        said = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
        raise LoadError(
            f"{source} is an adapter ({adapter.kind}) that cannot be merged into its base "
            f"{adapter.base} ({said[:160]}); choose a model with weights of its own.") from error


def _untie(model: Any) -> None:
    """Give the head a weight of its own where it shares the embedding's: merged into both, what an
    adapter adds to the one would change the other as well."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is not None and head.weight is embedding.weight:
        head.weight = torch.nn.Parameter(head.weight.detach().clone())
        for config in (model.config, model.config.get_text_config()):
            config.tie_word_embeddings = False


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    file = folder / _NAMES[0]
    if file.is_file():
        with safe_open(file, "pt") as opened:
            names = list(opened.keys())
            return {name: tuple(opened.get_slice(name).get_shape()) for name in names}
    weights = torch.load(folder / _NAMES[1], map_location="meta", weights_only=True)
    return {name: tuple(tensor.shape) for name, tensor in weights.items()}
