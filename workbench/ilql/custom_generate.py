"""Writing by values, with transformers alone.

PPO Workbench has put this file beside a policy that it trained by Q-learning (ILQL, Snell et al.
2022, arXiv:2206.11871). The policy itself is a plain model of transformers; what it learned of
values is in q_heads.safetensors beside this file. By them it writes with

    model.generate(**inputs, custom_generate=FOLDER, trust_remote_code=True, beta=4.0)

where ``beta`` says how much values count (0: not at all) and ``steer_top_k`` from how many tokens
is then chosen (0: all); without them they are what the run had. All else that ``generate`` takes
holds as ever.
"""

from __future__ import annotations

from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import LogitsProcessor, LogitsProcessorList
from transformers.utils.hub import cached_file

HEADS = "custom_generate/q_heads.safetensors"


class Values:
    """What was learned of values: V of a state and the smaller of two Q of every token in it."""

    def __init__(self, file: str, device: torch.device) -> None:
        with safe_open(file, framework="pt") as kept:
            self.about: dict[str, str] = kept.metadata()
            self._weights = {name: kept.get_tensor(name).to(device) for name in kept.keys()}  # noqa: SIM118

    def advantage(self, states: Tensor) -> Tensor:
        """Return Q - V (b, V) of states (b, H)."""
        q = torch.minimum(self._head("target1", states), self._head("target2", states))
        return q - self._head("v", states)

    def _head(self, name: str, states: Tensor) -> Tensor:
        w = self._weights
        inner = nn.functional.gelu(nn.functional.linear(
            states, w[f"{name}.0.weight"], w[f"{name}.0.bias"]))
        return nn.functional.linear(inner, w[f"{name}.2.weight"], w[f"{name}.2.bias"])


class ByValues(LogitsProcessor):
    """Makes of a model's logits ``log pi + beta * (Q - V)``."""

    def __init__(self, values: Values, beta: float, top_k: int) -> None:
        self._values, self._beta, self._top_k = values, beta, top_k
        self._states: Tensor | None = None

    def note(self, module: nn.Module, given: Any, output: Any) -> None:
        """Keep the states that the trunk has given, as its hook."""
        states = output[0] if isinstance(output, tuple) else output.last_hidden_state
        self._states = states[:, -1].float()

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the logits (b, V) to go on with."""
        assert self._states is not None
        logits = scores.float().log_softmax(-1) + self._beta * self._values.advantage(self._states)
        if 0 < self._top_k < logits.shape[-1]:
            least = logits.topk(self._top_k, dim=-1).values[..., -1:]
            logits = logits.masked_fill(logits < least, float("-inf"))
        return logits


def generate(
    model: Any, *args: Any, beta: float | None = None, steer_top_k: int | None = None,
    logits_processor: Any = None, **kwargs: Any,
) -> Any:
    """Write as ``model.generate`` does, by values."""
    values = Values(str(cached_file(model.name_or_path, HEADS)), model.device)
    by_values = ByValues(
        values, float(values.about["beta"]) if beta is None else beta,
        int(values.about["top_k"]) if steer_top_k is None else steer_top_k)
    trunk = model.get_submodule(values.about["trunk"]) if values.about["trunk"] else (
        model.base_model)
    hook = trunk.register_forward_hook(by_values.note)
    try:
        return type(model).generate(
            model, *args, logits_processor=LogitsProcessorList(
                [by_values, *(logits_processor or ())]), **kwargs)
    finally:
        hook.remove()
