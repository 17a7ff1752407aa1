"""A value head that a policy's folder brings along: trained with the policy's trunk, for a reward.

``value_head.safetensors`` beside the weights holds ``weight`` (1, H) and ``bias`` (1,) in float32,
and in its metadata which reward it foresees: the value of a state is the score that reward will
give the finished completion. With that reward values mean something from the first cycle on; with
any other the head would foresee the wrong thing, and begins at zero.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from workbench.feedback.reward_model import Reward, RewardModel
from workbench.feedback.weighted_reward import WeightedSum
from workbench.models.fingerprints import digest_ends
from workbench.models.sources import LoadError
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.remarks import other_scale

FILE_NAME = "value_head.safetensors"
_WEIGHTS = ("*.safetensors", "*.bin")
_SETTINGS = ("config.json", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class ValueHead:
    """``weight`` (1, H) and ``bias`` (1,) of a linear value head."""

    weight: Tensor
    bias: Tensor

    def scaled(self, factor: float) -> ValueHead:
        """Return the head of a reward that is ``factor`` times this one's."""
        return ValueHead(self.weight * factor, self.bias * factor)


def save_value_head(
    folder: Path, weight: Tensor, bias: Tensor, *, reward: Path, label: int = 0
) -> None:
    """Put a value head into a policy's folder.

    Args:
        weight: (1, H), bias: (1,); of the policy's last hidden states.
        reward: the folder of the reward model whose score they foresee.
        label: which of its outputs is the score.
    """
    tensors = {"weight": weight.detach().float().reshape(1, -1).cpu().contiguous(),
               "bias": bias.detach().float().reshape(1).cpu().contiguous()}
    save_file(tensors, folder / FILE_NAME,
              {"reward": reward_digest(reward), "label": str(label)})


def load_value_head(folder: Path, *, reward: Path, label: int = 0) -> ValueHead | None:
    """Read the value head of a policy's folder; None where it has none for this reward.

    Raises:
        LoadError: the file is damaged.
    """
    file = folder / FILE_NAME
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as opened:
            made_for = opened.metadata() or {}
            if "reward" not in made_for:  # another program's, LLaMA-Factory's say
                return None
            head = ValueHead(opened.get_tensor("weight"), opened.get_tensor("bias"))
    except (OSError, SafetensorError) as error:
        raise LoadError(
            f"{file} is damaged; delete it, or save or download the policy again.") from error
    if made_for.get("label") != str(label) or made_for.get("reward") != reward_digest(reward):
        return None
    return head


def find_value_head(folder: Path | None, reward: Reward) -> ValueHead | None:
    """Return the value head that a policy's folder has for ``reward``.

    A reward model times a weight counts as that model, whatever else is only watched; of a sum of
    several none is known.

    Raises:
        LoadError: the file is damaged.
    """
    weight = 1.0
    if isinstance(reward, WeightedSum):
        counting = [part for part in reward.parts if part.weight]
        if len(counting) != 1:
            return None
        weight, reward = counting[0].weight, counting[0].reward
    if folder is None or not isinstance(reward, RewardModel) or reward.folder is None or (
        not reward.plain  # it foresees what the model makes of its text as it is
    ):
        return None
    head = load_value_head(folder, reward=reward.folder, label=reward.label)
    return head and head.scaled(weight)


def fits(head: ValueHead, hp: Hyperparameters, width: int) -> bool:
    """Whether returns are on the scale of the score itself, so that ``head`` foresees them.

    A penalty for not ending is the head's to learn; it concerns few completions.
    """
    return (head.weight.shape == (1, width) and head.bias.shape == (1,)
            and not other_scale(hp))


@torch.no_grad()
def put_in(head: ValueHead, layer: torch.nn.Linear) -> None:
    """Let a policy's value head begin as ``head``."""
    layer.weight.copy_(head.weight)
    layer.bias.copy_(head.bias)


def reward_digest(folder: Path) -> str:
    """Return what a reward model's folder is known by: a digest of what decides its scores."""
    digest = hashlib.sha256()
    digest_ends(digest, {f for pattern in _WEIGHTS for f in folder.glob(pattern)})
    for file in (folder / name for name in _SETTINGS):
        if file.is_file():  # git may have changed how its lines end
            digest.update(f"{file.name}\0".encode() + file.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()
