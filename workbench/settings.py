"""What a setting declares, and what all algorithms' settings have in common.

Each setting is declared once, with its type, range, default, unit, help and whether it is live: the
window's form, validation, the command line's ``--set`` and the manual all come from there. Nothing
here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from workbench.papers import CHEN_2016, DETTMERS_2022, HU_2021, LOSHCHILOV_2019, PASCANU_2013
from workbench.stop_strings import parse_stop_strings
from workbench.thousands_separators import about_thousands_separators

MOST_PROCESSES = 1024
Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Spec:
    """What a form, a validator or a manual needs to know about one hyperparameter."""

    name: str
    label: str
    group: str
    kind: Literal["int", "float", "bool", "choice", "text"]
    default: Value
    help: str
    live: bool
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    scientific: bool = False
    """Spans orders of magnitude: step by factors and show as 1e-5."""
    zero_text: str = ""
    """What the value 0 means where it switches something off, such as 'off'."""
    empty_text: str = ""
    """What a text that is empty means."""
    advanced: bool = False
    structural: bool = False
    """Decides which weights there are, so that a fork can change it only from the start."""
    placement: bool = False
    """Decides where and by how many a run is computed, and no number of it beyond rounding, so that
    it can change whenever the run goes on."""
    controller: str = ""
    """The setting that lets the algorithm move this one."""
    formula: str = ""
    source: str = ""
    """The paper it is from; empty where it is from none."""
    only_with: tuple[str, Value | tuple[Value, ...]] | None = None
    """Another setting's name and the value, or the values, with which alone this one has an effect;
    True: any but 0 and off."""

    def matters(self, values: Mapping[str, Value]) -> bool:
        """Return whether this setting has an effect among ``values``."""
        if self.only_with is None:
            return True
        name, wanted = self.only_with
        if wanted is True:
            return bool(values[name])
        return values[name] in (wanted if isinstance(wanted, tuple) else (wanted,))


class HyperparameterError(ValueError):
    """One plain sentence for every hyperparameter that cannot be accepted."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(" ".join(dict.fromkeys(self.problems.values())))


def declare(
    default: Value,
    label: str,
    group: str,
    text: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    live: bool = True,
    **more: Any,
) -> Any:
    """Declare a setting of a :class:`Settings`; ``more`` are fields of :class:`Spec`."""
    meta = {"label": label, "group": group, "live": live, **more}
    return Field(default, ge=ge, le=le, description=text, json_schema_extra=meta)


PAUSE = "Automatic pause"


def declare_pause(what: str) -> Any:
    """Declare the setting ``pause_on_NAME`` of the rule NAME of the health check, which finds
    ``what``."""
    return declare(
        False, f"Pause: {what}", PAUSE,
        "Pause the run after the cycle in which the health check first finds this. Without "
        "the window the run stops, with a checkpoint.", advanced=True)


class Settings(BaseModel):
    """What every algorithm lets a person set. Immutable: a change makes a new object
    (:meth:`with_changes`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    GROUPS: ClassVar[tuple[str, ...]] = (
        "Run", "Models", "Phase 1: completions", "Phase 2: update")
    """The order of the form's groups."""
    CLOSED: ClassVar[tuple[str, ...]] = ()
    """The groups that are closed at first."""
    RENAMED: ClassVar[Mapping[str, str]] = {}
    """The names that settings had in earlier versions, and those that they have now."""

    # -- the run
    num_cycles: int = declare(
        20, "Cycles", "Run", "How many cycles to run; the learning rate decays over them.",
        ge=1, le=100_000,
    )
    seed: int = declare(
        0, "Seed", "Run",
        "Decides every random choice of the run: the order of prompts, sampling, mini-batches.",
        ge=0, le=2**31 - 1, live=False,
    )
    comparison_prompts: int = declare(
        12, "Prompts compared", "Run",
        "How many prompts (pinned ones first) are completed after every cycle, always with the "
        "same random numbers, to compare before and after.",
        ge=1, le=512, live=False,
    )
    held_out_prompts: float = declare(
        0.0, "Held-out prompts", "Run",
        "How many prompts are never trained on, below 1 which share of them; they are spread over "
        "all prompts, the same whatever the seed. Their reward is plotted beside the training "
        "reward: where it stays behind, what was learned does not hold beyond the trained prompts.",
        ge=0, le=1_000_000, live=False, zero_text="off", advanced=True,
    )
    held_out_every: int = declare(
        1, "Held-out prompts every", "Run",
        "After how many cycles the held-out prompts are completed and scored, always with the same "
        "random numbers.",
        ge=1, le=100_000, unit="cycles", advanced=True, only_with=("held_out_prompts", True),
    )
    checkpoint_every: int = declare(
        5, "Checkpoint every", "Run",
        "After how many cycles all that a resume needs is written to disk; also done when a run "
        "pauses, stops or finishes.",
        ge=0, le=100_000, unit="cycles", zero_text="only at the end",
    )
    keep_checkpoints: int = declare(
        2, "Checkpoints kept", "Run",
        "How many of the last checkpoints stay on disk, beside the one "
        "whose compared prompts scored best and those you have pinned.",
        ge=1, le=1000, advanced=True,
    )
    keep_tokens: int = declare(
        10, "Token details kept", "Run",
        "For how many of the last cycles the numbers of every token are kept, which Tokens shows; "
        "those of pinned prompts are kept for all cycles.",
        ge=0, le=100_000, unit="cycles", zero_text="off",
    )

    # -- the models
    precision: Literal["auto", "float32", "bfloat16"] = declare(
        "auto", "Precision", "Models",
        "Of the matrix products; weights are kept in float32. Auto is bfloat16 on a CUDA device "
        "that has it and float32 elsewhere. bfloat16 is faster on CPUs that have it, and less "
        "exact.",
        live=False,
    )
    lora_rank: int = declare(
        0, "LoRA rank", "Models",
        "Train small adapters of this rank instead of all weights (Hu et al. 2021): far less "
        "memory, and the start policy needs no second copy. 8 to 64 is usual.",
        ge=0, le=1024, live=False, zero_text="off", structural=True,
        formula="W + 2·B·A", source=HU_2021,
    )
    gradient_checkpointing: bool = declare(
        False, "Gradient checkpointing", "Models",
        "Recompute activations instead of keeping them: less memory, about a third slower "
        "updates. Changes no number.",
        live=False, advanced=True,
        source=CHEN_2016,
    )

    processes: int = declare(
        1, "Processes", "Models",
        "How many processes compute the run together: each on a GPU of its own, where there are as "
        "many, else on its share of the processor's cores. They share out the rows of every batch. "
        "Changes no number beyond rounding.",
        ge=1, le=MOST_PROCESSES, live=False, advanced=True, placement=True,
    )
    sharding: Literal["auto", "replicate", "shard"] = declare(
        "auto", "Sharding", "Models",
        "With several processes: each holds all weights (replicate), or its part of those of the "
        "layers, with their gradients and the optimiser's state (shard, PyTorch's FSDP2), which "
        "takes less memory and more time. Auto shares them out only where they would not fit.",
        live=False, advanced=True, placement=True, only_with=("processes", True),
    )

    # -- completions
    batch_size: int = declare(
        64, "Batch size", "Phase 1: completions",
        "Completions sampled in each cycle. More make the estimate of what is better less noisy "
        "and the cycle slower.",
        ge=1, le=65_536, unit="completions",
    )
    response_length: int = declare(
        48, "Response length", "Phase 1: completions",
        "The longest completion. Sampling stops earlier at the end-of-sequence token.",
        ge=1, le=32_768, unit="tokens",
    )
    temperature: float = declare(
        1.0, "Temperature", "Phase 1: completions",
        "The T at which the run samples. Its log-probabilities, the start policy's too, are read "
        "at the same T, so T itself teaches nothing. Higher is more creative; leave at 1, or "
        "lower it where completions are chaotic.",
        ge=0.05, le=5.0,
        formula="π(v) = {exp(z_v ÷ T)}÷{Σ_u exp(z_u ÷ T)}",
    )
    control_tokens: Literal["text", "tokens"] = declare(
        "text", "Control tokens in prompts", "Phase 1: completions",
        "What a prompt is that spells a control token of the policy, the end of a turn say: text "
        "like any other, or that token. Set it to tokens for prompts that write the turns of a "
        "chat themselves, with the chat template switched off.",
        live=False, advanced=True,
    )
    stop_strings: str = declare(
        "", "Stop strings", "Phase 1: completions",
        "Text that ends a completion as its end-of-sequence token does, for base models that "
        "never write one: \\n for a line break, several between |. What is scored and shown stops "
        "before it; the tokens that spell it are learned like any other.",
        empty_text="none",
    )

    # -- the update
    learning_rate: float = declare(
        2.5e-4, "Learning rate", "Phase 2: update",
        "Step size of AdamW (ε 1e-5, no weight decay). Lower it when KL or the step size jump; "
        "small models bear more than large ones.",
        ge=0.0, le=1.0, scientific=True,
        source=LOSHCHILOV_2019,
    )
    optimizer: Literal["adamw", "adamw_8bit"] = declare(
        "adamw", "Optimiser", "Phase 2: update",
        "AdamW with β₁ 0.9, β₂ 0.999, ε 1e-5, as is usual for PPO (PyTorch's own is 1e-8), and no "
        "weight decay. adamw_8bit keeps AdamW's two running means in 8 bits (Dettmers et al. "
        "2022): a quarter of its memory. It needs an NVIDIA GPU and "
        "`pip install 'ppo-workbench[eightbit]'`.",
        live=False, advanced=True, structural=True,
        source=f"{LOSHCHILOV_2019}; {DETTMERS_2022}",
    )
    lr_scheduler_type: Literal["linear", "constant"] = declare(
        "linear", "Learning-rate schedule", "Phase 2: update",
        "Linear falls by the same amount each cycle and would be 0 after the last; constant stays.",
        formula="linear: lr·(1 - {cycle - 1}÷{cycles})",
    )
    micro_batch_tokens: int = declare(
        0, "Tokens at once", "Phase 2: update",
        "How many tokens go through the model at once. Changes memory and speed, never the "
        "gradient. Lower it when memory runs out.",
        ge=0, le=10_000_000, zero_text="automatic", advanced=True,
    )
    max_grad_norm: float = declare(
        1.0, "Gradient clip", "Phase 2: update",
        "Longest gradient of one optimiser step; longer ones are shortened to it.",
        ge=0.0, le=1000.0, zero_text="off", advanced=True,
        formula="g·min(1, {c}÷{‖g‖₂})", source=PASCANU_2013,
    )

    @classmethod
    @cache
    def specs(cls) -> dict[str, Spec]:
        """Return the declaration of every setting by name, in the order of the form."""
        found = {name: _spec(name, field) for name, field in cls.model_fields.items()}
        order = {group: place for place, group in enumerate(cls.GROUPS)}
        return dict(sorted(found.items(), key=lambda item: order.get(item[1].group, len(order))))

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Self:
        """Build validated settings from ``values``; missing ones take their default.

        Text is accepted for every type (``"3e-4"``, ``"on"``), as a command line gives it.

        Raises:
            HyperparameterError: with a sentence for each offending name.
        """
        specs = cls.specs()
        problems = {name: sentence for name, value in values.items() if isinstance(value, str)
                    and (spec := specs.get(name)) and spec.kind in ("int", "float")
                    and (sentence := _about_separators(spec, value))}
        if problems:
            raise HyperparameterError(problems)
        try:
            result = cls.model_validate(dict(values))
        except ValidationError as error:
            problems = {name: _sentence(name, specs.get(name), e["input"])
                        for e in error.errors() for name in [str(e["loc"][0])]}
            raise HyperparameterError(problems) from None
        problems = result.conflicts()
        if problems:
            raise HyperparameterError(problems)
        return result

    @classmethod
    def renamed(cls, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return stored ``values`` under the names of today."""
        return {cls.RENAMED.get(name, name): value for name, value in values.items()}

    @classmethod
    def known(cls, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return stored ``values`` under the names of today, without those that are no more."""
        return {name: value for name, value in cls.renamed(values).items() if name in cls.specs()}

    def conflicts(self) -> dict[str, str]:
        """Return what is wrong between values that are right by themselves, by name."""
        try:
            parse_stop_strings(self.stop_strings)
        except ValueError as error:
            return {"stop_strings": f"Stop strings (stop_strings): {error}"}
        if self.held_out_prompts > 1 and self.held_out_prompts % 1:
            return {"held_out_prompts":
                    "Held-out prompts (held_out_prompts) must be a whole number of prompts, or a "
                    f"share of them below 1, not {self.held_out_prompts:g}."}
        if self.processes > self.batch_size:
            return {"processes":
                    f"Processes (processes) must be at most the batch size, {self.batch_size}: "
                    "they share out its rows."}
        return {}

    def with_changes(self, changes: Mapping[str, object]) -> Self:
        """Return a copy with ``changes``, validated against ranges and against each other.

        Raises:
            HyperparameterError: with a sentence for each offending name.
        """
        return self.parse({**self.model_dump(), **changes})

    def differences(self, other: Settings) -> dict[str, tuple[Value, Value]]:
        """Return ``{name: (mine, the other's)}`` for every setting that differs."""
        mine, theirs = self.model_dump(), other.model_dump()
        return {k: (mine[k], theirs[k]) for k in self.specs() if mine[k] != theirs[k]}


def _spec(name: str, field: FieldInfo) -> Spec:
    annotation = field.annotation
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    kind = "choice" if choices else getattr(annotation, "__name__", "")
    bounds = {k: getattr(m, k) for m in field.metadata for k in ("ge", "le") if hasattr(m, k)}
    return Spec(
        name=name,
        kind="text" if kind == "str" else kind,  # type: ignore[arg-type]
        default=field.default,
        help=field.description or "",
        minimum=bounds.get("ge"),
        maximum=bounds.get("le"),
        choices=choices,
        **field.json_schema_extra,
    )


def _about_separators(spec: Spec, text: str) -> str:
    said = about_thousands_separators(text, whole=spec.kind == "int", maximum=spec.maximum)
    return f"{spec.label} ({spec.name}): {said}" if said else ""


def _sentence(name: str, spec: Spec | None, value: object) -> str:
    if spec is None:
        return f"There is no hyperparameter named {name!r}; see `ppo-workbench train --help`."
    if spec.kind == "choice":
        return f"{spec.label} ({name}) must be one of {', '.join(spec.choices)}."
    if spec.kind == "bool":
        return f"{spec.label} ({name}) must be on or off."
    if spec.kind == "text":
        return f"{spec.label} ({name}) must be text."
    number = "a whole number" if spec.kind == "int" else "a number"
    low, high = (f"{x:g}" if x is not None and abs(x) < 1e6 else f"{x:,.0f}"
                 for x in (spec.minimum, spec.maximum))
    return f"{spec.label} ({name}) must be {number} between {low} and {high}, not {value!r}."
