"""Completing a few prompts by hand, with the policy's weights or those of a checkpoint.

Nothing of a run is touched: random numbers follow from the seed typed in
(:mod:`workbench.models.randomness`), and the weights in training are never written to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from workbench.models.decoders import inference_weights, make_decoder
from workbench.models.decoding import Decoding
from workbench.models.device import widest_float
from workbench.models.policy import Policy
from workbench.models.randomness import Stream, uniforms
from workbench.models.sampling import Completions, choose_tokens
from workbench.stop_strings import Stopped

WEIGHTS = "weights/model."
"""How the names of a language model's weights begin in a checkpoint."""
ALL_WEIGHTS = "weights/"
"""How those of all weights begin, of what estimates values as well."""


class WrongWeightsError(ValueError):
    """Weights do not fit the policy. The message is a plain sentence."""


def nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Keep the most probable tokens whose sum first reaches ``top_p``, and scale them to 1.

    Ari Holtzman et al., "The Curious Case of Neural Text Degeneration" (2019, arXiv:1904.09751),
    section 3.1: V^(p) is the smallest set with ``sum P(x) >= p``. Of equally probable tokens the
    one with the lower id comes first.

    Args:
        probabilities: (n, V) float32, each row with sum 1.
        top_p: in (0, 1]; 1 keeps every token.

    Returns:
        (n, V) float32, 0 outside the nucleus.
    """
    if top_p >= 1:
        return probabilities
    ordered, tokens = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1, dtype=widest_float(ordered.device)) - ordered
    # The first token stays whatever it weighs: nothing comes before it.
    kept = ordered.masked_fill(before >= top_p, 0.0)
    kept = kept / kept.sum(dim=-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter(-1, tokens, kept)


def distribution(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    """Return what is sampled from: ``nucleus(softmax(logits / temperature))``.

    Temperature 0 is its limit: all probability on the most probable token.

    Args:
        logits: (n, V) float32.
    """
    if temperature == 0:
        best = logits.argmax(dim=-1, keepdim=True)
        return torch.zeros_like(logits).scatter(-1, best, 1.0)
    return nucleus((logits / temperature).softmax(dim=-1), top_p)


@torch.no_grad()
def write(
    policy: Policy, prompts: Sequence[Sequence[int]], decoding: Decoding, *,
    eos_ids: Sequence[int], written: Callable[[list[list[int]]], None],
    stopped: Stopped | None = None, numbers: Sequence[int] = (),
) -> Completions:
    """Complete every prompt, telling of every token.

    The random numbers are the same for every policy: they depend on the seed, on the place of the
    token and on ``numbers`` alone.

    Args:
        prompts: b lists of at least one token id.
        numbers: which row of random numbers each prompt takes, b of them; none: all the first.
        eos_ids: a response ends with the first of these, which is part of it.
        stopped: asked after each token whether it ends the response; None: no text does.
        written: called after each token with the b responses so far; may raise, to stop.

    Returns:
        Completions whose ``logprobs`` are those of the policy at temperature 1, from the full
        distribution; entropies and values are 0.
    """
    device, length = policy.device, decoding.length
    taken = torch.tensor(numbers or [0] * len(prompts), device=device)
    noise = uniforms(decoding.seed, Stream.TRYING, 0, int(taken.max()) + 1, length).to(
        device, widest_float(device))
    logprobs = torch.zeros(len(prompts), length, device=device)

    def choose(hidden: Tensor, rows: Tensor, t: Tensor) -> Tensor:
        logits = policy.writing_logits(hidden)
        chosen = choose_tokens(distribution(logits, decoding.temperature, decoding.top_p),
                               noise[taken[rows], t])
        logprobs[rows, t] = logits.log_softmax(dim=-1).gather(
            -1, chosen.unsqueeze(-1)).squeeze(-1)
        return chosen

    responses: list[list[int]] = [[] for _ in prompts]
    ended = [False] * len(prompts)
    with inference_weights(policy), contextlib.closing(
            make_decoder(policy, prompts, length, choose, eos_ids)) as writer:
        for t in range(length):
            writer.step()
            for row, token in enumerate(writer.tokens[:, t].tolist()):
                if not ended[row]:
                    responses[row].append(token)
                    ended[row] = token in eos_ids or bool(
                        stopped and stopped(prompts[row], responses[row]))
            written(responses)
            if all(ended):
                break
    return _completions(prompts, responses, ended, logprobs)


def _completions(
    prompts: Sequence[Sequence[int]], responses: list[list[int]], ended: list[bool],
    logprobs: Tensor,
) -> Completions:
    device, longest = logprobs.device, max(map(len, responses))
    tokens = torch.zeros(len(responses), longest, dtype=torch.long)
    mask = torch.zeros(len(responses), longest, dtype=torch.bool)
    for row, response in enumerate(responses):
        tokens[row, : len(response)] = torch.tensor(response)
        mask[row, : len(response)] = True
    mask = mask.to(device)
    nothing = torch.zeros(mask.shape, device=device)
    return Completions(
        list(map(list, prompts)), tokens.to(device), mask,
        logprobs[:, :longest].masked_fill(~mask, 0), nothing, nothing,
        torch.tensor(ended, device=device))


@contextlib.contextmanager
def other_weights(
    policy: Policy, arrays: Mapping[str, np.ndarray], prefix: str = WEIGHTS
) -> Iterator[Policy]:
    """Let the policy have a checkpoint's weights for as long as the context lasts.

    Each parameter is pointed at the other tensor and back: the weights in training are never
    written to, so they are bit for bit what they were however the context ends. The others take
    the room that the gradients take in an update, which are not there between cycles; under LoRA
    they are the adapters alone, and on a CPU what was read from the file is used as it is.

    Args:
        arrays: as :func:`workbench.models.snapshot.take` names them.
        prefix: which of them are used.

    Raises:
        WrongWeightsError: the checkpoint belongs to another model.
    """
    there = {f"weights/{name}": p for name, p in policy.named_parameters()}
    wanted = {name: torch.from_numpy(array) for name, array in arrays.items()
              if name.startswith(prefix)}
    if not wanted or any(
            name not in there or there[name].shape != tensor.shape
            for name, tensor in wanted.items()):
        raise WrongWeightsError(
            "This checkpoint belongs to another model or another LoRA rank than the policy that "
            "is loaded; resume its run to try it.")
    before = {name: there[name].data for name in wanted}
    try:
        for name, tensor in wanted.items():
            there[name].data = tensor.to(before[name])
        yield policy
    finally:
        for name, data in before.items():
            there[name].data = data
