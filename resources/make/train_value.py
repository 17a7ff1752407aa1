"""Teaches the policy to foresee the score: the reward as a second target at every token.

The value head of PPO reads the policy's own states, so the final score must be there to be read.
Training on text alone leaves it out: of the variance of the score, a ridge regression on the states
of such a policy finds 2 %. Here the policy goes on learning to write, while a linear head on the
same states learns what score the whole review will get. The head is kept beside the weights; PPO's
value head begins from it.
"""

from __future__ import annotations

import random
import time
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
)

PEAK_RATE = 1e-3
WEIGHT = 0.5
"""Of the score's squared error, in units of its variance, beside the cross-entropy."""


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
    nn.init.zeros_(head.bias)
    parameters = [*model.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(
        parameters, lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    order: list[int] = []
    for step in range(steps):
        if len(order) < BATCH:
            order = list(range(len(rows)))
            rng.shuffle(order)
        chosen = [order.pop() for _ in range(BATCH)]
        batch = [rows[i] for i in chosen]
        if step % 4 == 0:  # as in the training on text
            batch = [[tokenizer.bos_token_id, *row] for row in batch]
        ids, real = pad(batch, tokenizer.pad_token_id)
        shift = rng.randrange(CONTEXT - ids.shape[1]) if step % 5 == 0 else 0
        positions = (torch.arange(ids.shape[1]) + shift).expand_as(ids)
        keep = real[:, 1:]
        states = model.transformer(
            ids, attention_mask=real.long(), position_ids=positions).last_hidden_state[:, :-1][keep]
        text_loss = fn.cross_entropy(model.lm_head(states), ids[:, 1:][keep])
        target = (scores[chosen] - mean)[:, None].expand_as(keep)[keep]
        value_loss = (head(states).squeeze(-1) - target).square().mean() / variance
        optimiser.zero_grad(set_to_none=True)
        (text_loss + WEIGHT * value_loss).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in optimiser.param_groups:
            group["lr"] = PEAK_RATE * schedule(step, steps)
        optimiser.step()
        if step % 200 == 0 or step == steps - 1:
            print(f"value step {step:5d}  text {text_loss.item():.3f}  "
                  f"score {value_loss.item():.3f}  {time.monotonic() - began:.0f} s", flush=True)
    model.eval()
    model.save_pretrained(policy_folder)
    with torch.no_grad():
        head.bias += mean
    known = set(texts)
    held_out = [r.text for r in stream(seed + 1, 4_000) if r.text not in known]
    explained = explained_variance(model, head, encode(tokenizer, held_out), score(
        reward, reward_tokenizer, held_out), tokenizer.pad_token_id)
    return head, {
        "value_steps": steps, "value_reviews": len(known), "held_out_reviews": len(held_out),
        "perplexity": held_out_perplexity(
            model, encode(tokenizer, held_out), tokenizer.pad_token_id),
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
