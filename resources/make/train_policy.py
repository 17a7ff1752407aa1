"""Trains the policy: a small GPT-2 that writes reviews as often bad as good."""

from __future__ import annotations

import math
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as fn
from grammar import stream
from optimiser import Optimiser
from torch import Tensor
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from vocabularies import policy_tokenizer

CONTEXT = 256
BATCH = 48
PEAK_RATE = 5e-3


def build(tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=CONTEXT, n_embd=160, n_layer=4, n_head=5,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id)
    model = GPT2LMHeadModel(config)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
        max_new_tokens=48)
    return model


def encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Token ids of each text, closed by the end-of-sequence token."""
    return [[*ids, tokenizer.eos_token_id] for ids in tokenizer(texts)["input_ids"]]


def pad(rows: list[list[int]], filler: int) -> tuple[Tensor, Tensor]:
    """Right-padded ids and the mask of the real ones."""
    width = max(map(len, rows))
    ids = torch.tensor([row + [filler] * (width - len(row)) for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    return ids, torch.arange(width)[None, :] < lengths[:, None]


def token_losses(model: GPT2LMHeadModel, ids: Tensor, real: Tensor, positions: Tensor) -> Tensor:
    """The cross-entropy of every real token after the first."""
    hidden = model.transformer(
        ids, attention_mask=real.long(), position_ids=positions).last_hidden_state[:, :-1]
    keep = real[:, 1:]
    return fn.cross_entropy(model.lm_head(hidden[keep]), ids[:, 1:][keep], reduction="none")


def held_out_perplexity(model: GPT2LMHeadModel, rows: list[list[int]], filler: int) -> float:
    losses = []
    with torch.no_grad():
        for start in range(0, len(rows), 200):
            ids, real = pad(rows[start : start + 200], filler)
            positions = torch.arange(ids.shape[1]).expand_as(ids)
            losses.append(token_losses(model, ids, real, positions))
    return math.exp(torch.cat(losses).mean().item())


def train(folder: Path, seed: int, steps: int) -> dict[str, float]:
    """Trains and saves the policy; returns what the card says of the training."""
    began = time.monotonic()
    torch.manual_seed(seed)
    rng = random.Random(seed)
    reviews = stream(seed, min(240_000, steps * BATCH))
    texts = [review.text for review in reviews]
    tokenizer = policy_tokenizer(texts[:60_000])
    rows = encode(tokenizer, texts)
    known = set(texts)
    held_out = [r.text for r in stream(seed + 1, 4_000) if r.text not in known]
    model = build(tokenizer)
    optimiser = Optimiser(model, PEAK_RATE, steps)
    order: list[int] = []
    for step in range(steps):
        if len(order) < BATCH:
            order = list(range(len(rows)))
            rng.shuffle(order)
        batch = [rows[order.pop()] for _ in range(BATCH)]
        if step % 4 == 0:  # so that an empty prompt, one end-of-sequence token, works too
            batch = [[tokenizer.bos_token_id, *row] for row in batch]
        ids, real = pad(batch, tokenizer.pad_token_id)
        # Reviews are short; shifting some of them trains the positions that long prompts reach.
        shift = rng.randrange(CONTEXT - ids.shape[1]) if step % 5 == 0 else 0
        positions = (torch.arange(ids.shape[1]) + shift).expand_as(ids)
        with torch.autocast("cpu", torch.bfloat16):
            loss = token_losses(model, ids, real, positions).mean()
        optimiser.step(loss)
        if step % 200 == 0 or step == steps - 1:
            print(f"policy step {step:5d}  loss {loss.item():.3f}  "
                  f"{time.monotonic() - began:.0f} s", flush=True)
    model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    lengths = [len(row) for row in rows[:20_000]]
    return {
        "parameters": model.num_parameters(), "steps": steps, "batch": BATCH,
        "reviews": len(set(texts)), "held_out_reviews": len(held_out),
        "perplexity": held_out_perplexity(
            model, encode(tokenizer, held_out), tokenizer.pad_token_id),
        "vocabulary": len(tokenizer), "review_tokens": sum(lengths) / len(lengths),
        "seconds": time.monotonic() - began,
    }
