"""What a run on many GPUs takes, on paper: memory, bytes sent and seconds of a cycle.

    python tests/benchmarks/scaling.py --parameters 8e9 --gpus 8 [--sharding auto|replicate|shard]
    python tests/benchmarks/scaling.py --table          # the tables of SCALING.md

What the numbers are made of stands at the head of gpu_costs.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace

from gpu_costs import (
    DEVICES,
    SHAPES,
    WAYS,
    Device,
    Plan,
    Shape,
    Shares,
    beginning,
    ends,
    fits,
    held,
    is_sharded,
    scoring,
    seconds,
    shape_of,
    traffic,
    updating,
    writing,
)


def described(
    shape: Shape, plan: Plan, gpus: int, device: Device, shares: Shares, sharding: str
) -> str:
    """Return all of it for one run."""
    sharded = is_sharded(shape, plan, gpus, device, sharding)
    lines = [f"{shape.parameters / 1e9:.3g} billion parameters ({shape.layers} layers, width "
             f"{shape.width}, vocabulary {shape.vocabulary:,}), {gpus} GPUs, "
             f"{'sharded' if sharded else 'replicated'}"]
    for name, parts in (("begins", beginning(shape, plan, gpus, sharded)),
                        ("scores", scoring(shape, plan, gpus, sharded)),
                        ("learns", updating(shape, plan, gpus, sharded)),
                        ("writes", writing(shape, plan, gpus, device, sharded))):
        lines.append(f"\nGB of a process while it {name}: {sum(parts.values()) / 1e9:.1f}")
        lines += [f"  {part:28}{size / 1e9:10.2f}" for part, size in parts.items() if size]
    lines.append("\nGB that a process sends in a cycle")
    lines += [f"  {part:28}{size / 1e9:10.2f}" for part, size in
              traffic(shape, plan, gpus, device, sharded).items() if size]
    lines.append("\nSeconds of a cycle")
    lines += [f"  {part:28}{time:10.2f}" for part, time in
              seconds(shape, plan, gpus, device, shares, sharded).items()]
    return "\n".join([*lines, "", *ends(shape, plan, gpus, device, shares, sharded)])


def with_reward(plan: Plan, shape: Shape) -> Plan:
    """Return the plan with the size of its reward model, where that was not said."""
    return plan if plan.reward is not None else replace(plan, reward=min(shape.parameters, 8e9))


def table(plans: Mapping[str, Plan], device: Device, shares: Shares, sharding: str) -> str:
    """Return the table of models of 1, 8 and 70 billion parameters on 1, 8, 64 and 512 GPUs."""
    lines = ["| parameters | GPUs | | held GB | begins GB | learns GB | writes GB | fits | "
             "sent GB | write s | score s | update s | compare s | cycle s |",
             "|---|---:|---|" + "---:|" * 4 + "---|" + "---:|" * 6]
    for shape in SHAPES:
        for gpus in (1, 8, 64, 512):
            for name, plan in plans.items():
                plan = with_reward(plan, shape)
                shared = is_sharded(shape, plan, gpus, device, sharding)
                sizes = [sum(parts.values()) / 1e9 for parts in (
                    held(shape, plan, gpus, shared), beginning(shape, plan, gpus, shared),
                    updating(shape, plan, gpus, shared),
                    writing(shape, plan, gpus, device, shared))]
                good = fits(shape, plan, gpus, device, shared)
                moved = sum(traffic(shape, plan, gpus, device, shared).values()) / 1e9
                times = seconds(shape, plan, gpus, device, shares, shared).values()
                how = f"{name}{'sharded' if shared else 'replicated'}"
                lines.append(
                    f"| {int(shape.parameters / 1e9)} B | {gpus} | {how} | "
                    + " | ".join(f"{size:.0f}" for size in sizes)
                    + f" | {'yes' if good else 'no'} | {moved:,.0f} | "
                    + " | ".join(f"{t:,.1f}" if good else "–" for t in times) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--parameters", type=float, default=8e9)
    for name in ("layers", "width", "vocabulary", "keys"):
        add(f"--{name}", type=int, default=0, help="default: of the Llama next in size")
    add("--gpus", type=int, default=8)
    add("--device", choices=DEVICES, default="h100")
    add("--sharding", choices=("auto", "replicate", "shard"), default="auto")
    add("--algorithm", choices=WAYS, default="ppo")
    plan, shares = Plan(), Shares()
    for name in ("batch", "prompt", "response", "epochs", "mini_batches", "micro_batch_tokens",
                 "compared", "lora"):
        add(f"--{name.replace('_', '-')}", type=int, default=getattr(plan, name))
    add("--checkpointing", action=argparse.BooleanOptionalAction, default=plan.checkpointing)
    add("--reward", type=float, metavar="PARAMETERS",
        help="of the reward model (default: as the policy, at most 8e9)")
    for name in ("matrix", "bandwidth", "link", "hop", "layer"):
        add(f"--share-{name}", type=float, default=getattr(shares, name),
            help="what is assumed of the device")
    add("--table", action="store_true")
    options = parser.parse_args()
    known = vars(options)
    device = DEVICES[options.device]
    shares = Shares(*(known[f"share_{name}"] for name in (
        "matrix", "bandwidth", "link", "hop", "layer")))
    plan = Plan(**{name: known[name] for name in Plan.__annotations__})
    if options.table:
        lora = replace(plan, lora=plan.lora or 16)
        print(table({"": plan, "LoRA, ": lora}, device, shares, options.sharding))
        return
    shape = shape_of(options.parameters, **{
        name: known[name] for name in ("layers", "width", "vocabulary", "keys")})
    plan = with_reward(plan, shape)
    print(described(shape, plan, options.gpus, device, shares, options.sharding))


if __name__ == "__main__":
    main()
