"""Random walks on a small directed graph: a task whose optimum is known.

After the example of Decision Transformer (Chen et al. 2021), which trlX made a test of RLHF: a
policy that has seen only random walks is to find the shortest way to a goal. A walk is a word of
one letter a node; it ends with the goal's letter.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import torch
import transformers as tf
from helpers.models import CPU, TextReward

from workbench.models.policy import Policy
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.ppo.cycle import PPOTrainer

NODES, GOAL, LONGEST = 21, 0, 10


class Graph:
    """21 nodes with three ways out each, of which the goal can be reached from everywhere."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        while True:
            self.ways = [torch.randperm(NODES - 1, generator=generator)[:3] for _ in range(NODES)]
            # No way leads from a node to itself.
            self.ways = [w + (w >= node) for node, w in enumerate(self.ways)]
            self.distance = self._distances()
            if len(self.distance) == NODES and max(self.distance.values()) < LONGEST:
                return

    def _distances(self) -> dict[int, int]:
        """Return the steps from each node to the goal, by breadth-first search from the goal."""
        found, queue = {GOAL: 0}, deque([GOAL])
        while queue:
            node = queue.popleft()
            for before in range(NODES):
                if before not in found and node in self.ways[before]:
                    found[before] = found[node] + 1
                    queue.append(before)
        return found

    def walks(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Return (count, LONGEST) nodes of random walks; one that arrives stays at the goal."""
        ways = torch.stack(self.ways)
        nodes = [1 + torch.randint(NODES - 1, (count,), generator=generator)]
        for _ in range(LONGEST - 1):
            choice = torch.randint(3, (count,), generator=generator)
            onward = ways[nodes[-1], choice]
            nodes.append(torch.where(nodes[-1] == GOAL, GOAL, onward))
        return torch.stack(nodes, dim=1)

    def optimality(self, walk: str) -> float:
        """Return 1 for a shortest walk, 0 for one that breaks off, jumps or takes all its time.

        Between them it falls linearly with the steps taken.
        """
        nodes = [ord(letter) - ord("a") for letter in walk]
        for here, there in pairwise(nodes):
            if there not in self.ways[here]:
                return 0.0
        if nodes[-1] != GOAL:
            return 0.0
        return (LONGEST - (len(nodes) - 1)) / (LONGEST - self.distance[nodes[0]])


class Letters:
    """One letter a node; the ids are the nodes."""

    bos_token_id = None
    chat_template = None

    def __call__(self, texts: list[str], **_: object) -> dict[str, list[list[int]]]:
        return {"input_ids": [[ord(letter) - ord("a") for letter in text] for text in texts]}

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return "".join(chr(ord("a") + i) for i in ids)


def pretrained(graph: Graph, seed: int, steps: int = 200) -> Policy:
    """Return a GPT-2 of two narrow layers that has learned to walk at random."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = tf.GPT2LMHeadModel(tf.GPT2Config(
        vocab_size=NODES, n_positions=LONGEST, n_embd=32, n_layer=2, n_head=2,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=None, eos_token_id=GOAL))
    model.loss_type = "ForCausalLM"
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        walks = graph.walks(64, generator)
        # What comes after the goal is not part of the walk.
        labels = walks.masked_fill((walks == GOAL).cumsum(dim=1) > 1, -100)
        optimizer.zero_grad()
        model(input_ids=walks, labels=labels).loss.backward()
        optimizer.step()
    return Policy(model, CPU)


def letters_tokenizer() -> PolicyTokenizer:
    """Return what reads walks."""
    return PolicyTokenizer(Letters(), (GOAL,), context_length=LONGEST, use_chat_template=False)


def make_ppo(graph: Graph, policy: Policy) -> tuple[PPOTrainer, list[str]]:
    """Return PPO over walks from every node but the goal, and those prompts."""
    prompts = [chr(ord("a") + node) for node in range(NODES) if node != GOAL]
    return PPOTrainer(policy, walks_reward(graph), letters_tokenizer()), prompts


def walks_reward(graph: Graph) -> TextReward:
    """Return the reward that is a walk's optimality."""
    return _Walks(graph)


class _Walks(TextReward):
    def __init__(self, graph: Graph) -> None:
        super().__init__(graph.optimality)

    def score(self, exchanges, **_):
        return torch.tensor([self.function(e.joined) for e in exchanges])
