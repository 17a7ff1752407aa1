"""Teaches the policy to foresee the score: the reward as a second target at every token.

The value head of PPO reads the policy's own states, so the final score must be there to be read.
Training on text alone leaves it out: of the variance of the score, a ridge regression on the states
of such a policy finds 2 %. Here the policy goes on learning to write, while a linear head on the
same states learns what score the whole review will get.

What a policy writes changes while it is trained for the score, and what is good or bad about it
then is not what it was in the beginning. A critic that has seen reviews alone does not know that
text: after ten cycles of PPO it foresees little more. So two more rounds show it what tuned
policies write, of several PPO runs that begin with the policy and the head of the round before;
the policy learns to write from reviews alone, as before. The head is kept beside the weights;
PPO's value head begins from it.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as fn
from grammar import stream
from optimiser import schedule
from torch import Tensor, nn
from train_policy import BATCH, CONTEXT, encode, held_out_perplexity, pad
from train_reward import score
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from workbench.assets import DEFAULT_PROMPTS
from workbench.feedback.loading import load_reward
from workbench.models.control import Unattended
from workbench.models.device import find_placement
from workbench.models.policy import Policy
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.models.randomness import Stream, uniforms
from workbench.models.sampling import sample
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.value_head import ValueHead
from workbench.store.prompt_files import read_prompts

PEAK_RATE = 1e-3
ROUNDS = ((6, 1000), (10, 2400), (8, 1600))
"""PPO runs, and steps on what they wrote."""
FIRST_SEED = 1000
PRICES = (0.04, 0.0, 0.1)
"""KL coefficients of the PPO runs, in turn: policies that go far and such that stay near."""
RATES = (2.5e-4, 2.5e-4, 1.5e-4, 4e-4)
"""Learning rates of the PPO runs, in turn."""
LOOK_EVERY, LOOKS = 3, 512
"""So many more completions are written after every third cycle of a run."""
OWN_LOOKS, RIDGE = 8, 1e-4
"""So many times that number, of the policy as it is kept, the head is fitted to in the end; and
what is added to the diagonal of its squares, as a share of their mean."""
WEIGHT, TUNED_WEIGHT = 0.5, 1.0
"""Of the score's squared error, in units of its variance, beside the cross-entropy; and where a
step has texts of tuned policies."""


@dataclass(frozen=True)
class Rows:
    """Token ids of texts, each closed by the end-of-sequence token, and (n,) scores."""

    ids: list[list[int]]
    scores: Tensor


def train(
    policy_folder: Path, reward_folder: Path, seed: int, steps: int
) -> tuple[nn.Linear, dict[str, object]]:
    """Trains the policy in its folder further; returns its value head, and figures."""
    began = time.monotonic()
    torch.manual_seed(seed)
    rng = random.Random(seed + 1)
    model = AutoModelForCausalLM.from_pretrained(policy_folder)
    tokenizer = AutoTokenizer.from_pretrained(policy_folder)
    texts = [review.text for review in stream(seed, min(240_000, steps * BATCH))]
    reward = AutoModelForSequenceClassification.from_pretrained(reward_folder).eval()
    reward_tokenizer = AutoTokenizer.from_pretrained(reward_folder)
    scores = score(reward, reward_tokenizer, texts)
    mean, variance = scores.mean(), scores.var()
    rows = encode(tokenizer, texts)
    head = nn.Linear(model.config.n_embd, 1)
    nn.init.zeros_(head.weight)
    with torch.no_grad():
        head.bias.fill_(mean)
    reviews = Rows(rows, scores)
    learn(model, tokenizer, head, reviews, None, rng, steps, PEAK_RATE, variance)
    runs, tuned_steps, tuned = 0, 0, Rows([], torch.zeros(0))
    for more_runs, more_steps in ROUNDS:
        more_runs, more_steps = (max(1, n * steps // 2400) for n in (more_runs, more_steps))
        seeds = range(FIRST_SEED + runs, FIRST_SEED + runs + more_runs)
        more = written_by_tuned(model, tokenizer, head, reward_folder, seeds)
        tuned = Rows(tuned.ids + more.ids, torch.cat([tuned.scores, more.scores]))
        learn(model, tokenizer, head, reviews, tuned, rng, more_steps, PEAK_RATE / 2, variance)
        runs, tuned_steps = runs + more_runs, tuned_steps + more_steps
    model.eval()
    fit_to_own(model, tokenizer, head, reward_folder, seed)
    model.save_pretrained(policy_folder)
    known = set(texts)
    held_out = [r.text for r in stream(seed + 1, 4_000) if r.text not in known]
    explained = explained_variance(model, head, encode(tokenizer, held_out), score(
        reward, reward_tokenizer, held_out), tokenizer.pad_token_id)
    return head, {
        "value_steps": steps, "value_reviews": len(known), "held_out_reviews": len(held_out),
        "perplexity": held_out_perplexity(
            model, encode(tokenizer, held_out), tokenizer.pad_token_id),
        "tuned_texts": len(tuned.ids), "tuned_runs": runs, "tuned_steps": tuned_steps,
        "explained_variance": explained[0], "by_quarter": explained[1:],
        "value_seconds": time.monotonic() - began,
    }


@torch.no_grad()
def explained_variance(
    model: GPT2LMHeadModel, head: nn.Linear, rows: list[list[int]], scores: Tensor, filler: int
) -> list[float]:
    """`1 - Var(score - V) / Var(score)` over all tokens, then over each quarter of the texts."""
    found, wanted, quarters = [], [], []
    for start in range(0, len(rows), 200):
        ids, real = pad(rows[start : start + 200], filler)
        keep = real[:, 1:]
        found.append(head(model.transformer(ids).last_hidden_state[:, :-1][keep]).squeeze(-1))
        wanted.append(scores[start : start + 200, None].expand_as(keep)[keep])
        place = torch.arange(keep.shape[1]) / keep.sum(dim=1, keepdim=True)
        quarters.append((4 * place)[keep].long())
    values, targets, quarter = (torch.cat(parts) for parts in (found, wanted, quarters))
    chosen = [torch.ones_like(quarter, dtype=torch.bool), *(quarter == q for q in range(4))]
    return [round((1 - (targets - values)[rows].var() / targets[rows].var()).item(), 3)
            for rows in chosen]


def learn(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, head: nn.Linear, reviews: Rows,
    tuned: Rows | None, rng: random.Random, steps: int, rate: float, variance: Tensor,
) -> None:
    """Steps on reviews, for text and score; and on as many tuned texts, for the score alone."""
    began = time.monotonic()
    parameters = [*model.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(
        parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    written = BATCH if tuned is None else BATCH * 2 // 3
    weight = WEIGHT if tuned is None else TUNED_WEIGHT
    orders: tuple[list[int], list[int]] = ([], [])

    def drawn(rows: Rows, order: list[int], count: int) -> list[int]:
        if len(order) < count:
            order[:] = range(len(rows.ids))
            rng.shuffle(order)
        return [order.pop() for _ in range(count)]

    for step in range(steps):
        chosen = drawn(reviews, orders[0], written)
        batch, wanted = [reviews.ids[i] for i in chosen], reviews.scores[chosen]
        if tuned is not None:
            others = drawn(tuned, orders[1], written)
            batch += [tuned.ids[i] for i in others]
            wanted = torch.cat([wanted, tuned.scores[others]])
        if step % 4 == 0:  # as in the training on text
            batch = [[tokenizer.bos_token_id, *row] for row in batch]
        ids, real = pad(batch, tokenizer.pad_token_id)
        shift = rng.randrange(CONTEXT - ids.shape[1]) if step % 5 == 0 else 0
        positions = (torch.arange(ids.shape[1]) + shift).expand_as(ids)
        keep = real[:, 1:]
        states = model.transformer(
            ids, attention_mask=real.long(), position_ids=positions).last_hidden_state[:, :-1]
        to_write = keep[:written]
        text_loss = fn.cross_entropy(
            model.lm_head(states[:written][to_write]), ids[:written, 1:][to_write])
        target = wanted[:, None].expand_as(keep)[keep]
        value_loss = (head(states[keep]).squeeze(-1) - target).square().mean() / variance
        optimiser.zero_grad(set_to_none=True)
        (text_loss + weight * value_loss).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in optimiser.param_groups:
            group["lr"] = rate * schedule(step, steps)
        optimiser.step()
        if step % 200 == 0 or step == steps - 1:
            print(f"value step {step:5d}  text {text_loss.item():.3f}  "
                  f"score {value_loss.item():.3f}  {time.monotonic() - began:.0f} s", flush=True)


@torch.no_grad()
def fit_to_own(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, head: nn.Linear,
    reward_folder: Path, seed: int,
) -> None:
    """Fits the head, by least squares, to what the policy itself writes.

    Early in a text nothing tells which policy writes it, so among texts of tuned policies the head
    has learned to expect their score there.
    """
    ppo, hp = begin(model, tokenizer, head, reward_folder, Hyperparameters(seed=seed))
    width = head.in_features + 1
    squares, products = (torch.zeros(width, n, dtype=torch.float64) for n in (width, 1))
    for draw in range(OWN_LOOKS):
        own = more_written(ppo, hp, draw)
        ids, real = pad(own.ids, tokenizer.pad_token_id)
        keep = real[:, 1:]
        states = model.transformer(ids).last_hidden_state[:, :-1][keep].double()
        states = torch.cat([states, torch.ones(len(states), 1)], dim=1)
        squares += states.T @ states
        products += states.T @ own.scores[:, None].expand_as(keep)[keep][:, None].double()
    solution = torch.linalg.solve(squares + RIDGE * squares.diagonal().mean() * torch.eye(width),
                                  products).squeeze(1)
    head.weight.copy_(solution[None, :-1])
    head.bias.copy_(solution[-1:])


def begin(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, head: nn.Linear,
    reward_folder: Path, hp: Hyperparameters,
) -> tuple[PPOTrainer, Hyperparameters]:
    """A PPO run of a copy of the policy, before its first cycle, and its settings."""
    placement = find_placement("float32")
    ppo = PPOTrainer(Policy(copy.deepcopy(model).eval(), placement),
              load_reward(str(reward_folder), placement, lambda *_: None).reward,
              PolicyTokenizer(tokenizer, [tokenizer.eos_token_id], context_length=CONTEXT,
                     use_chat_template=False),
              ValueHead(head.weight.detach(), head.bias.detach()))
    hp = hp.with_changes({"keep_tokens": 0, "comparison_prompts": 1})
    ppo.begin([prompt.text for prompt in read_prompts(DEFAULT_PROMPTS).prompts], hp)
    return ppo, hp


def written_by_tuned(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, head: nn.Linear,
    reward_folder: Path, seeds: Sequence[int],
) -> Rows:
    """What the policies of PPO runs write on their way, and its scores."""
    texts: list[list[int]] = []
    scores: list[float] = []
    for seed in seeds:
        ppo, hp = begin(model, tokenizer, head, reward_folder, Hyperparameters(
            seed=seed, kl_coef=PRICES[seed % len(PRICES)], learning_rate=RATES[seed % len(RATES)]))
        for cycle in range(1, hp.num_cycles + 1):
            for each in ppo.run_cycle(cycle, hp, [0], Unattended()).rollout:
                ids = tokenizer(ppo.prompts[each.prompt].text + each.text)["input_ids"]
                texts.append([*ids, tokenizer.eos_token_id])
                scores.append(each.score)
            if cycle % LOOK_EVERY == 0:
                more = more_written(ppo, hp, cycle)
                texts += more.ids
                scores += more.scores.tolist()
        print(f"tuned run {seed}: {sum(scores[-LOOKS:]) / LOOKS:+.2f}", flush=True)
    return Rows(texts, torch.tensor(scores))


def more_written(ppo: PPOTrainer, hp: Hyperparameters, cycle: int) -> Rows:
    """More completions of the policy as it is after a cycle, which the run does not learn from."""
    prompt_ids = ppo.policy_tokenizer.encode(ppo.prompts, hp.response_length)
    rows = [i % len(prompt_ids) for i in range(LOOKS)]
    drawn = sample(
        ppo.policy, [prompt_ids[p] for p in rows],
        uniforms(hp.seed, Stream.TRYING, cycle, LOOKS, hp.response_length),
        temperature=hp.temperature, eos_ids=ppo.policy_tokenizer.eos_ids, control=Unattended())
    responses = [drawn.response(r) for r in range(LOOKS)]
    scores = ppo.reward.score(
        [ppo.policy_tokenizer.exchange(ppo.prompts[p], prompt_ids[p], response)
         for p, response in zip(rows, responses, strict=True)], control=Unattended())
    return Rows([[*prompt_ids[p], *response] for p, response in zip(rows, responses, strict=True)],
                scores.float())
