"""A policy that knows random walks learns the shortest way, for which the optimum is known."""

import pytest
import torch
from helpers.random_walks import GOAL, LONGEST, NODES, Graph, make_ppo, pretrained

from workbench.ppo.hyperparameters import parse

pytestmark = pytest.mark.slow
SETTINGS = {
    "batch_size": 160, "num_mini_batches": 4, "response_length": LONGEST - 1,
    "learning_rate": 2e-3, "kl_coef": 0.0, "missing_eos_penalty": 0.0, "keep_tokens": 0,
    "comparison_prompts": NODES - 1}


def letters(*nodes):
    return "".join(chr(ord("a") + node) for node in nodes)


def test_optimality_is_1_for_a_shortest_walk_alone():
    graph = Graph(0)
    for start in range(1, NODES):
        way = [start]
        while way[-1] != GOAL:
            way.append(min(graph.ways[way[-1]].tolist(), key=graph.distance.__getitem__))
        assert len(way) - 1 == graph.distance[start]
        assert graph.optimality(letters(*way)) == 1.0
        assert graph.optimality(letters(*way[:-1])) == 0.0
        stranger = next(n for n in range(NODES) if n not in graph.ways[start])
        assert graph.optimality(letters(start, stranger, GOAL)) == 0.0
    walks = graph.walks(200, torch.Generator().manual_seed(0)).tolist()
    cut = [w[: w.index(GOAL) + 1] if GOAL in w else w for w in walks]
    found = [graph.optimality(letters(*w)) for w in cut]
    assert all(0 <= x <= 1 for x in found)
    for walk, optimality in zip(cut, found, strict=True):
        if walk[-1] == GOAL:
            longer = len(walk) - 1 - graph.distance[walk[0]]
            assert optimality == pytest.approx(1 - longer / (LONGEST - graph.distance[walk[0]]))


def test_ppo_finds_the_shortest_way(unattended):
    graph = Graph(0)
    ppo, prompts = make_ppo(graph, pretrained(graph, seed=0))
    hp = parse({"num_cycles": 8, **SETTINGS})
    ppo.begin(prompts, hp)
    results = [ppo.run_cycle(c, hp, range(len(prompts)), unattended) for c in range(1, 9)]
    walked = [r.metrics["objective/scores"] for r in results]
    assert walked[0] < 0.5
    assert walked[-1] > 0.9
    # From every node, always with the same random numbers.
    assert sum(w.score for w in results[-1].comparison) / len(prompts) > 0.9
