"""How well the value head foresees the reward: ``python tests/benchmarks/value_head.py``.

Trains the bundled policy from a fresh start for each seed and stops after chosen cycles to look.
No estimate can explain more of the final score than is settled by the text so far. How much that is
is measured by continuing prefixes: ``--prefixes`` completions of every prompt are cut in the middle
of each quarter and continued ``--continuations`` times, with new random numbers. The mean of a
prefix's scores is its true value; the share of the variance that lies between prefixes is the bound
for the explained variance there. The value head's own explained variance is measured on other
completions, at every token of each quarter.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

os.environ.setdefault("GOMP_SPINCOUNT", "2000")

import torch
from torch import Tensor

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD, DEFAULT_PROMPTS
from workbench.feedback.loading import load_reward
from workbench.models.control import Unattended
from workbench.models.device import find_placement
from workbench.models.forward import read_values
from workbench.models.loading import load_policy
from workbench.models.randomness import Stream, uniforms
from workbench.models.sampling import Completions, sample
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.value_head import find_value_head
from workbench.store.prompt_files import read_prompts

QUARTERS = 4
AT_ONCE = 512
"""Completions sampled side by side."""
UNATTENDED = Unattended()


@dataclass(frozen=True)
class Foresight:
    """What can be foreseen and what is, over the whole text and in each quarter of it."""

    bound: list[float]
    explained: list[float]
    error: list[float]
    """Mean of |V - true value| in the middle of each quarter."""

    def __str__(self) -> str:
        def numbers(name: str, values: list[float]) -> str:
            return f"{name} {values[0]:+.2f} (" + " ".join(f"{v:+.2f}" for v in values[1:]) + ")"

        share = self.explained[0] / self.bound[0]
        return (f"{numbers('bound', self.bound)}  {numbers('explained', self.explained)}  "
                f"{share:4.0%} of the bound  |V - true| "
                + " ".join(f"{e:.2f}" for e in self.error))


class Looker:
    """PlotOptions at a policy between two cycles, with random numbers of its own."""

    def __init__(self, ppo: PPOTrainer, hp: Hyperparameters, seed: int) -> None:
        self.ppo, self.hp, self.seed = ppo, hp, seed
        self.prompt_ids = ppo.policy_tokenizer.encode(ppo.prompts, hp.response_length)
        self.draws = 0

    def look(self, completions: int, prefixes: int, continuations: int) -> Foresight:
        bound, error = self._bound(prefixes, continuations)
        return Foresight(bound, self._explained(completions), error)

    def _sample(self, starts: Sequence[Sequence[int]]) -> Completions:
        self.draws += 1
        noise = uniforms(self.seed, Stream.TRYING, self.draws, len(starts),
                         self.hp.response_length)
        drawn = sample(self.ppo.policy, starts, noise, temperature=self.hp.temperature,
                       eos_ids=self.ppo.policy_tokenizer.eos_ids, control=UNATTENDED)
        if self.ppo.policy.value_trunk is None:
            return drawn
        values = read_values(self.ppo.policy, drawn, max_tokens=self.hp.micro_batch_tokens,
                             control=UNATTENDED)
        return replace(drawn, values=values)

    def _score(self, prompts: Sequence[int], responses: Sequence[list[int]], ended: Tensor
               ) -> Tensor:
        exchanges = [
            self.ppo.policy_tokenizer.exchange(self.ppo.prompts[p], self.prompt_ids[p], response)
            for p, response in zip(prompts, responses, strict=True)]
        scores = self.ppo.reward.score(exchanges, control=UNATTENDED).float().cpu()
        return scores - self.hp.missing_eos_penalty * (~ended.cpu()).float()

    def _explained(self, count: int) -> list[float]:
        values, targets, quarters = [], [], []
        for first in range(0, count, AT_ONCE):
            prompts = [i % len(self.prompt_ids) for i in range(first, min(count, first + AT_ONCE))]
            drawn = self._sample([self.prompt_ids[p] for p in prompts])
            scores = self._score(
                prompts, [drawn.response(r) for r in range(len(prompts))], drawn.ended)
            mask = drawn.mask.cpu()
            place = torch.arange(mask.shape[1]) / mask.sum(dim=1, keepdim=True)
            values.append(drawn.values.cpu()[mask])
            targets.append(scores[:, None].expand_as(mask)[mask])
            quarters.append((QUARTERS * place)[mask].long())
        value, target, quarter = (torch.cat(parts) for parts in (values, targets, quarters))
        chosen = [quarter >= 0, *(quarter == q for q in range(QUARTERS))]
        return [(1 - (target - value)[at].var() / target[at].var()).item() for at in chosen]

    def _bound(self, prefixes: int, continuations: int) -> tuple[list[float], list[float]]:
        prompts = list(range(len(self.prompt_ids))) * prefixes
        rows = range(len(prompts))
        drawn = self._sample([self.prompt_ids[p] for p in prompts])
        responses = [drawn.response(r) for r in rows]
        between, within, error = [], [], []
        for quarter in range(QUARTERS):
            cuts = [int((quarter + 0.5) / QUARTERS * len(r)) for r in responses]
            again = [r for r in rows for _ in range(continuations)]
            scores = []
            for first in range(0, len(again), AT_ONCE):
                part = again[first : first + AT_ONCE]
                more = self._sample(
                    [[*self.prompt_ids[prompts[r]], *responses[r][: cuts[r]]] for r in part])
                scores.append(self._score(
                    [prompts[r] for r in part],
                    [responses[r][: cuts[r]] + more.response(i) for i, r in enumerate(part)],
                    more.ended))
            table = torch.cat(scores).reshape(len(prompts), continuations)
            true = table.mean(dim=1)
            within.append(table.var(dim=1).mean().item())
            between.append(true.var().item() - within[-1] / continuations)
            values = torch.stack([drawn.values[r, cuts[r]] for r in rows]).cpu()
            error.append((values - true).abs().mean().item())
        whole = sum(between) / (sum(between) + sum(within))
        return [whole, *(b / (b + w) for b, w in zip(between, within, strict=True))], error


def train(seed: int, options: argparse.Namespace, hp: Hyperparameters) -> None:
    """Train once and print what was seen."""
    placement = find_placement(hp.precision)
    policy = load_policy(options.policy, placement, lambda *_: None)
    reward = load_reward(options.reward, placement, lambda *_: None)
    ppo = PPOTrainer(policy.policy, reward.reward, policy.policy_tokenizer,
              find_value_head(policy.folder, reward.reward))
    prompts = [prompt.text for prompt in read_prompts(DEFAULT_PROMPTS).prompts]
    ppo.begin(prompts, hp)
    if hp.value_pretraining_episodes:
        held_out = ppo.pretrain_values(hp, UNATTENDED)
        print(f"seed {seed}: pretrained, explains {held_out:+.2f} of the episodes held out",
              flush=True)
    looker = Looker(ppo, hp, 1000 + seed)
    looks = options.completions, options.prefixes, options.continuations
    metrics = []
    for cycle in range(min(options.cycles, hp.num_cycles) + 1):
        if cycle:
            metrics.append(ppo.run_cycle(cycle, hp, range(12), UNATTENDED).metrics)
        if cycle in options.at:
            print(f"seed {seed} after cycle {cycle:2d}: "
                  f"{looker.look(*looks)}", flush=True)
    if len(metrics) < hp.num_cycles:
        return
    rewards = [m["objective/scores"] for m in metrics]
    explained = [m["val/explained_variance"] for m in metrics[4:]]
    lift = next((m for m, r in zip(metrics, rewards, strict=True) if r - rewards[0] >= 1.5), None)
    last = metrics[-1]
    print(f"seed {seed}: reward {rewards[0]:+.2f} to {rewards[-1]:+.2f}, KL "
          f"{last['objective/kl']:.1f}, distinct {last['objective/distinct']:.0%}, explained "
          f"variance {sum(explained) / len(explained):.2f} on average from cycle 5, "
          + ("lift of 1.5 not reached" if lift is None else
             f"lift of 1.5 first at KL {lift['objective/kl']:.1f}"), flush=True)


def main() -> None:
    """Print a line a look and a line a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--at", type=int, nargs="*", default=[0, 5, 10, 20])
    parser.add_argument("--cycles", type=int, default=1_000_000, help="stop after so many")
    parser.add_argument("--completions", type=int, default=1024)
    parser.add_argument("--prefixes", type=int, default=4, help="of each prompt and quarter")
    parser.add_argument("--continuations", type=int, default=8)
    parser.add_argument("--policy", default=str(BUNDLED_POLICY))
    parser.add_argument("--reward", default=str(BUNDLED_REWARD))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    for seed in options.seeds:
        changes = dict(change.split("=", 1) for change in options.set)
        train(seed, options, Hyperparameters(seed=seed).with_changes(changes))


if __name__ == "__main__":
    main()
