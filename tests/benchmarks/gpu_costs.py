"""What a run on many GPUs takes, on paper: formulas of memory, of bytes sent and of seconds.

Nothing is run: it is arithmetic on a model's shape, a run's settings and a device's rates. P is
the number of parameters, N that of processes, each on a GPU; a model's layers hold P_l of P,
embedding and head P_o.

**Memory of a process.** Weights are float32 (4 bytes) and compute in bfloat16, gradients float32
(4), AdamW's two moments float32 (8): 16 bytes for each parameter that learns. The start policy,
held for its log-probabilities, 4; a reward model 2. Replicated, each process has all of that.
Sharded (PyTorch's FSDP2, a layer a unit; embedding and head by rows), each has 1/N of P and of the
reward model, which is whole while it scores. With LoRA of rank r only matrices of (in, r) and (r,
out) beside each matrix of the layers learn, and the start policy is the policy without them. Before
anything is shared out the model that is loaded, the start policy, lies whole on each GPU (4 P), and
in its node's own memory for each process; its copy that learns is made a layer at a time as it is
shared out. A checkpoint is gathered and written 256 MB at a time.

While it learns, autocast keeps the layers' weights in bfloat16 (2 P_l) to the end of the forward
pass, or, where no gradient is asked of them (LoRA) and layers are checkpointed, those of one layer.
Each token leaves in each layer of width w, gate g and keys k what the backward pass needs: the
inputs of two norms and what they make of them in float32 (16 w), and in bfloat16 the inputs of the
products, the queries, keys and values before and after rotation, what attention gives, and gate,
up, their activation and product (10 w + 8 k + 8 g); counted on tiny Llamas by
workbench.learning.footprint it is 4 and 6 % more. With gradient checkpointing that is so for one
layer at a time, and each leaves its input (4 w). Sharded, three layers' worth of float32 is whole
at a time: one computes, the next is fetched, a gradient is to be scattered; embedding and head are
whole for as long as the gradient of a step is made, and so is their gradient (8 P_o). Logits exist
for some tokens at a time.

While it writes, a process has a KV cache of 2 k bfloat16 numbers for each token of its rows in each
layer, and a bfloat16 copy of the weights. Sharded, they are gathered whole beforehand (4 P) if
twice that is free on every GPU, and else layer by layer for every token, embedding and head once.

**Bytes that a process sends.** In a ring an all-gather or a reduce-scatter of n bytes sends n (N -
1) / N, an all-reduce twice that. Replicated: 4 bytes of each learning parameter are all-reduced at
each optimiser step. Sharded: each micro-batch gathers P_l for the forward and again for the
backward pass and reduce-scatters the gradient; P_o is gathered and its gradient reduce-scattered
once a step; reading by the start policy gathers P_l once for each micro-batch and P_o once, writing
once, or P_l once a token. What is known of
tokens, some tens of bytes each, is left out.

**Seconds.** Products cost 2 operations for each parameter and token (the head for tokens of
completions alone), attention 2 w t^2 a layer and row of t tokens; a backward pass twice the
forward, once more with checkpointing. A token is written once weights and cache have been read
from memory: so fast, or as the products, or, where no graph is recorded (sharded), as Python
starts kernels, whichever is slowest. What is sent for a layer overlaps what is computed, so the
slower of both counts; sums of gradients come after it. A hop of a ring takes a while of its own.
The devices' rates are the vendor's, of which a share is assumed to be reached (``Shares``): the
least certain numbers here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

FLOAT, HALF = 4, 2


@dataclass(frozen=True)
class Shape:
    """A decoder with a gated feed-forward part, as Llama's."""

    parameters: float
    layers: int
    width: int
    vocabulary: int
    keys: int
    """Width of the keys of all heads; so are the values."""
    tied: bool = False

    @property
    def outer(self) -> float:
        """Parameters of embedding and head."""
        return self.width * self.vocabulary * (1 if self.tied else 2)

    @property
    def inner(self) -> float:
        """Parameters of all layers."""
        return self.parameters - self.outer

    @property
    def gate(self) -> float:
        """Width of the feed-forward part, which has three matrices."""
        rest = self.inner / self.layers - 2 * self.width**2 - 2 * self.width * self.keys
        return rest / (3 * self.width)

    def adapters(self, rank: int) -> float:
        """Return the parameters of LoRA on every matrix of the layers."""
        ins_and_outs = 4 * self.width + 2 * (self.width + self.keys) + 3 * (self.width + self.gate)
        return rank * self.layers * ins_and_outs


SHAPES = (  # Llama 3.2 1B, Llama 3 8B and 70B: config.json of meta-llama's
    Shape(1.236e9, 16, 2048, 128_256, 512, tied=True),
    Shape(8.03e9, 32, 4096, 128_256, 1024),
    Shape(70.55e9, 80, 8192, 128_256, 1024),
)


def shape_of(parameters: float, **other: float) -> Shape:
    """Return the shape of the known one next in size, of exactly so many parameters."""
    found = min(SHAPES, key=lambda s: max(s.parameters, parameters) / min(s.parameters, parameters))
    return replace(found, parameters=parameters, **{n: x for n, x in other.items() if x})


@dataclass(frozen=True)
class Device:
    """A GPU in nodes of eight; bytes and operations a second as its vendor says."""

    memory: float
    matrix: float
    """bfloat16, dense."""
    bandwidth: float
    inside: float
    """What it sends to others of its node at the same time as it receives as much."""
    between: float
    """What a node sends to others: all its network cards."""


DEVICES = {
    # nvidia.com, H100 and H200 data sheets: SXM, NVLink 900 GB/s both ways together; DGX H100 user
    # guide: eight ConnectX-7 of 400 Gbit/s.
    "h100": Device(80e9, 989e12, 3.35e12, 450e9, 8 * 50e9),
    "h200": Device(141e9, 989e12, 4.8e12, 450e9, 8 * 50e9),
    # A100 80GB data sheet: SXM, NVLink 600 GB/s; DGX A100 user guide: eight HDR of 200 Gbit/s.
    "a100": Device(80e9, 312e12, 2.039e12, 300e9, 8 * 25e9),
}
NODE = 8
HOST = 2e12
"""A node's own memory (DGX H100 user guide)."""
ROOM = 0.9
"""Of the memory: the rest are kernels' own and what the allocator cannot use."""


@dataclass(frozen=True)
class Shares:
    """Assumed, not measured here: how much of its rates a device reaches, and what waits."""

    matrix: float = 0.4
    bandwidth: float = 0.6
    link: float = 0.8
    hop: float = 3e-6
    """Seconds of each hop of a ring."""
    layer: float = 5e-4
    """Seconds in which Python starts a layer's kernels for a token."""


@dataclass(frozen=True)
class Way:
    """What a cycle of an algorithm does beside learning."""

    writes: bool
    reference: bool
    rows: int = 1
    """That a sample has: two in a pair."""


WAYS = {"ppo": Way(True, True), "grpo": Way(True, True), "dpo": Way(False, True, 2),
        "reward": Way(False, False, 2)}


@dataclass(frozen=True)
class Plan:
    """A run's settings."""

    algorithm: str = "ppo"
    batch: int = 512
    prompt: int = 256
    response: int = 512
    epochs: int = 4
    mini_batches: int = 1
    micro_batch_tokens: int = 16_384
    compared: int = 12
    lora: int = 0
    checkpointing: bool = True
    reward: float = 0
    """Parameters of the reward model."""

    @property
    def length(self) -> int:
        """Tokens of a row."""
        return self.prompt + self.response

    @property
    def way(self) -> Way:
        """What a cycle does."""
        return WAYS[self.algorithm]

    @property
    def steps(self) -> int:
        """Of the optimiser in a cycle."""
        return self.epochs * self.mini_batches

    @property
    def at_once(self) -> int:
        """Rows that go through the model at once."""
        return max(1, self.micro_batch_tokens // self.length)

    def micro_batches(self, gpus: int) -> int:
        """Return how many a process has of each optimiser step."""
        return ceil(self.rows(gpus, self.mini_batches) / self.at_once)

    def rows(self, gpus: int, parts: int = 1) -> int:
        """Return the most rows that a process has of a batch in so many parts."""
        return ceil(self.batch * self.way.rows / parts / gpus)


def learns(shape: Shape, plan: Plan) -> tuple[float, float]:
    """Return how many parameters learn within the layers and without."""
    return (shape.adapters(plan.lora), 0) if plan.lora else (shape.inner, shape.outer)


Parts = dict[str, float]


def held(shape: Shape, plan: Plan, gpus: int, sharded: bool) -> Parts:
    """Return the bytes that a process holds throughout."""
    of = gpus if sharded else 1
    inner, outer = learns(shape, plan)
    learning, weights = (inner + outer) / of, FLOAT * shape.parameters / of
    return {
        "Weights": weights + (FLOAT * learning if plan.lora else 0),
        "AdamW": 2 * FLOAT * learning,
        "Start policy": weights if plan.way.reference and not plan.lora else 0,
        "Reward model": HALF * plan.reward / of if plan.way.writes else 0,
    }


def scoring(shape: Shape, plan: Plan, gpus: int, sharded: bool) -> Parts:
    """Return the bytes of a process while the reward model reads, beside what it works with."""
    gathered = HALF * plan.reward if sharded and plan.way.writes else 0
    return held(shape, plan, gpus, sharded) | {"Reward model gathered": gathered}


def beginning(shape: Shape, plan: Plan, gpus: int, sharded: bool) -> Parts:
    """Return the bytes of a process before the run's first step: all of each model that is loaded,
    of which one that is to be shared out is copied a layer at a time."""
    weights = FLOAT * shape.parameters
    return {
        "Start policy": weights,
        "Weights": (FLOAT * shape.adapters(plan.lora) if plan.lora
                    else weights / gpus if sharded else weights),
        "Reward model": HALF * plan.reward if plan.way.writes else 0,
    }


def of_node(shape: Shape, gpus: int) -> float:
    """Return the bytes of a node's own memory: each process loads the model there."""
    return min(gpus, NODE) * FLOAT * shape.parameters


def activations(shape: Shape, plan: Plan) -> float:
    """Return the bytes that a micro-batch leaves for its backward pass."""
    token = 26 * shape.width + 8 * shape.keys + 8 * shape.gate
    tokens = plan.at_once * plan.length
    if plan.checkpointing:
        return tokens * (token + shape.layers * FLOAT * shape.width)
    return tokens * shape.layers * token


def updating(shape: Shape, plan: Plan, gpus: int, sharded: bool) -> Parts:
    """Return the bytes of a process while it learns."""
    inner, outer = learns(shape, plan)
    one_by_one = plan.checkpointing and plan.lora  # autocast keeps only what learns
    return held(shape, plan, gpus, sharded) | {
        "Gradients": FLOAT * (inner / (gpus if sharded else 1) + outer),
        "Embedding and head gathered": FLOAT * shape.outer if sharded else 0,
        "Activations": activations(shape, plan),
        "Weights in bfloat16": HALF * shape.inner / (shape.layers if one_by_one else 1),
        "Layers gathered": 3 * FLOAT * shape.inner / shape.layers if sharded else 0,
        "Logits": 4 * FLOAT * max(64 << 20, 64 * shape.vocabulary),
    }


def gathers_whole(shape: Shape, plan: Plan, gpus: int, device: Device) -> bool:
    """Whether a sharded policy is gathered whole to write by."""
    free = ROOM * device.memory - sum(held(shape, plan, gpus, sharded=True).values())
    return 2 * FLOAT * shape.parameters <= free


def writing(shape: Shape, plan: Plan, gpus: int, device: Device, sharded: bool) -> Parts:
    """Return the bytes of a process while it writes."""
    whole = not sharded or gathers_whole(shape, plan, gpus, device)
    head, layer = shape.width * shape.vocabulary, shape.inner / shape.layers
    rows = max(plan.rows(gpus) if plan.way.writes else 0, ceil(plan.compared / gpus))
    return held(shape, plan, gpus, sharded) | {
        "Gathered": (
            FLOAT * (shape.outer + (shape.inner if whole else 2 * layer))) if sharded else 0,
        "Weights in bfloat16": HALF * (head + (shape.inner if whole else layer)),
        "KV cache": rows * plan.length * shape.layers * 2 * shape.keys * HALF,
        "Logits": 6 * FLOAT * rows * shape.vocabulary,
    }


# -- bytes sent


def sent(parameters: float, gpus: int, times: float = 1) -> float:
    """Return the bytes a process sends where float32 numbers are gathered, or scattered."""
    return times * FLOAT * parameters * (gpus - 1) / gpus


def traffic(shape: Shape, plan: Plan, gpus: int, device: Device, sharded: bool) -> Parts:
    """Return the bytes a process sends in a cycle."""
    inner, outer = learns(shape, plan)
    if not sharded:
        return {"Gradients summed": sent(inner + outer, gpus, 2 * plan.steps)}
    passes = plan.steps * plan.micro_batches(gpus)
    reading = plan.way.reference * ceil(plan.rows(gpus) / plan.at_once)
    tokens = 1 if gathers_whole(shape, plan, gpus, device) else plan.response
    return {
        "Gathered to learn": (
            sent(shape.inner, gpus, 2 * passes) + sent(shape.outer, gpus, plan.steps)),
        "Gradients scattered": sent(inner, gpus, passes) + sent(outer, gpus, plan.steps),
        "Gathered to read": sent(shape.inner, gpus, reading + 1) + sent(shape.outer, gpus, 2),
        "Gathered to write": (plan.way.writes + 1) * (
            sent(shape.inner, gpus, tokens) + sent(shape.outer, gpus)),
    }


# -- seconds


def on_links(sent_: float, collectives: float, gpus: int, device: Device, shares: Shares) -> float:
    """Return the seconds in which a process sends so many bytes in so many collectives."""
    if gpus == 1:
        return 0.0
    rate = device.inside if gpus <= NODE else min(device.inside, device.between)
    return sent_ / (shares.link * rate) + collectives * (gpus - 1) * shares.hop


def operations(shape: Shape, plan: Plan, rows: float) -> float:
    """Return those of a forward pass over rows."""
    head = 2 * shape.width * shape.vocabulary * plan.response
    attention = 2 * shape.layers * shape.width * plan.length**2
    return rows * (2 * shape.inner * plan.length + attention + head)


def writing_seconds(
    shape: Shape, plan: Plan, rows: int, gpus: int, device: Device, shares: Shares, sharded: bool
) -> float:
    """Return the seconds in which each process writes ``rows`` completions."""
    whole = not sharded or gathers_whole(shape, plan, gpus, device)
    head = shape.width * shape.vocabulary
    # Lowered to bfloat16 at every token, weights are read as float32, written and read again.
    weights = (HALF if whole else 8) * shape.inner + HALF * head
    cache = rows * (plan.prompt + plan.response / 2) * shape.layers * 2 * shape.keys * HALF
    step = max(2 * (shape.inner + head) * rows / (shares.matrix * device.matrix),
               (weights + cache) / (shares.bandwidth * device.bandwidth))
    if sharded:
        step = max(step, shape.layers * shares.layer)
    gather = on_links(sent(shape.inner, gpus), shape.layers, gpus, device, shares) if sharded else 0
    if not whole:
        return plan.response * max(step, gather)
    prefill = 2 * shape.inner * plan.prompt * rows / (shares.matrix * device.matrix)
    return gather + prefill + plan.response * step


def seconds(
    shape: Shape, plan: Plan, gpus: int, device: Device, shares: Shares, sharded: bool
) -> dict[str, float]:
    """Return the seconds of a cycle's parts."""
    rate = shares.matrix * device.matrix
    rows, moved = plan.rows(gpus), traffic(shape, plan, gpus, device, sharded)

    def links(*names: str, times: float = 0) -> float:
        return on_links(sum(moved.get(n, 0) for n in names), times * shape.layers if sharded else 0,
                        gpus, device, shares)

    forward = operations(shape, plan, rows)
    reading = ceil(rows / plan.at_once)
    passes = plan.steps * plan.micro_batches(gpus)
    learning = (4 if plan.checkpointing else 3) * plan.epochs * forward / rate
    judging = 2 * plan.reward * plan.length * rows / rate if plan.way.writes else 0
    compared = ceil(plan.compared / gpus)
    whole = {
        "Write": writing_seconds(shape, plan, rows, gpus, device, shares, sharded)
        if plan.way.writes else 0,
        "Score": judging + plan.way.reference * max(
            forward / rate, links("Gathered to read", times=reading)),
        "Update": max(learning, links("Gathered to learn", "Gradients scattered",
                                      times=3 * passes)) + links("Gradients summed"),
        "Compare": writing_seconds(shape, plan, compared, gpus, device, shares, sharded),
    }
    return whole | {"Cycle": sum(whole.values())}


# -- where it ends


def fits(shape: Shape, plan: Plan, gpus: int, device: Device, sharded: bool) -> bool:
    """Whether a process's GPU holds what it takes."""
    return worst(shape, plan, gpus, device, sharded)[1] <= ROOM * device.memory


def worst(
    shape: Shape, plan: Plan, gpus: int, device: Device, sharded: bool
) -> tuple[Mapping[str, float], float]:
    """Return the parts of the phase that takes most, and their sum."""
    parts = max(beginning(shape, plan, gpus, sharded), updating(shape, plan, gpus, sharded),
                scoring(shape, plan, gpus, sharded),
                writing(shape, plan, gpus, device, sharded), key=lambda p: sum(p.values()))
    return parts, sum(parts.values())


def is_sharded(shape: Shape, plan: Plan, gpus: int, device: Device, sharding: str) -> bool:
    """Whether weights are shared out: ``auto`` does so only where they would not fit."""
    if sharding == "auto":
        return gpus > 1 and not fits(shape, plan, gpus, device, sharded=False)
    return sharding == "shard" and gpus > 1


def ends(shape: Shape, plan: Plan, gpus: int, device: Device, shares: Shares, sharded: bool
         ) -> list[str]:
    """Return sentences on where this way to share out work is no good any more."""
    found = []
    parts, most = worst(shape, plan, gpus, device, sharded)
    if not fits(shape, plan, gpus, device, sharded):
        large = sorted(parts, key=lambda n: -parts[n])[:2]
        found.append(f"It does not fit: {most / 1e9:.0f} GB of {device.memory / 1e9:.0f}; the "
                     f"largest parts are {large[0]} ({parts[large[0]] / 1e9:.0f}) and {large[1]} "
                     f"({parts[large[1]] / 1e9:.0f}).")
    if (node := of_node(shape, gpus)) > HOST:
        found.append("The processes of a node load the model in "
                     f"{node / 1e12:.1f} TB of its own memory.")
    if gpus > plan.batch * plan.way.rows:
        found.append(f"{gpus - plan.batch * plan.way.rows} processes have no row of a batch.")
    if sharded and not gathers_whole(shape, plan, gpus, device):
        found.append("Layers are gathered for every token that is written: it takes "
                     "as long as sending the model does.")
    times = seconds(shape, plan, gpus, device, shares, sharded)
    alone = operations(shape, plan, plan.rows(gpus)) * plan.epochs * (
        4 if plan.checkpointing else 3) / (shares.matrix * device.matrix)
    if times["Update"] > 2 * alone:
        found.append("The update waits for what is sent more than it computes.")
    return found
