"""Loading a policy and a reward model. The bundled ones take the very same way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    AutoModelForSequenceClassification,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from workbench.ppo import four_bit, gguf_files
from workbench.ppo.adapter_files import Adapter, find_adapter, merge
from workbench.ppo.chat_template import about_system, check_template, closing_token
from workbench.ppo.classifier import embedding_rows
from workbench.ppo.device import Placement
from workbench.ppo.four_bit import packed_layers
from workbench.ppo.model_check import find_abilities
from workbench.ppo.policy import Policy, UnsupportedModelError, reads_more
from workbench.ppo.reward_model import RewardModel
from workbench.ppo.reward_text import Reads
from workbench.ppo.rotary import longest_alike
from workbench.ppo.scribe import Scribe
from workbench.ppo.sources import LoadError, Report, find_folder, find_policy
from workbench.ppo.tokenizer_files import check_rows, has_tokenizer, read_tokenizer
from workbench.ppo.weight_files import (
    check_complete,
    check_files,
    check_finite,
    check_memory,
    read_settings,
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
    scribe: Scribe
    folder: Path | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedReward:
    """A reward model ready to score; ``labels`` names its outputs, ``notes`` are sentences on what
    of it is not used."""

    source: str
    reward: RewardModel
    labels: tuple[str, ...]
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
    model = _place(model, source, placement)
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
        policy.abilities = find_abilities(policy)
        if packed_layers(model):  # with kernels of their own, which nobody has tried to record
            policy.abilities = replace(policy.abilities, steps_alike=False)
    except UnsupportedModelError as error:
        raise LoadError(str(error)) from error
    notes += [policy.abilities.note, reads_more(model, policy.trunk)]
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
    scribe = Scribe(
        tokenizer, ends, context_length=policy.context_length,
        use_chat_template=use_chat_template, rows=rows)
    return LoadedPolicy(source, policy, scribe, None if found.is_file() else found,
                        tuple(filter(None, notes)))


def read_policy(folder: Path, source: str, report: Report) -> tuple[Any, Any, list[str]]:
    """Return a folder's causal language model, in float32 on the CPU (packed into 4 bits: on the
    GPU), its tokenizer, and sentences on what of it is not used.

    Raises:
        LoadError: with one plain sentence.
    """
    adapter = find_adapter(folder, source, lambda text, share: report(text, 0.5 * share))
    whole = adapter.base if adapter else folder
    config = _read_config(whole, source, packed=adapter is None and four_bit.can_be_read())
    packed = bool(getattr(config, "quantization_config", None))
    if adapter and adapter.task not in ("CAUSAL_LM", ""):
        raise LoadError(
            f"{source} is an adapter for another task ({adapter.task}); as the policy choose one "
            "of a model that writes text (CAUSAL_LM).")
    kind = _kind_of_policy(config, source)
    tokenizer = _read_tokenizer(adapter, whole, source)
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
    written_for = _architectures(config)
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


def load_reward(
    source: str, placement: Placement, report: Report, *, label: int | None = None,
    reads: Reads = "auto", end_token: bool = False,
) -> LoadedReward:
    """Load a sequence classifier and its own tokenizer.

    Args:
        label: which output is the score, for a model with several.
        reads, end_token: how it reads, as :class:`workbench.ppo.reward_text.Reader` has it.

    Raises:
        LoadError: with one plain sentence, and with ``labels`` when ``label`` is needed.
    """
    folder = find_folder(source, lambda text, share: report(text, 0.5 * share))
    report("Reading the reward model's configuration", 0.5)
    adapter = find_adapter(folder, source, lambda text, share: report(text, 0.5 * share))
    whole = adapter.base if adapter else folder
    outputs: dict[str, Any] = (
        {"num_labels": adapter.outputs} if adapter and adapter.outputs else {})
    config = _read_config(whole, source, **outputs)
    written_for = _architectures(config)
    classifiers = set(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.values())
    # An adapter may bring the head that makes its base a classifier.
    # Where nothing is said, the weights tell.
    scores = adapter.task in ("SEQ_CLS", "") if adapter and outputs else (
        not written_for or written_for & classifiers)
    if not scores or config.model_type not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES:
        raise LoadError(
            f"{source} is no sequence classifier ({', '.join(sorted(written_for)) or 'unknown'}); "
            "as the reward model choose a model trained to score text.")
    labels = tuple(str(config.id2label.get(i, f"LABEL_{i}")) for i in range(config.num_labels))
    if label is None and len(labels) > 1:
        raise LoadError(
            f"The reward model {source} has {len(labels)} outputs ({', '.join(labels)}); choose "
            "which one is the score.", labels=labels)
    label = label or 0
    if not 0 <= label < len(labels):
        raise LoadError(
            f"The reward model {source} has no output number {label}; it has {len(labels)}.",
            labels=labels)
    tokenizer = _read_tokenizer(adapter, whole, source)
    if reads == "chat" and not tokenizer.chat_template:
        raise LoadError(f"The reward model {source} has no chat template; let it read text.")
    if end_token and tokenizer.eos_token_id is None:
        raise LoadError(f"The tokenizer of the reward model {source} has no end-of-sequence token "
                        "to end texts with; switch that option off.")
    about_turns = ""
    if tokenizer.chat_template and reads in ("auto", "chat"):
        report("Trying the reward model's chat template", 0.55)
        check_template(tokenizer, source, "reward model", answered=True)
        about_turns = about_system(tokenizer)
    report("Reading the reward model's weights", 0.6)
    check_memory(whole, source, bytes_each=4 if adapter else placement.dtype.itemsize)
    model, info = read_weights(
        AutoModelForSequenceClassification, whole, source,
        config=config, dtype=torch.float32 if adapter else placement.dtype)
    heads = ("score.", "classifier.") if outputs else ()
    check_complete([key for key in info["missing_keys"] if not key.startswith(heads)], source,
                   info["unexpected_keys"])
    if adapter:
        report("Merging the adapter into its base", 0.85)
        model = merge(model, adapter, source).to(placement.dtype)
    if rows := embedding_rows(model):
        check_rows(tokenizer, rows, source)
    check_finite(model, source)
    model = _place(model, source, placement)
    notes = tuple(filter(None, [*unused(info, model, "reward model"), about_turns]))
    report("Trying the reward model", 0.95)
    reward = RewardModel(model, tokenizer, label, placement, folder, reads=reads,
                         end_token=end_token)
    reward.try_out(source)
    return LoadedReward(source, reward, labels, notes)


def _read_tokenizer(adapter: Adapter | None, whole: Path, source: str) -> Any:
    """Return the tokenizer that an adapter brings, or that of the whole model."""
    own = adapter is not None and has_tokenizer(adapter.folder)
    return read_tokenizer(adapter.folder if adapter and own else whole, source, whole)


def _read_config(folder: Path, source: str, *, packed: bool = False, **settings: Any) -> Any:
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


def _rows(model: Any) -> int:
    """Return how many token ids a model has weights for."""
    return model.get_input_embeddings().weight.shape[0]


def _architectures(config: Any) -> set[str]:
    return set(config.architectures or ())


def _place(model: Any, source: str, placement: Placement) -> Any:
    try:
        return model.to(placement.device)
    except torch.cuda.OutOfMemoryError as error:
        raise LoadError(
            f"{source} does not fit into the memory of {placement.device}; choose a smaller "
            "model.") from error


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
