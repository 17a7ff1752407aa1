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

from workbench.models.sources import LoadError, Report, find_folder, is_adapter
from workbench.models.weight_files import check_files

_NAMES = ("adapter_model.safetensors", "adapter_model.bin")
_HEADS = re.compile(r"\.(score|classifier)(\.\w+)*\.weight$")
_ROWS = re.compile(r"\.(embed_tokens|wte|embed_in|word_embeddings|lm_head|embed_out)\.weight$")
_PROMPTS = ("PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING",
            "ADAPTION_PROMPT", "CARTRIDGE", "CPT")
_TRIED = 12
"""Tokens of the text on which what was merged is held against what was not."""


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
        return self._first(_HEADS)

    @property
    def rows(self) -> int | None:
        """How many tokens its own embedding has; None: it has none."""
        return self._first(_ROWS)

    def _first(self, names: re.Pattern[str]) -> int | None:
        return next((shape[0] for name, shape in self.shapes.items() if names.search(name)), None)


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


@torch.no_grad()
def merge(model: Any, adapter: Adapter, source: str) -> Any:
    """Return ``model``, the adapter's base, with the adapter's weights merged into its own.

    Raises:
        LoadError: they do not fit, or cannot be merged.
    """
    import peft

    sentence = (f"The adapter {source} does not fit its base {adapter.base}; save it again, or "
                "correct base_model_name_or_path in its adapter_config.json.")
    with warnings.catch_warnings(action="ignore"):  # of peft to transformers, and the like
        try:
            if adapter.rows not in (None, model.get_input_embeddings().weight.shape[0]):
                model.resize_token_embeddings(adapter.rows, mean_resizing=False)
            config = peft.PeftConfig.from_pretrained(str(adapter.folder))
            config.inference_mode = True
            wrapped: Any = peft.get_peft_model(model, config)
            result: Any = wrapped.load_adapter(str(adapter.folder), "default", torch_device="cpu")
            lacking = _lacking(wrapped, result)
        except Exception as error:
            raise LoadError(sentence) from error
        if lacking:
            raise LoadError(f"{sentence[:-1]} ({lacking[0]}).")
        try:
            return _merged(wrapped)
        except Exception as error:
            said = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
            raise LoadError(
                f"{source} is an adapter ({adapter.kind}) that cannot be merged into its base "
                f"{adapter.base} ({said[:160]}); choose a model with weights of its own."
            ) from error


def _merged(wrapped: Any) -> Any:
    """Return the model that an adapter is around, with its weights merged."""
    right = _output(wrapped.eval())
    tied = wrapped.get_output_embeddings() is not None and (
        wrapped.config.get_text_config().tie_word_embeddings)
    shared = _part(wrapped)
    model = wrapped.merge_and_unload().requires_grad_(True)
    _share(shared)
    if tied:
        _tie(model)
    if right is not None and not _alike(_output(model), right):
        raise ValueError("it adds something else to every text")
    return model


def _lacking(wrapped: Any, result: Any) -> list[str]:
    """Return the names of an adapter's weights that its file does not have, or has beside."""
    import peft

    own = peft.get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    return [
        *(k for k in result.missing_keys
          if k.replace(".default", "") in own or "modules_to_save" in k),
        # peft writes modules that are kept whole twice, where they have grown.
        *(k for k in result.unexpected_keys if ".modules_to_save." not in k)]


_Place = tuple[torch.nn.Module, str]


def _part(wrapped: Any) -> list[tuple[_Place, _Place]]:
    """Give weights that several modules share to each: what an adapter adds to one, where words
    are looked up, say, is not to be added to the other, where they are predicted. Return which."""
    first: dict[int, _Place] = {}
    shared = []
    for module in wrapped.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in first:
                setattr(module, name, torch.nn.Parameter(parameter.clone()))
                shared.append((first[id(parameter)], (module, name)))
            else:
                first[id(parameter)] = module, name
    return shared


def _share(places: list[tuple[_Place, _Place]]) -> None:
    """Let modules share weights again that are still the same."""
    for (module, name), (other, other_name) in places:
        weight = getattr(module, name)
        if torch.equal(weight, getattr(other, other_name)):
            setattr(other, other_name, weight)


def _tie(model: Any) -> None:
    """Let a model say whether it looks words up with the weight that predicts them: else it is
    saved with both."""
    head, rows = model.get_output_embeddings(), model.get_input_embeddings()
    same = torch.equal(head.weight, rows.weight)
    if same:
        head.weight = rows.weight
    for config in (model.config, model.config.get_text_config()):
        config.tie_word_embeddings = same


def _output(model: Any) -> torch.Tensor | None:
    """Return what a model makes of a text of tokens; None where it reads no such text."""
    rows = model.get_input_embeddings().weight.shape[0]
    end = model.config.eos_token_id  # which encoder-decoders look for
    ids = [(i * i + 3 * i + 5) % rows for i in range(_TRIED)]
    ids += [end] if isinstance(end, int) and end < rows else []
    try:
        logits: torch.Tensor = model(input_ids=torch.tensor([ids])).logits
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError):
        return None
    return logits.float()


def _alike(found: torch.Tensor | None, right: torch.Tensor) -> bool:
    # Sums are made in another order, and weights may have been saved in half precision.
    limit = 1e-2 * max(1.0, right.abs().max().item())
    return found is not None and bool(((found - right).abs() <= limit).all())


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    file = folder / _NAMES[0]
    if file.is_file():
        with safe_open(file, "pt") as opened:
            names = list(opened.keys())
            return {name: tuple(opened.get_slice(name).get_shape()) for name in names}
    weights = torch.load(folder / _NAMES[1], map_location="meta", weights_only=True)
    return {name: tuple(tensor.shape) for name, tensor in weights.items()}
