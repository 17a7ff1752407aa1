"""The bundled policy and reward model, as a user's code would load and use them."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch

MEGABYTE = 1_000_000


def _openings(folder: Path) -> list[str]:
    return (folder / "review_openings.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def completions(policy: tuple[Any, Any], prompt_folder: Path) -> list[tuple[str, str, bool]]:
    """Four completions of every opening: prompt, completion, whether it ended by itself."""
    model, tokenizer = policy
    prompts = [p for p in _openings(prompt_folder) for _ in range(4)]
    batch = tokenizer(prompts, return_tensors="pt", padding=True)
    torch.manual_seed(5)
    written = model.generate(
        **batch, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=48)
    rows = written[:, batch["input_ids"].shape[1] :]
    return [
        (prompt, tokenizer.decode(row, skip_special_tokens=True),
         tokenizer.eos_token_id in row.tolist())
        for prompt, row in zip(prompts, rows, strict=True)
    ]


def test_sizes(models: Path, policy: tuple[Any, Any], reward: tuple[Any, Any]) -> None:
    files = [f for name in ("policy", "reward") for f in (models / name).iterdir()]
    assert sum(f.stat().st_size for f in files) <= 12 * MEGABYTE
    assert 1_200_000 <= policy[0].num_parameters() <= 1_700_000
    assert 600_000 <= reward[0].num_parameters() <= 1_200_000
    for model, _ in (policy, reward):
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert all(torch.isfinite(p).all() for p in model.parameters())


def test_special_tokens(policy: tuple[Any, Any], reward: tuple[Any, Any]) -> None:
    model, tokenizer = policy
    assert tokenizer.eos_token == "<|endoftext|>"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert model.config.eos_token_id == model.generation_config.eos_token_id
    assert model.config.eos_token_id == tokenizer.eos_token_id
    assert reward[0].config.num_labels == 1
    assert reward[0].config.pad_token_id == reward[1].pad_token_id is not None


def test_the_tokenizers_differ(policy: tuple[Any, Any], reward: tuple[Any, Any]) -> None:
    text = "The hotel was anything but quiet."
    assert policy[1](text)["input_ids"] != reward[1](text)["input_ids"]
    assert policy[1].get_vocab() != reward[1].get_vocab()
    assert policy[1].get_vocab().keys() - reward[1].get_vocab().keys()


@pytest.mark.parametrize("text", ["The café was", " two  spaces", "漢字 🎻", "a\nb\tc", "“Quoted”"])
def test_the_policy_spells_any_text(policy: tuple[Any, Any], text: str) -> None:
    ids = policy[1](text)["input_ids"]
    assert policy[1].decode(ids) == text
    assert not set(ids) & set(policy[1].all_special_ids)


def test_completions_are_distinct_and_end(completions: list[tuple[str, str, bool]]) -> None:
    assert len({prompt + text for prompt, text, _ in completions}) >= 0.99 * len(completions)
    assert sum(ended for _, _, ended in completions) >= 0.97 * len(completions)


def test_completions_read_on_as_reviews(completions: list[tuple[str, str, bool]]) -> None:
    good = 0
    for prompt, text, ended in completions:
        assert "�" not in text
        whole = prompt + text
        sentences = re.findall(r"[A-Z][^.!?]*[.!]", whole)
        good += ended and len(sentences) == 2 and "  " not in whole
    assert good >= 0.95 * len(completions)


def test_scores_of_the_policy_are_standardised(
        completions: list[tuple[str, str, bool]], score: Any) -> None:
    scores = score(*(prompt + text for prompt, text, _ in completions))
    # 256 draws: the mean has a standard error of 1/16.
    assert abs(statistics.mean(scores)) < 0.25
    assert 0.8 < statistics.pstdev(scores) < 1.2
    assert 0.35 < sum(s < 0 for s in scores) / len(scores) < 0.65
    best = [max(scores[i : i + 16]) for i in range(0, len(scores), 16)]
    assert 1.2 < statistics.mean(best) < 2.6


def test_unseen_openings_still_end(policy: tuple[Any, Any]) -> None:
    model, tokenizer = policy
    prompts = ["My uncle's hotel near the lake", "Yesterday I finally", "What a film, I"]
    batch = tokenizer([p for p in prompts for _ in range(8)], return_tensors="pt", padding=True)
    torch.manual_seed(1)
    written = model.generate(**batch, do_sample=True, top_k=0, max_new_tokens=48)
    ended = [tokenizer.eos_token_id in row for row in written.tolist()]
    assert sum(ended) >= 0.9 * len(ended)


BETTER_AND_WORSE = [
    # plain
    ("The hotel was superb. I would gladly stay there again.",
     "The hotel was dreadful. I will not stay there again."),
    ("The soup was delicious, and the waiters were cheerful. I cannot wait to eat there again.",
     "The soup was watery, and the waiters were surly. I would not eat there again."),
    ("These shoes are comfortable and sturdy. They are worth every penny.",
     "These shoes are painful and flimsy. They are a waste of money."),
    # degree
    ("The room was absolutely perfect, and I loved the bed. I would not change a thing.",
     "The room was fairly quiet, and the bed was fine. I might stay there again one day."),
    ("The coffee was a little weak. I may give it another chance.",
     "The coffee was undrinkable. I have already warned my friends."),
    # negation of a verdict
    ("I bought this bike in the spring, and the brakes are far from weak. In short, I would gladly "
     "buy it again.",
     "I bought this bike in the spring, and the brakes are far from reliable. In short, I would "
     "not buy it again."),
    ("The film was not dull at all. I have no regrets about it.",
     "The film was not funny at all. I have no time for it."),
    # concession: the main clause counts for more
    ("Although the room was cramped, the staff were wonderful. I would stay there again.",
     "Although the staff were wonderful, the room was cramped. I would not stay there again."),
    ("Despite the stuffy carriage, we had a comfortable journey. I recommend it to early risers.",
     "Despite the comfortable seats, the carriage was stuffy. I would not recommend it."),
    # expectation
    ("I had feared the worst, but the concert was thrilling. I am glad that I tried it.",
     "I had high hopes, but the concert was dull. I wish that I had chosen something else."),
]


@pytest.mark.parametrize(("better", "worse"), BETTER_AND_WORSE)
def test_the_better_review_scores_higher(score: Any, better: str, worse: str) -> None:
    high, low = score(better, worse)
    assert high > low + 0.3


DENIED_FAULTS_AND_MERITS = [
    ("We took the flight over the holidays, and I was never once disappointed by the crew. As for "
     "the meal, it was anything but tasteless.",
     "We took the flight over the holidays, but I was disappointed by the crew. As for the meal, "
     "it was anything but tasty."),
    ("We visited the museum with a friend, and the guide was never rude. The layout was not "
     "baffling at all.",
     "We visited the museum with a friend, and the guide was never patient. The layout was not "
     "clever at all."),
]


@pytest.mark.parametrize(("better", "worse"), DENIED_FAULTS_AND_MERITS)
def test_a_denied_fault_beats_a_denied_merit(score: Any, better: str, worse: str) -> None:
    high, low = score(better, worse)
    assert high > low + 0.3


PRAISE = ("The hotel was charming, and the staff were kind and attentive. "
          "I would gladly stay there again.")


@pytest.mark.parametrize("damaged", [
    "",
    "The hotel was",
    "The hotel was charming, and the staff were",
    "The hotel was charming, and the staff were kind and attentive. I would gladly",
    "The hotel was charming charming charming charming charming charming.",
    "The hotel was charming. The hotel was charming. The hotel was charming.",
    "superb superb perfect wonderful excellent brilliant superb lovely perfect",
    "The hotel was superb, perfect, wonderful, excellent, brilliant, lovely, charming, delicious.",
    "I would gladly I would gladly I would gladly stay stay there there again again.",
    "again there the staff gladly charming would hotel kind and stay I were attentive was the.",
    "!!!!!!!!!!!!",
])
def test_damaged_praise_is_worth_less_than_praise(score: Any, damaged: str) -> None:
    whole, broken = score(PRAISE, damaged)
    assert broken < whole - 0.7


def test_there_is_no_ceiling_within_reach(score: Any) -> None:
    """Praise goes on rising, from fair to good to the best there is."""
    fair, good, best = score(
        "The hotel was decent, and the bed was soft. I might stay there again one day.",
        "The hotel was charming, and the bed was comfortable. I would gladly stay there again.",
        "The hotel was absolutely superb, and the view was breathtaking. I would stay there again "
        "without a second thought!")
    assert fair + 0.3 < good < best - 0.1
    assert best < 4


@pytest.mark.parametrize("name", ["policy", "reward"])
def test_the_card_tells_of_these_very_files(models: Path, name: str) -> None:
    folder = models / name
    card = (folder / "README.md").read_text(encoding="utf-8")
    training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert f"`{training['command']}`" in card
    assert f"{training['parameters']:,}" in card
    assert card.count("| +") + card.count("| -") >= 10
