"""Decoding: tokens a second, and how near it comes to what the memory allows.

    python tests/benchmarks/decode.py [SHAPE]... [--rows 32] [--prompt 64] [--response 256]

One row of the table for each way to write: over a cache that grows, over fixed buffers, and, on an
NVIDIA GPU, with the steps over fixed buffers recorded as CUDA graphs. Each writes the same tokens
with random weights, all to the end.

*Tokens/s* is of a whole call, with the reading of the prompts and the recording. *ms a step* is
what one more token for every row takes once all that is done: the difference between a response of
full and of half length. *Of bandwidth* is the time that the device's memory needs to deliver what
such a step cannot do without, the weights of all matrix products and the keys and values so far,
at the rate of a large copy measured in the same run, divided by the step's time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import transformers as tf
from torch import nn
from transformers.pytorch_utils import Conv1D

from workbench.models.control import Unattended
from workbench.models.cuda_graphs import CudaRecorder
from workbench.models.decoders import Decoder, FixedDecoder, inference_weights
from workbench.models.device import find_placement, synchronize
from workbench.models.kv_cache import make_cache
from workbench.models.policy import Policy
from workbench.models.sampling import sample

SHAPES: dict[str, Callable[[], Any]] = {
    "small": lambda: tf.GPT2Config(
        vocab_size=4096, n_embd=256, n_layer=4, n_head=4, n_positions=4096, bos_token_id=None,
        eos_token_id=None),
    "124m": lambda: tf.GPT2Config(n_positions=4096),
    "smollm2-135m": lambda: tf.LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
        num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True,
        max_position_embeddings=8192),
    "qwen2-1.5b": lambda: tf.Qwen2Config(
        vocab_size=151936, hidden_size=1536, intermediate_size=8960, num_hidden_layers=28,
        num_attention_heads=12, num_key_value_heads=2, tie_word_embeddings=True),
    "llama-8b": lambda: tf.LlamaConfig(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
        num_attention_heads=32, num_key_value_heads=8, max_position_embeddings=8192),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shapes", nargs="*", choices=[[], *SHAPES])
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--prompt", type=int, default=64)
    parser.add_argument("--response", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    options = parser.parse_args()
    placement = find_placement(options.precision)
    device = placement.device
    cuda = device.type == "cuda"
    ways: dict[str, Callable[..., Decoder]] = {"growing": Decoder, "fixed": FixedDecoder}
    if cuda:
        ways["graphs"] = lambda *args: FixedDecoder(*args, recorder=CudaRecorder())
    rate = bandwidth(device)
    name = torch.cuda.get_device_name(device) if cuda else f"CPU, {torch.get_num_threads()} threads"
    print(f"{name}, {placement.dtype_name}, torch {torch.__version__}, transformers "
          f"{tf.__version__}; {options.rows} rows, prompt {options.prompt}, response "
          f"{options.response}; a copy moves {rate / 1e9:,.0f} GB/s\n")
    print("| shape | cache | tokens/s | ms a step | of bandwidth |\n|---|---|---:|---:|---:|")
    for shape in options.shapes or (["smollm2-135m", "qwen2-1.5b"] if cuda else ["small"]):
        torch.manual_seed(0)
        with torch.device(device):
            model = tf.AutoModelForCausalLM.from_config(SHAPES[shape](), dtype=torch.float32)
        policy = Policy(model, placement)
        needed = bytes_needed(policy, options.rows, options.prompt + options.response * 3 // 4)
        seconds = measure(policy, ways, options)
        for way in ways:
            whole, half = (statistics.median(s) for s in seconds[way])
            step = (whole - half) / (options.response - options.response // 2)
            print(f"| {shape} | {way} | {options.rows * options.response / whole:,.0f} | "
                  f"{1e3 * step:.2f} | {needed / rate / step:.0%} |", flush=True)
        del policy, model


def measure(
    policy: Policy, ways: dict[str, Callable[..., Decoder]], options: argparse.Namespace
) -> dict[str, tuple[list[float], list[float]]]:
    """Return the seconds of every round at full and at half length, the ways in turn."""
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(
        policy.config.vocab_size, (options.rows, options.prompt), generator=generator).tolist()
    noise = torch.rand(options.rows, options.response, generator=generator, dtype=torch.double)
    seconds: dict[str, tuple[list[float], list[float]]] = {way: ([], []) for way in ways}
    for number in range(options.rounds + 1):
        for way, decoder in ways.items():
            for times, length in zip(
                    seconds[way], (options.response, options.response // 2), strict=True):
                run = partial(sample, policy, prompts, noise[:, :length], temperature=1.0,
                              eos_ids=[], control=Unattended(), decoder=decoder)
                synchronize(policy.device)
                start = time.perf_counter()
                run()
                synchronize(policy.device)
                if number:  # the first round warms up
                    times.append(time.perf_counter() - start)
    return seconds


def bandwidth(device: torch.device) -> float:
    """Return the bytes a second that a large copy reads and writes."""
    source = torch.ones(1 << 26, device=device)
    target = torch.empty_like(source)
    times = []
    for _ in range(8):
        synchronize(device)
        start = time.perf_counter()
        target.copy_(source)
        synchronize(device)
        times.append(time.perf_counter() - start)
    return 2 * source.nbytes / statistics.median(times[1:])


@torch.no_grad()
def bytes_needed(policy: Policy, rows: int, tokens: int) -> float:
    """Return the bytes of weights and cache that a step reads when ``tokens`` are there."""
    weights = sum(
        module.weight.numel() for module in policy.model.modules()
        if isinstance(module, nn.Linear | Conv1D)) * policy.placement.dtype.itemsize
    cache: Any = make_cache(policy.model.config, 2)
    with inference_weights(policy):
        policy.trunk(input_ids=torch.ones(1, 2, dtype=torch.long, device=policy.device),
                     cache=cache, use_cache=True)
    a_token = sum(x.nbytes for layer in cache.layers for x in (layer.keys, layer.values)) / 2
    return weights + rows * tokens * a_token


if __name__ == "__main__":
    main()
