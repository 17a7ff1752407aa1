"""What every side is asked to do, and how many multiplications that needs at the least.

Standard library only: each side imports this from its own environment.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

OF = {
    "ppo": {
        "ours": "the workbench, float32",
        "ours-bf16": "the workbench, bf16",
        "ours-separate": "the workbench, separate value model",
        "trl-1.12.0": "TRL 1.12.0, separate value model",
        "trl-0.11.4": "TRL 0.11.4, value head on the trunk",
    },
    "dpo": {
        "ours-dpo": "the workbench",
        "trl-1.16.0-dpo": "TRL 1.16.0",
        "trl-1.16.0-dpo-defaults": "TRL 1.16.0, 8 pairs at once, recomputing",
    },
    "kto": {
        "ours-kto": "the workbench",
        "trl-1.16.0-kto": "TRL 1.16.0",
    },
    "reward": {
        "ours-reward": "the workbench",
        "trl-1.16.0-reward": "TRL 1.16.0",
        "trl-1.16.0-reward-defaults": "TRL 1.16.0, 8 pairs at once, recomputing",
    },
    "grpo": {
        "ours-grpo": "the workbench",
        "trl-1.16.0-grpo": "TRL 1.16.0",
    },
}
"""The sides of each algorithm."""
SIDES = {name: said for sides in OF.values() for name, said in sides.items()}
# Which sides run a second transformer to estimate values.
SEPARATE_VALUE_MODEL = {"ours-separate", "trl-1.12.0"}
EOS, PAD = 0, 1


def word(token: int) -> str:
    """Return how a token is spelled: one word a token, so that text and ids say the same."""
    return {EOS: "<eos>", PAD: "<pad>"}.get(token, f"w{token}")


def head_weights(width: int) -> list[float]:
    """Return the weights of the head that a reward model begins with."""
    return [0.2 * ((7 * i) % 11 / 10 - 0.5) for i in range(width)]


@dataclass(frozen=True)
class Shape:
    """The size of a model; ``architecture`` is ``gpt2`` or ``qwen2``."""

    architecture: str
    layers: int
    width: int
    heads: int
    vocabulary: int
    key_value_heads: int = 0
    gate_width: int = 0

    @property
    def linear_weights(self) -> int:
        """Entries of all matrices of the trunk: each costs two operations a token."""
        if self.architecture == "gpt2":
            return self.layers * 12 * self.width**2
        key_value = self.width // self.heads * self.key_value_heads
        return self.layers * (
            2 * self.width**2 + 2 * self.width * key_value + 3 * self.width * self.gate_width)


SHAPES = {
    "tiny": Shape("gpt2", 2, 64, 2, 1024),
    "small": Shape("gpt2", 4, 256, 4, 4096),
    "qwen": Shape("qwen2", 4, 256, 4, 4096, key_value_heads=2, gate_width=704),
    "124m": Shape("gpt2", 12, 768, 12, 50257),
}
# The reward model: a small classifier whatever the policy, over the policy's vocabulary.
REWARD_LAYERS, REWARD_WIDTH, REWARD_HEADS = 4, 256, 4


@dataclass(frozen=True)
class Work:
    """One comparison. Everything not named here is the same on all sides by construction."""

    shape: str
    models: str
    """The folder with ``reference``, ``policy``, ``reward`` and ``value_head.json``."""
    rows: int = 32
    prompt_length: int = 16
    response_length: int = 48
    epochs: int = 4
    mini_batches: int = 1
    ragged: bool = False
    threads: int = 2
    learning_rate: float = 1e-6
    vf_coef: float = 0.1
    kl_coef: float = 0.05
    seed: int = 0
    algorithm: str = "ppo"
    group: int = 1
    """Completions of each prompt (GRPO)."""
    loss: str = "sigmoid"
    """Of pairs (DPO and reward models, of which ``rows`` are those of a cycle, and mini-batches its
    steps; of KTO they are completions)."""

    @property
    def label(self) -> str:
        """The comparison in a few words."""
        ends = "ragged" if self.ragged else "full"
        if self.algorithm in ("dpo", "reward"):
            name = "DPO" if self.algorithm == "dpo" else "Reward model"
            return (f"{name}: {self.shape}, {self.mini_batches} steps of "
                    f"{self.rows // self.mini_batches} pairs, {ends} completions")
        if self.algorithm == "kto":
            return (f"KTO: {self.shape}, {self.mini_batches} steps of "
                    f"{self.rows // self.mini_batches} completions, {ends} completions")
        if self.algorithm == "grpo":
            kl = f"KL in the loss ({self.kl_coef:g})" if self.kl_coef else "no KL in the loss"
            return f"GRPO: {self.shape}, {self.epochs} step(s), {kl}, {ends} completions"
        return f"{self.shape}, {self.mini_batches} mini-batch(es), {ends} responses"

    def save(self, path: Path) -> None:
        """Write for the sides to read."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: str) -> Work:
        """Read what :meth:`save` wrote."""
        return cls(**json.loads(Path(path).read_text()))


def flops(work: Work, lengths: list[int], *, separate_value_model: bool) -> float:
    """Return the floating-point operations that one cycle cannot do without.

    Counted are the matrix products over real tokens: every hidden state once in sampling, once
    through the reference and the reward model, and three times in each epoch (forward, and twice
    that backward). The head counts over response tokens only. DPO samples and scores nothing, and
    has one epoch; nor does KTO, which reads as many completions behind other prompts, by policy and
    reference; a reward model has no head to speak of and reads no reference; GRPO has no reference
    where no KL is in its loss.
    """
    shape = SHAPES[work.shape]
    reward = Shape("gpt2", REWARD_LAYERS, REWARD_WIDTH, REWARD_HEADS, shape.vocabulary)

    def trunk(of: Shape, tokens: int) -> float:
        attention = 2 * of.layers * of.width * tokens * (tokens + 1)  # causal: half the square
        return 2 * of.linear_weights * tokens + attention

    total = 0.0
    for length in lengths:
        fed = work.prompt_length + length - 1  # from the last token nothing is predicted
        body, head = trunk(shape, fed), 2 * shape.width * shape.vocabulary * length
        if work.algorithm == "reward":
            total += 3 * trunk(shape, fed + 1)
            continue
        if work.algorithm in ("dpo", "kto"):
            read = 2 if work.algorithm == "kto" else 0
            total += (1 + read + 3) * (body + head)
            continue
        passes = 1 + (work.algorithm == "ppo" or work.kl_coef > 0) + 3 * work.epochs
        total += passes * (body + head) + trunk(reward, fed + 1)
        if separate_value_model:
            total += (1 + 3 * work.epochs) * body
    return total
