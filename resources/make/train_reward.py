"""Trains the reward model: a small encoder that says how good a finished review sounds.

Raters are simulated: between texts of grades a and b, a rater prefers the first with probability
sigmoid(SHARPNESS * (a - b)). The loss is Bradley-Terry, -log sigmoid(r_chosen - r_rejected),
in expectation over raters, over all pairs in a batch. A rater who can hardly tell two texts apart
keeps the score proportional to the grade, so it never saturates.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as fn
from damage import Damage
from denials import Denials
from grammar import Review, stream
from lexicon import load
from optimiser import Optimiser
from torch import Tensor
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedTokenizerFast,
)
from vocabularies import reward_tokenizer

BATCH = 64
PEAK_RATE = 3e-3
SHARPNESS = 6.0
DAMAGED = 0.35
DENIALS = 8
"""Groups of four texts in a step that differ in an adjective and its denial alone."""


def build(tokenizer: PreTrainedTokenizerFast) -> DistilBertForSequenceClassification:
    config = DistilBertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=256, dim=128, n_layers=3, n_heads=4,
        hidden_dim=384, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0,
        num_labels=1, pad_token_id=tokenizer.pad_token_id)
    return DistilBertForSequenceClassification(config)


def pair_loss(scores: Tensor, grades: Tensor) -> Tensor:
    """Bradley-Terry over all pairs of the batch, in expectation over the raters."""
    first, second = torch.triu_indices(len(scores), len(scores), offset=1)
    wins = torch.sigmoid(SHARPNESS * (grades[first] - grades[second]))
    return fn.binary_cross_entropy_with_logits(scores[first] - scores[second], wins)


def score(model: DistilBertForSequenceClassification, tokenizer: PreTrainedTokenizerFast,
          texts: Sequence[str]) -> Tensor:
    """One score for each text."""
    found = []
    with torch.no_grad():
        for start in range(0, len(texts), 128):
            batch = tokenizer(list(texts[start : start + 128]), return_tensors="pt", padding=True,
                              truncation=True, max_length=256)
            found.append(model(**batch).logits[:, 0])
    return torch.cat(found)


def graded(rng: random.Random, reviews: list[Review], damage: Damage, share: float
           ) -> tuple[list[str], list[float]]:
    """Texts and their values: whole reviews, and damaged ones among them."""
    texts, values = [], []
    for review in reviews:
        if rng.random() < share:
            text, value = damage.apply(review, rng.choice(reviews))
        else:
            text, value = review.text, review.grade
        texts.append(text)
        values.append(value)
    return texts, values


def standardise(model: DistilBertForSequenceClassification, mean: float, deviation: float) -> None:
    """Folds (score - mean) / deviation into the last layer."""
    with torch.no_grad():
        model.classifier.weight.div_(deviation)
        model.classifier.bias.sub_(mean).div_(deviation)


def pair_accuracy(scores: Tensor, grades: Tensor, low: float, high: float) -> tuple[float, int]:
    """The share of pairs ranked as their grades are, for grade gaps in [low, high)."""
    half = len(scores) // 2
    gap = grades[:half] - grades[half : 2 * half]
    chosen = (gap.abs() >= low) & (gap.abs() < high)
    right = ((scores[:half] - scores[half : 2 * half]) * gap > 0)[chosen]
    return right.float().mean().item(), int(chosen.sum())


def train(folder: Path, seed: int, steps: int) -> dict[str, float]:
    """Trains and saves the reward model, not yet standardised."""
    began = time.monotonic()
    torch.manual_seed(seed)
    rng = random.Random(seed)
    reviews = stream(seed + 2, min(200_000, steps * BATCH))
    damage, denials = Damage(rng, load()), Denials(rng, load())
    tokenizer = reward_tokenizer(review.text for review in reviews[:60_000])
    model = build(tokenizer)
    optimiser = Optimiser(model, PEAK_RATE, steps)
    for step in range(steps):
        chosen = rng.sample(reviews, BATCH)
        texts, values = graded(rng, chosen, damage, DAMAGED)
        for _ in range(DENIALS):
            group, worth = denials.group(chosen)
            texts += group
            values += worth
        batch = tokenizer(texts, return_tensors="pt", padding=True)
        with torch.autocast("cpu", torch.bfloat16):
            scores = model(**batch).logits[:, 0]
        scores, grades = scores.float(), torch.tensor(values)
        # A group's values say how its four compare with one another, not with other reviews.
        groups = zip(scores[BATCH:].chunk(DENIALS), grades[BATCH:].chunk(DENIALS), strict=True)
        loss = pair_loss(scores[:BATCH], grades[:BATCH]) + 0.5 * torch.stack(
            [pair_loss(*group) for group in groups]).mean()
        optimiser.step(loss)
        if step % 200 == 0 or step == steps - 1:
            print(f"reward step {step:5d}  loss {loss.item():.4f}  "
                  f"{time.monotonic() - began:.0f} s", flush=True)
    model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {
        "parameters": model.num_parameters(), "steps": steps, "batch": BATCH,
        "reviews": len({review.text for review in reviews}), "vocabulary": len(tokenizer),
        "seconds": time.monotonic() - began,
    }


def denial_accuracy(model: DistilBertForSequenceClassification,
                    tokenizer: PreTrainedTokenizerFast, seed: int) -> tuple[float, int]:
    """How often a denied fault beats a denied merit in otherwise the same review.

    "Anything but stale" against "anything but fresh": the score must turn round with the denial.
    """
    rng = random.Random(seed)
    faults, merits = [], []
    for domain in load():
        be = ("was", "were") if domain.past else ("is", "are")
        for aspect in domain.aspects:
            bad = [w.text for w in aspect.words if -0.7 <= w.value <= -0.4]
            good = [w.text for w in aspect.words if 0.4 <= w.value <= 0.7]
            if not bad or not good:
                continue
            start = (f"{rng.choice(domain.lists['tried'])} {rng.choice(domain.lists['when'])}"
                     .replace("{t}", domain.lists["thing"][0]))
            form = rng.choice(("not {} at all", "anything but {}", "far from {}", "never {}"))
            frame = (f"{start[0].upper()}{start[1:]}, and {aspect.noun} {be[aspect.many]} {form}. "
                     "I am still not sure what to think.")
            faults.append(frame.format(rng.choice(bad)))
            merits.append(frame.format(rng.choice(good)))
    right = score(model, tokenizer, faults) > score(model, tokenizer, merits)
    return right.float().mean().item(), len(faults)


def measure(model: DistilBertForSequenceClassification, tokenizer: PreTrainedTokenizerFast,
            seed: int) -> dict[str, object]:
    """How well the scores agree with the grades of reviews the model has not seen."""
    reviews = stream(seed + 3, 8_000)
    grades = torch.tensor([review.grade for review in reviews])
    scores = score(model, tokenizer, [review.text for review in reviews])
    rng = random.Random(seed)
    damage = Damage(rng, load())
    worse = [damage.apply(review, rng.choice(reviews)) for review in reviews[:4000]]
    bad = score(model, tokenizer, [text for text, _ in worse])
    bands = [(0.0, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 0.8), (0.8, math.inf), (0.2, math.inf),
             (0.0, math.inf)]
    return {
        "bands": [(low, high, *pair_accuracy(scores, grades, low, high)) for low, high in bands],
        "correlation": torch.corrcoef(torch.stack([scores, grades]))[0, 1].item(),
        "damage_below_own": (bad < scores[:4000]).float().mean().item(),
        "damaged_mean": bad.mean().item(),
        "denials": denial_accuracy(model, tokenizer, seed),
    }
