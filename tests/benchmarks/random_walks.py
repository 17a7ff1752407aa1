"""How near PPO comes to the shortest walks on a graph, from a policy of random ones.

``python tests/benchmarks/random_walks.py [--cycles N] [--seeds N]`` prints a table: mean
optimality (1: every walk is a shortest one) of the first and the last cycle, and of the compared
walks from every node at the end. The task is in tests/helpers/random_walks.py.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from helpers.random_walks import LONGEST, NODES, Graph, make_ppo, pretrained

from workbench.models.control import Unattended
from workbench.ppo.hyperparameters import parse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| seed | first | last | compared | CPU s, pretraining | CPU s, PPO |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for seed in range(options.seeds):
        began = time.process_time()
        graph = Graph(seed)
        ppo, prompts = make_ppo(graph, pretrained(graph, seed))
        ready = time.process_time()
        hp = parse({
            "num_cycles": options.cycles, "seed": seed, "batch_size": 160, "num_mini_batches": 4,
            "response_length": LONGEST - 1, "learning_rate": 2e-3, "kl_coef": 0.0,
            "entropy_coef": 0.0,
            "missing_eos_penalty": 0.0, "keep_tokens": 0, "comparison_prompts": NODES - 1})
        ppo.begin(prompts, hp)
        results = [ppo.run_cycle(c, hp, range(len(prompts)), Unattended())
                   for c in range(1, hp.num_cycles + 1)]
        first, last = (r.metrics["objective/scores"] for r in (results[0], results[-1]))
        compared = sum(w.score for w in results[-1].comparison) / len(prompts)
        print(f"| {seed} | {first:.2f} | {last:.3f} | {compared:.3f} | {ready - began:.1f} "
              f"| {time.process_time() - ready:.1f} |", flush=True)


if __name__ == "__main__":
    main()
