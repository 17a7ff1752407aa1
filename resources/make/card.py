"""Samples both models together, sets the scale of the scores and writes the model cards."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

import torch
from train_reward import SHARPNESS, score
from transformers import DistilBertForSequenceClassification, GPT2LMHeadModel
from transformers import PreTrainedTokenizerFast as Tokenizer

NEW_TOKENS = 48
BEST_OF = 16


@dataclass(frozen=True)
class Completion:
    """What the policy wrote after a prompt."""

    prompt: str
    text: str
    tokens: int
    ended: bool


def complete(model: GPT2LMHeadModel, tokenizer: Tokenizer, prompts: list[str], each: int,
             seed: int) -> list[Completion]:
    """`each` completions of every prompt at temperature 1, grouped by prompt."""
    torch.manual_seed(seed)
    found = []
    asked = [prompt for prompt in prompts for _ in range(each)]
    for start in range(0, len(asked), 256):
        part = asked[start : start + 256]
        batch = tokenizer(part, return_tensors="pt", padding=True)
        width = batch["input_ids"].shape[1]
        written = model.generate(**batch, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                                 max_new_tokens=NEW_TOKENS)[:, width:].tolist()
        for prompt, ids in zip(part, written, strict=True):
            ended = tokenizer.eos_token_id in ids
            kept = ids[: ids.index(tokenizer.eos_token_id)] if ended else ids
            text = tokenizer.decode(kept, skip_special_tokens=True)
            found.append(Completion(prompt, text, len(kept) + ended, ended))
    return found


def scores_of(model: DistilBertForSequenceClassification, tokenizer: Tokenizer,
              written: list[Completion]) -> list[float]:
    """The reward model's view of each prompt with its completion."""
    return score(model, tokenizer, [w.prompt + w.text for w in written]).tolist()


def policy_figures(written: list[Completion], scores: list[float]) -> dict[str, object]:
    """What the card says of the policy's completions and of their scores."""
    groups = [scores[i : i + BEST_OF] for i in range(0, len(scores), BEST_OF)]
    return {
        "completions": len(written),
        "distinct": len({w.prompt + w.text for w in written}) / len(written),
        "ended": sum(w.ended for w in written) / len(written),
        "length": statistics.mean(w.tokens for w in written),
        "mean": statistics.mean(scores), "deviation": statistics.pstdev(scores),
        "negative": sum(s < 0 for s in scores) / len(scores),
        "lowest": min(scores), "highest": max(scores),
        "best_of": statistics.mean(max(group) for group in groups),
        "samples": [(w.prompt, w.text, s) for w, s in zip(written, scores, strict=True)],
    }


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|"] + [f"| {name} | {value} |" for name, value in rows])


def _samples(figures: dict, count: int = 10) -> str:
    """Every so-manieth sample, so that the domains take turns."""
    shown = figures["samples"][:: max(1, len(figures["samples"]) // count)][:count]
    return "\n".join(f"| {s:+.2f} | **{prompt}**{text} |" for prompt, text, s in shown)


def _size(folder: Path) -> str:
    files = [file for file in folder.iterdir() if file.name != "README.md"]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.2f} MB"


def _value_training(trained: dict) -> list[tuple[str, str]]:
    """What the card says of the second training, of text and score together."""
    if "value_steps" not in trained:
        return []
    return [
        ("Second command", f"`{trained['value_command']}`"),
        ("Second training", f"{trained['value_steps']:,} steps of {trained['batch']} reviews from "
                            f"{trained['value_reviews']:,}, with the reward model's score of the "
                            "whole review as a second target at every token"),
        ("Its further rounds", f"{trained['tuned_steps']:,} steps; half of the texts, for the "
                               f"score alone, are {trained['tuned_texts']:,} that the policies of "
                               f"{trained['tuned_runs']} PPO runs wrote on their way"),
        ("Time for it", f"{trained['value_seconds'] / 60:.1f} minutes on two CPU cores"),
        ("Explained variance of the score, on reviews never trained on",
         f"{trained['explained_variance']:.2f}; by quarter of the text "
         + ", ".join(f"{x:.2f}" for x in trained["by_quarter"]))]


def policy_card(folder: Path, trained: dict, figures: dict) -> None:
    made = _table([
        ("Command", f"`{trained['command']}`"), ("Seed", str(trained["seed"])),
        ("Kind", "GPT-2, 4 layers, width 160, 5 heads, context 256, no dropout"),
        ("Parameters", f"{trained['parameters']:,}"),
        ("Tokenizer", f"byte-level BPE, {trained['vocabulary']:,} tokens"),
        ("Training", f"{trained['steps']:,} steps of {trained['batch']} reviews, drawn from "
                     f"{trained['reviews']:,} different ones"),
        ("Time for the training", f"{trained['seconds'] / 60:.1f} minutes on two CPU cores"),
        *_value_training(trained),
        ("Size of the folder without this card", _size(folder))])
    measured = _table([
        (f"Perplexity for each token, on {trained['held_out_reviews']:,} reviews never trained on",
         f"{trained['perplexity']:.2f}"),
        ("Mean length of a training review", f"{trained['review_tokens']:.1f} tokens"),
        (f"Distinct texts among {figures['completions']:,} completions",
         f"{figures['distinct']:.2%}"),
        (f"Completions that end by themselves within {NEW_TOKENS} tokens",
         f"{figures['ended']:.2%}"),
        ("Mean length of a completion", f"{figures['length']:.1f} tokens"),
        ("Completions that the reward model scores below zero", f"{figures['negative']:.1%}")])
    (folder / "README.md").write_text(f"""# Bundled policy

A small language model that writes two-sentence reviews of everyday things: hotels, films, phones,
train journeys and a dozen more. Give it the beginning of a review and it writes the rest. It is
as ready to complain as to praise, which leaves PPO room in both directions.

It learned from reviews composed by the grammar in `resources/make/`; no other text was used. Its
states also tell what score a review will get from the bundled reward model: the linear head in
`value_head.safetensors` reads it, and PPO's value head begins from that.

## How it was made

{made}

## Measured

On the prompts of `sample_prompts/review_openings.txt`, at temperature 1, with nothing cut off
the distribution:

{measured}

## Ten completions, with the bundled reward model's score

Taken at even steps through the completions measured above, not chosen.

| Score | Text |
|---|---|
{_samples(figures)}

## Limits

- It knows reviews and nothing else. A prompt about another subject is soon turned into a review.
- Its world is the grammar's: some {trained['vocabulary']:,} word pieces, one way of ending (after
  two sentences), English only. Text in other scripts can be read but not continued sensibly.
- It slips now and then: a word said twice, a misspelt word, a jump to another subject. After
  openings unlike any review the first sentence often does not hang together.
- It can contradict itself within a review, as the mixed reviews it learned from do.
- Positions beyond 256 tokens do not exist: prompt and completion together must fit.
""", encoding="utf-8")


def _bands(bands: list[tuple[float, float, float, int]]) -> str:
    rows = []
    for low, high, right, count in bands:
        upper = "or more" if high > 9 else f"to {high:.1f}"
        rows.append(f"| {low:.1f} {upper} | {count:,} | {right:.1%} |")
    return "\n".join(rows)


def reward_card(folder: Path, trained: dict, held_out: dict, figures: dict) -> None:
    turned, denied = held_out["denials"]
    wide = next(right for low, high, right, _ in held_out["bands"] if low == 0.2 and high > 9)
    made = _table([
        ("Command", f"`{trained['command']}`"), ("Seed", str(trained["seed"])),
        ("Kind", "DistilBERT, 3 layers, width 128, 4 heads, one output, no dropout"),
        ("Parameters", f"{trained['parameters']:,}"),
        ("Tokenizer", f"lower-cased WordPiece, {trained['vocabulary']:,} tokens"),
        ("Training", f"{trained['steps']:,} steps of {trained['batch']} texts, all pairs in a "
                     f"step compared, drawn from {trained['reviews']:,} different reviews"),
        ("Time for the training", f"{trained['seconds'] / 60:.1f} minutes on two CPU cores"),
        ("Size of the folder without this card", _size(folder))])
    measured = _table([
        ("Pairs ranked rightly, grade gap at least 0.2", f"{wide:.1%}"),
        (f"Denied faults scored above denied merits, {denied} pairs of otherwise the same review",
         f"{turned:.1%}"),
        ("Correlation of score and grade, held-out reviews", f"{held_out['correlation']:.3f}"),
        ("Damaged texts scored below the review they came from",
         f"{held_out['damage_below_own']:.1%}"),
        ("Mean score of damaged texts", f"{held_out['damaged_mean']:+.2f}"),
        (f"Mean score of {figures['completions']:,} completions by the policy",
         f"{figures['mean']:+.3f}"),
        ("Deviation of those scores", f"{figures['deviation']:.3f}"),
        ("Lowest and highest of them", f"{figures['lowest']:+.2f}, {figures['highest']:+.2f}"),
        (f"Mean of the best of {BEST_OF} completions", f"{figures['best_of']:+.2f}")])
    (folder / "README.md").write_text(f"""# Bundled reward model

Reads a whole review, prompt and completion together, and gives one number: how well the writer
speaks of the thing. Zero is the bundled policy's average and one is its standard deviation.

It learned from reviews composed and graded by the grammar in `resources/make/`; no other text
was used. Its tokenizer is not the policy's: it reads text, never token ids.

## How it was made

{made}

The loss is Bradley-Terry, `-log sigmoid(r_chosen - r_rejected)`. Raters are simulated: of two
texts graded a and b, a rater prefers the first with probability `sigmoid({SHARPNESS:.0f} (a - b))`,
and the loss is taken in expectation over raters. About a third of the texts are damaged and
graded as worse: cut off, single sentences, repeated words or sentences, words out of order, lists
of adjectives, a second sentence about something else, stray marks, openings alone, nothing at all.
To each step come groups of four texts that differ in one adjective and its denial alone, compared
within the group. Afterwards the mean and deviation of the policy's own completions are folded
into the last layer.

## Measured

{measured}

Held-out reviews in random pairs, by the gap between their grades (the scale runs from -1 to 1):

| Gap | Pairs | Ranked rightly |
|---|---|---|
{_bands(held_out['bands'])}

## Ten completions by the policy, with their scores

Taken at even steps through the completions measured above, not chosen.

| Score | Text |
|---|---|
{_samples(figures)}

## Limits

- The score is the mood of a review, not its truth, its style or its use to a reader.
- It has read only the grammar's English. What it says of other text is close to arbitrary, though
  unfinished, looping or shapeless text is pushed down.
- It can still be mistaken by hand-written texts: it rates "The battery is strong. Even so, I want
  my money back." above "The battery is weak. Even so, I would buy this phone again without a second
  thought.", and does not turn "hardly readable" round.
- Two very short sentences, under about fifteen words together, score low, as if unfinished.
- Irony is beyond it.
- A policy trained against it for long enough will find its blind spots: watch the KL divergence.
""", encoding="utf-8")
