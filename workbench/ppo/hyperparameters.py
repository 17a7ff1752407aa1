"""Every hyperparameter, declared once: type, range, default, unit, help, and whether it is live.

The window's form, validation, the command line's ``--set`` and the documentation all come from
this declaration. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.ppo.separators import about_separators
from workbench.ppo.stop_strings import parse_stop_strings

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
    only_with: tuple[str, Value] | None = None
    """Another setting's name and the value with which alone this one has an effect; True: any but
    0 and off."""

    def matters(self, values: Mapping[str, Value]) -> bool:
        """Return whether this setting has an effect among ``values``."""
        if self.only_with is None:
            return True
        name, wanted = self.only_with
        return bool(values[name]) if wanted is True else values[name] == wanted


class HyperparameterError(ValueError):
    """One plain sentence for every hyperparameter that cannot be accepted."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(" ".join(dict.fromkeys(self.problems.values())))


def _declare(
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
    meta = {"label": label, "group": group, "live": live, **more}
    return Field(default, ge=ge, le=le, description=text, json_schema_extra=meta)


def _pause(what: str) -> Any:
    return _declare(
        False, f"Pause: {what}", "Automatic pause",
        "Pause the run after the cycle in which the health check first finds this. Without "
        "the window the run stops, with a checkpoint.", advanced=True)


class Hyperparameters(BaseModel):
    """The settings of a PPO run. Immutable: a change makes a new object (:meth:`with_changes`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # -- the run
    num_cycles: int = _declare(
        20, "Cycles", "Run", "How many PPO cycles to run; the learning rate decays over them.",
        ge=1, le=100_000,
    )
    seed: int = _declare(
        0, "Seed", "Run",
        "Decides every random choice of the run: the order of prompts, sampling, mini-batches.",
        ge=0, le=2**31 - 1, live=False,
    )
    comparison_prompts: int = _declare(
        12, "Prompts compared", "Run",
        "How many prompts (pinned ones first) are completed after every cycle, always with the "
        "same random numbers, to compare before and after.",
        ge=1, le=512, live=False,
    )
    checkpoint_every: int = _declare(
        5, "Checkpoint every", "Run",
        "After how many cycles all that a resume needs is written to disk; also done when a run "
        "pauses, stops or finishes.",
        ge=0, le=100_000, unit="cycles", zero_text="only at the end",
    )
    keep_checkpoints: int = _declare(
        2, "Checkpoints kept", "Run",
        "How many of the last checkpoints stay on disk, beside the one "
        "whose compared prompts scored best and those you have pinned.",
        ge=1, le=1000, advanced=True,
    )
    keep_tokens: int = _declare(
        10, "Token details kept", "Run",
        "For how many of the last cycles every token's log-probability, value, reward, advantage "
        "and ratio are kept; those of pinned prompts are kept for all cycles.",
        ge=0, le=100_000, unit="cycles", zero_text="off",
    )

    # -- the models
    precision: Literal["auto", "float32", "bfloat16"] = _declare(
        "auto", "Precision", "Models",
        "Of the matrix products; weights are kept in float32. Auto is bfloat16 on a CUDA device "
        "that has it and float32 elsewhere. bfloat16 is faster on CPUs that have it, and less "
        "exact.",
        live=False,
    )
    lora_rank: int = _declare(
        0, "LoRA rank", "Models",
        "Train small adapters of this rank instead of all weights (Hu et al. 2021): far less "
        "memory, and the start policy needs no second copy. 8 to 64 is usual.",
        ge=0, le=1024, live=False, zero_text="off: train all weights", structural=True,
    )
    value_model: Literal["shared", "policy", "reward"] = _declare(
        "shared", "Value model", "Models",
        "Where values come from: a head on the policy's own trunk, or a separate model that "
        "starts as a copy of the policy or of the reward model. Separate costs time and memory; "
        "try it when the value loss disturbs the policy.",
        live=False, advanced=True, structural=True,
    )
    gradient_checkpointing: bool = _declare(
        False, "Gradient checkpointing", "Models",
        "Recompute activations instead of keeping them: less memory, about a third slower "
        "updates. Changes no number.",
        live=False, advanced=True,
    )

    # -- before the first cycle
    value_pretraining_episodes: int = _declare(
        0, "Value pretraining", "Value pretraining",
        "Completions of the start policy that are written and scored before the first cycle, for "
        "values to learn from (Yuan et al. 2025), so that they mean something from the first "
        "cycle on. On the policy's trunk only the value head learns; a separate value model "
        "learns as a whole and profits from thousands. Kept for the same models, prompts and "
        "settings.",
        ge=0, le=1_000_000, unit="completions", live=False, zero_text="off", advanced=True,
    )
    value_pretraining_epochs: int = _declare(
        3, "Value pretraining epochs", "Value pretraining",
        "How often a separate value model goes through them; the best pass, by completions held "
        "out, is kept. A head alone is fitted exactly and needs no passes.",
        ge=1, le=100, live=False, advanced=True,
    )
    value_pretraining_learning_rate: float = _declare(
        1e-3, "Value pretraining learning rate", "Value pretraining",
        "Step size of AdamW for a separate value model while it is pretrained. Lower it for "
        "larger models.",
        ge=0.0, le=1.0, scientific=True, live=False, advanced=True,
    )

    # -- phase 1: create completions
    batch_size: int = _declare(
        64, "Batch size", "Phase 1: completions",
        "Completions sampled in each cycle. More make the estimate of what is better less noisy "
        "and the cycle slower.",
        ge=1, le=65_536, unit="completions",
    )
    response_length: int = _declare(
        48, "Response length", "Phase 1: completions",
        "The longest completion. Sampling stops earlier at the end-of-sequence token.",
        ge=1, le=32_768, unit="tokens",
    )
    temperature: float = _declare(
        1.0, "Temperature", "Phase 1: completions",
        "Sampling temperature. Logits are divided by it in sampling, training and reference "
        "alike. Higher is more creative; leave at 1, or lower it where completions are chaotic.",
        ge=0.05, le=5.0,
    )
    control_tokens: Literal["text", "tokens"] = _declare(
        "text", "Control tokens in prompts", "Phase 1: completions",
        "What a prompt is that spells a control token of the policy, the end of a turn say: text "
        "like any other, or that token. Set it to tokens for prompts that write the turns of a "
        "chat themselves, with the chat template switched off.",
        live=False, advanced=True,
    )
    stop_strings: str = _declare(
        "", "Stop strings", "Phase 1: completions",
        "Text that ends a completion as its end-of-sequence token does, for base models that "
        "never write one: \\n for a line break, several between |. What is scored and shown stops "
        "before it; the tokens that spell it are learned like any other.",
        empty_text="none",
    )
    missing_eos_penalty: float = _declare(
        1.0, "Missing-EOS penalty", "Phase 1: completions",
        "Subtracted from the score of a completion that never ended. Raise it when completions "
        "run to the length limit.",
        ge=0.0, le=100.0, zero_text="off",
    )

    # -- reward
    kl_coef: float = _declare(
        0.04, "KL coefficient (β)", "Reward and KL",
        "Price, per nat, of moving away from the start policy. Raise it when completions become "
        "odd while the reward climbs; lower it when the reward does not move.",
        ge=0.0, le=10.0, scientific=True,
    )
    kl_estimator: Literal["k1", "k2", "k3"] = _declare(
        "k1", "KL estimator", "Reward and KL",
        "How KL is estimated from one sampled token: k1 is unbiased, k2 has less variance and a "
        "small bias, k3 is never negative. As a price leave it at k1: k2 and k3 in the reward "
        "charge a token whichever way it has moved, and hold the policy back little or not at all; "
        "k3 in the loss leads to another policy than the KL itself.",
    )
    kl_in: Literal["reward", "loss"] = _declare(
        "reward", "KL enters", "Reward and KL",
        "Whether KL is subtracted from each token's reward (as in Ziegler et al. 2019) or added "
        "to the loss (as in Shao et al. 2024). In the loss k1 acts as k2, which has the gradient "
        "of the true KL; k1's own is 0 on average. Whitening scales the price along with the "
        "rewards, so the coefficient has the same unit in both places. In the reward a token also "
        "pays for the KL of what follows it, in the loss for its own alone.",
        advanced=True,
    )
    kl_controller: Literal["fixed", "adaptive"] = _declare(
        "fixed", "KL controller", "Reward and KL",
        "Adaptive steers the coefficient so that KL approaches the target (Ziegler et al. 2019).",
        advanced=True,
    )
    kl_target: float = _declare(
        6.0, "KL target", "Reward and KL",
        "Where the adaptive controller steers KL to, in nats a completion.",
        ge=0.01, le=1000.0, unit="nats", only_with=("kl_controller", "adaptive"), advanced=True,
    )
    kl_horizon: int = _declare(
        10_000, "KL horizon", "Reward and KL",
        "Over so many completions the adaptive controller changes the coefficient by a fifth at "
        "most; smaller reacts faster. A run of 20 cycles of 64 completions needs some hundreds.",
        ge=1, le=10_000_000, unit="completions", only_with=("kl_controller", "adaptive"),
        advanced=True,
    )
    normalize_scores: bool = _declare(
        False, "Normalise scores", "Reward and KL",
        "Shift and scale scores to mean 0 and deviation 1 on the start policy's own samples, "
        "measured once. Switch on for a reward model on an unusual scale.",
        advanced=True,
    )
    score_clip: float = _declare(
        0.0, "Score clip", "Reward and KL",
        "Limit scores, once normalised if they are, to plus or minus this value, so that one freak "
        "score cannot rule a cycle.",
        ge=0.0, le=1000.0, zero_text="off", advanced=True,
    )
    whiten_rewards: bool = _declare(
        False, "Whiten rewards", "Reward and KL",
        "Scale the token rewards of a batch to deviation 1, keeping their mean.",
        advanced=True,
    )

    # -- advantages
    gamma: float = _declare(
        1.0, "Discount (γ)", "Advantages",
        "Worth of a reward one token later. 1 is usual: a completion is short and its score comes "
        "at the end.",
        ge=0.0, le=1.0, advanced=True,
    )
    lam: float = _declare(
        0.95, "GAE λ", "Advantages",
        "Between trusting the value head (0) and trusting the outcome (1) when judging a token. "
        "With a head that foresees much, such as the bundled policy's, 0.9 learns faster.",
        ge=0.0, le=1.0,
    )
    whiten_advantages: bool = _declare(
        True, "Whiten advantages", "Advantages",
        "Shift and scale the advantages of a batch to mean 0 and deviation 1, so that the "
        "learning rate means the same on every reward scale. Once all completions score alike, it "
        "scales up what the value head gets wrong: keep a KL coefficient above 0.",
        advanced=True,
    )

    # -- phase 2: update
    learning_rate: float = _declare(
        2.5e-4, "Learning rate", "Phase 2: update",
        "Step size of AdamW. Lower it when KL or the step size jump; small models bear more "
        "than large ones.",
        ge=0.0, le=1.0, scientific=True,
    )
    optimizer: Literal["adamw", "adamw_8bit"] = _declare(
        "adamw", "Optimiser", "Phase 2: update",
        "adamw_8bit keeps AdamW's two running means in 8 bits (Dettmers et al. 2022): a quarter "
        "of its memory. It needs an NVIDIA GPU and `pip install 'ppo-workbench[eightbit]'`.",
        live=False, advanced=True, structural=True,
    )
    lr_scheduler_type: Literal["linear", "constant"] = _declare(
        "linear", "Learning-rate schedule", "Phase 2: update",
        "Linear falls by the same amount each cycle and would be 0 after the last; constant stays.",
    )
    num_ppo_epochs: int = _declare(
        4, "PPO epochs", "Phase 2: update",
        "How often each batch of completions is used. More learns faster from the same samples "
        "until the clip holds the rest back.",
        ge=1, le=100,
    )
    num_mini_batches: int = _declare(
        1, "Mini-batches", "Phase 2: update",
        "Optimiser steps per epoch; must divide the batch size.",
        ge=1, le=4096,
    )
    micro_batch_tokens: int = _declare(
        0, "Tokens at once", "Phase 2: update",
        "How many tokens go through the model at once. Changes memory and speed, never the "
        "gradient. Lower it when memory runs out.",
        ge=0, le=10_000_000, zero_text="automatic", advanced=True,
    )
    cliprange: float = _declare(
        0.2, "Clip range (ε)", "Phase 2: update",
        "The trust region: within an update a token's probability ratio earns nothing outside "
        "1 ± ε.",
        ge=0.001, le=10.0,
    )
    dual_clip: float = _declare(
        0.0, "Dual clip", "Phase 2: update",
        "Bounds the loss of a token with negative advantage at this multiple of it (Ye et al. "
        "2020), usually 3; for very off-policy updates.",
        ge=0.0, le=100.0, zero_text="off", advanced=True,
    )
    vf_coef: float = _declare(
        4.0, "Value coefficient (c₁)", "Phase 2: update",
        "Weight of the value loss. It decides how much the value loss moves what policy and value "
        "head share, not how fast the head learns. 4 keeps a value head right that means "
        "something from the start: one the policy brings along, or a pretrained one. With a head "
        "that begins at zero 0.1 is better: more disturbs the policy.",
        ge=0.0, le=10.0,
    )
    cliprange_value: float = _declare(
        0.2, "Value clip range", "Phase 2: update",
        "How far a value may move from its old estimate within an update.",
        ge=0.0, le=100.0, zero_text="off", advanced=True,
    )
    value_learning_rate: float = _declare(
        0.0, "Value learning rate", "Phase 2: update",
        "Step size of AdamW for the value head, and for a separate value model; it follows the "
        "same schedule. Raise it to several times the policy's when values follow the reward late.",
        ge=0.0, le=1.0, scientific=True, zero_text="policy's", advanced=True,
    )
    num_value_epochs: int = _declare(
        0, "Value epochs", "Phase 2: update",
        "How often each batch is used once more for values alone, after the PPO epochs. On the "
        "policy's trunk only the head learns then, which takes next to no time; a separate value "
        "model learns as a whole.",
        ge=0, le=1000, zero_text="off", advanced=True,
    )
    entropy_coef: float = _declare(
        0.0, "Entropy coefficient (c₂)", "Phase 2: update",
        "Reward for keeping options open while training. Raise it slightly when completions "
        "become alike.",
        ge=0.0, le=1.0, scientific=True,
    )
    max_grad_norm: float = _declare(
        1.0, "Gradient clip", "Phase 2: update",
        "Longest gradient of one optimiser step; longer ones are shortened to it.",
        ge=0.0, le=1000.0, zero_text="off", advanced=True,
    )
    target_kl: float = _declare(
        0.0, "Stop at approx-KL", "Phase 2: update",
        "Ends the epochs of a cycle once the update has moved this far from the sampling policy, "
        "in nats a token. It is looked at before each optimiser step, so it can leave out the "
        "steps to come but not take back one: a single step (one epoch of one mini-batch) is "
        "always made, and a first one that is too large needs a lower learning rate.",
        ge=0.0, le=10.0, zero_text="off", scientific=True, advanced=True,
    )
    critic_warmup_cycles: int = _declare(
        0, "Critic warm-up", "Phase 2: update",
        "In these first cycles only the value head, or the separate value model, learns, so that "
        "advantages are meaningful before the policy moves.",
        ge=0, le=1000, unit="cycles", advanced=True,
    )

    # -- the rules of workbench.training.rules; one that finds what is not a number always stops
    pause_on_ratio: bool = _pause("ratio not 1 at first")
    pause_on_kl: bool = _pause("KL runs away")
    pause_on_unlikely: bool = _pause("unlikely words")
    pause_on_steps: bool = _pause("steps too large")
    pause_on_entropy: bool = _pause("entropy collapses")
    pause_on_alike: bool = _pause("completions alike")
    pause_on_unended: bool = _pause("completions do not end")
    pause_on_cut: bool = _pause("texts cut")
    pause_on_falling_reward: bool = _pause("reward falls")
    pause_on_hacking: bool = _pause("reward gamed")
    pause_on_negative_kl: bool = _pause("negative KL")
    pause_on_value_loss: bool = _pause("value loss diverges")
    pause_on_explained_variance: bool = _pause("values explain nothing")

    def with_changes(self, changes: Mapping[str, object]) -> Hyperparameters:
        """Return a copy with ``changes``, validated against ranges and against each other.

        Raises:
            HyperparameterError: with a sentence for each offending name.
        """
        return parse({**self.model_dump(), **changes})

    def differences(self, other: Hyperparameters) -> dict[str, tuple[Value, Value]]:
        """Return ``{name: (mine, the other's)}`` for every hyperparameter that differs."""
        mine, theirs = self.model_dump(), other.model_dump()
        return {k: (mine[k], theirs[k]) for k in mine if mine[k] != theirs[k]}


@cache
def specs() -> dict[str, Spec]:
    """Return the declaration of every hyperparameter by name, in the order of the form."""
    result = {}
    for name, field in Hyperparameters.model_fields.items():
        annotation = field.annotation
        choices = get_args(annotation) if get_origin(annotation) is Literal else ()
        kind = "choice" if choices else getattr(annotation, "__name__", "")
        kind = "text" if kind == "str" else kind
        bounds = {k: getattr(m, k) for m in field.metadata for k in ("ge", "le") if hasattr(m, k)}
        result[name] = Spec(
            name=name,
            kind=kind,  # type: ignore[arg-type]
            default=field.default,
            help=field.description or "",
            minimum=bounds.get("ge"),
            maximum=bounds.get("le"),
            choices=choices,
            **field.json_schema_extra,
        )
    return result


def parse(values: Mapping[str, object]) -> Hyperparameters:
    """Build validated hyperparameters from ``values``; missing ones take their default.

    Text is accepted for every type (``"3e-4"``, ``"on"``), as a command line gives it.

    Raises:
        HyperparameterError: with a sentence for each offending name.
    """
    problems = {name: sentence for name, value in values.items() if isinstance(value, str)
                and (spec := specs().get(name)) and spec.kind in ("int", "float")
                and (sentence := _about_separators(spec, value))}
    if problems:
        raise HyperparameterError(problems)
    try:
        result = Hyperparameters.model_validate(dict(values))
    except ValidationError as error:
        problems = {str(e["loc"][0]): _sentence(str(e["loc"][0]), e) for e in error.errors()}
        raise HyperparameterError(problems) from None
    problems = _conflicts(result)
    if problems:
        raise HyperparameterError(problems)
    return result


def _conflicts(values: Hyperparameters) -> dict[str, str]:
    """Return what is wrong between values that are right by themselves, at each that takes part."""
    problems: dict[str, str] = {}
    try:
        parse_stop_strings(values.stop_strings)
    except ValueError as error:
        problems["stop_strings"] = f"Stop strings (stop_strings): {error}"
    batch, parts = values.batch_size, values.num_mini_batches
    if batch % parts:
        below = max(n for n in range(1, parts) if batch % n == 0)
        above = next((n for n in range(parts, batch + 1) if batch % n == 0), None)
        fitting = f"{below} or {above} would" if above else f"{below} would"
        problems |= dict.fromkeys(
            ("num_mini_batches", "batch_size"),
            f"Mini-batches ({parts}) must divide the batch size ({batch}) without remainder; "
            f"{fitting}.")
    if 0 < values.value_pretraining_episodes < 10:
        problems["value_pretraining_episodes"] = (
            f"Value pretraining ({values.value_pretraining_episodes}) must be 0 (off) or at least "
            "10 completions: a fifth of them is held out to measure by.")
    if values.kl_controller == "adaptive" and values.kl_coef == 0:
        problems |= dict.fromkeys(
            ("kl_coef", "kl_controller"),
            "The adaptive KL controller multiplies the KL coefficient, so it never leaves 0; "
            "begin with a small one such as 0.01.")
    if 0 < values.dual_clip < 1 + values.cliprange:
        problems |= dict.fromkeys(
            ("dual_clip", "cliprange"),
            f"Dual clip ({values.dual_clip:g}) must be 0 (off) or at least 1 + the clip range "
            f"({1 + values.cliprange:g}): below, it would cut into the trust region.")
    return problems


def _about_separators(spec: Spec, text: str) -> str:
    said = about_separators(text, whole=spec.kind == "int", maximum=spec.maximum)
    return f"{spec.label} ({spec.name}): {said}" if said else ""


def _sentence(name: str, error: Any) -> str:
    spec = specs().get(name)
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
    return (
        f"{spec.label} ({name}) must be {number} between {low} and {high}, "
        f"not {error['input']!r}."
    )
