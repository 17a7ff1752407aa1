"""Loading a policy. The bundled one takes the very same way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
)

from workbench.models import four_bit, gguf_files
from workbench.models.adapter_files import find_adapter, merge
from workbench.models.chat_template import check_template, closing_token
from workbench.models.device import Placement
from workbench.models.folders import architectures, place, read_config, tokenizer_of
from workbench.models.four_bit import packed_layers
from workbench.models.model_check import find_capabilities
from workbench.models.policy import Policy, UnsupportedModelError, reads_more
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.models.rotary import longest_alike
from workbench.models.sources import LoadError, Report, find_policy
from workbench.models.tokenizer_files import check_rows
from workbench.models.weight_files import (
    check_complete,
    check_finite,
    check_memory,
    read_weights,
    unused,
)


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy ready to write, with what turns text into its tokens and back; ``folder`` is where
    it was read from, unless that was a single file; ``notes`` are sentences on what of it is not
    used, or may surprise."""

    source: str
    policy: Policy
    policy_tokenizer: PolicyTokenizer
    folder: Path | None
    notes: tuple[str, ...] = ()


def load_policy(
    source: str, placement: Placement, report: Report, *, use_chat_template: bool = False
) -> LoadedPolicy:
    """Load a causal language model and its tokenizer.

    Args:
        source: a folder, a GGUF file or a hub name.
        report: called between the steps; what it raises ends the loading.

    Raises:
        LoadError: with one plain sentence.
    """
    found = find_policy(source, lambda text, share: report(text, 0.5 * share))
    report("Reading the policy's configuration", 0.5)
    if found.is_file():
        model, tokenizer = gguf_files.read(found, report)
        notes: list[str] = []
    else:
        model, tokenizer, notes = read_policy(found, source, report)
    check_finite(model, source)
    model = place(model, source, placement)
    rows = _rows(model)
    notes += filter(None, [check_rows(tokenizer, rows, source)])
    if use_chat_template:
        if not tokenizer.chat_template:
            raise LoadError(f"{source} has no chat template; load it again with the chat template "
                            "switched off.")
        report("Trying the policy's chat template", 0.9)
        check_template(tokenizer, source, "policy", answered=False)
    report("Preparing the policy", 0.95)
    try:
        policy = Policy(model, placement)
        policy.capabilities = find_capabilities(policy)
        if packed_layers(model):  # with kernels of their own, which nobody has tried to record
            policy.capabilities = replace(policy.capabilities, steps_alike=False)
    except UnsupportedModelError as error:
        raise LoadError(str(error)) from error
    notes += [policy.capabilities.note, reads_more(model, policy.trunk)]
    if limit := longest_alike(policy.config):
        notes.append(f"Its positions are others in texts of more than {limit:,} tokens (LongRoPE), "
                     "so a prompt and its response may have that many together.")
    ends = _eos_ids(model, tokenizer, rows)
    closing = closing_token(tokenizer) if use_chat_template else None
    if closing is not None and closing not in ends and closing < rows:
        ends = sorted([*ends, closing])
        notes.append(
            f"Its chat template closes an answer with {tokenizer.convert_ids_to_tokens(closing)}, "
            "which ends completions here although its settings do not name it as an end.")
    policy_tokenizer = PolicyTokenizer(
        tokenizer, ends, context_length=policy.context_length,
        use_chat_template=use_chat_template, rows=rows)
    return LoadedPolicy(source, policy, policy_tokenizer, None if found.is_file() else found,
                        tuple(filter(None, notes)))


def read_policy(folder: Path, source: str, report: Report) -> tuple[Any, Any, list[str]]:
    """Return a folder's causal language model, in float32 on the CPU (packed into 4 bits: on the
    GPU), its tokenizer, and sentences on what of it is not used.

    Raises:
        LoadError: with one plain sentence.
    """
    adapter = find_adapter(folder, source, lambda text, share: report(text, 0.5 * share))
    whole = adapter.base if adapter else folder
    config = read_config(whole, source, packed=adapter is None and four_bit.can_be_read())
    packed = bool(getattr(config, "quantization_config", None))
    if adapter and adapter.task not in ("CAUSAL_LM", ""):
        raise LoadError(
            f"{source} is an adapter for another task ({adapter.task}); as the policy choose one "
            "of a model that writes text (CAUSAL_LM).")
    kind = _kind_of_policy(config, source)
    tokenizer = tokenizer_of(adapter, whole, source)
    report("Reading the policy's weights", 0.6)
    check_memory(whole, source, bytes_each=1 if packed else 4)
    model, info = read_weights(kind, whole, source, config=config, dtype=torch.float32)
    check_complete(info["missing_keys"], source, info["unexpected_keys"])
    if packed:
        four_bit.settle(model, source)
    if adapter:
        report("Merging the adapter into its base", 0.85)
        model = merge(model, adapter, source)
    return model, tokenizer, unused(info, model, "policy")


def _kind_of_policy(config: Any, source: str) -> Any:
    """Return what loads a policy: of models that also read pictures, all of it, for export."""
    written_for = architectures(config)
    causal, more = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES
    if written_for and not written_for & {*causal.values(), *more.values()}:
        what = "a reward model" if any(
            n.endswith("ForSequenceClassification") for n in written_for) else "another kind"
        raise LoadError(
            f"{source} is {what} ({', '.join(sorted(written_for))}), not a causal language model; "
            "as the policy choose a model that writes text.")
    if config.is_encoder_decoder:
        raise LoadError(
            f"{source} is an encoder-decoder; as the policy choose a decoder-only model.")
    if written_for & set(causal.values()) or (not written_for and config.model_type in causal):
        return AutoModelForCausalLM
    if config.model_type in more:
        return AutoModelForMultimodalLM
    raise LoadError(
        f"{source} is a model of another kind ({config.model_type}), not a causal language model; "
        "as the policy choose a model that writes text.")


def _eos_ids(model: Any, tokenizer: Any, rows: int) -> list[int]:
    """Every token that ends a text, by the model's generation settings and its tokenizer, of those
    that it has weights for."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    if configured is None:
        configured = []
    found = set(configured if isinstance(configured, list) else [configured])
    if tokenizer.eos_token_id is not None:
        found.add(tokenizer.eos_token_id)
    return sorted(i for i in found if isinstance(i, int) and 0 <= i < rows)


def _rows(model: Any) -> int:
    """Return how many token ids a model has weights for."""
    return model.get_input_embeddings().weight.shape[0]
