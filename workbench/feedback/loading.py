"""Loading a reward model. The bundled one takes the very same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from workbench.feedback.classifier import embedding_rows, widen_head
from workbench.feedback.reward_model import RewardModel
from workbench.feedback.reward_text import Reads
from workbench.models.adapter_files import find_adapter, merge
from workbench.models.chat_template import about_system, check_template
from workbench.models.device import Placement
from workbench.models.folders import architectures, place, read_config, tokenizer_of
from workbench.models.sources import LoadError, Report, find_folder
from workbench.models.tokenizer_files import check_rows
from workbench.models.weight_files import (
    check_complete,
    check_finite,
    check_memory,
    read_weights,
    unused,
)


@dataclass(frozen=True, slots=True)
class LoadedReward:
    """A reward model ready to score; ``labels`` names its outputs, ``notes`` are sentences on what
    of it is not used."""

    source: str
    reward: RewardModel
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()


def load_reward(
    source: str, placement: Placement, report: Report, *, label: int | None = None,
    reads: Reads = "auto", end_token: bool = False,
) -> LoadedReward:
    """Load a sequence classifier and its own tokenizer.

    Args:
        label: which output is the score, for a model with several.
        reads, end_token: how it reads, as :class:`workbench.feedback.reward_text.Reader` has it.

    Raises:
        LoadError: with one plain sentence, and with ``labels`` when ``label`` is needed.
    """
    folder = find_folder(source, lambda text, share: report(text, 0.5 * share))
    report("Reading the reward model's configuration", 0.5)
    adapter = find_adapter(folder, source, lambda text, share: report(text, 0.5 * share))
    whole = adapter.base if adapter else folder
    outputs: dict[str, Any] = (
        {"num_labels": adapter.outputs} if adapter and adapter.outputs else {})
    config = read_config(whole, source, **outputs)
    written_for = architectures(config)
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
    tokenizer = tokenizer_of(adapter, whole, source)
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
    if placement.dtype != torch.float32:
        widen_head(model)
    model = place(model, source, placement)
    notes = tuple(filter(None, [*unused(info, model, "reward model"), about_turns]))
    report("Trying the reward model", 0.95)
    # A reward model that the workbench trained says whether its texts were ended.
    ended = bool(getattr(config, "ppo_workbench", {}).get("end_token"))
    reward = RewardModel(model, tokenizer, label, placement, folder, reads=reads,
                         end_token=end_token or ended)
    reward.plain = reads == "auto" and not end_token
    reward.try_out(source)
    return LoadedReward(source, reward, labels, notes)
