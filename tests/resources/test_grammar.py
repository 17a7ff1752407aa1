"""The grammar that the bundled models learned from."""

from __future__ import annotations

import random
import re
import statistics
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def reviews(grammar: ModuleType) -> list[Any]:
    return grammar.stream(20, 20_000)


def test_the_same_seed_gives_the_same_reviews(grammar: ModuleType) -> None:
    assert grammar.stream(3, 200) == grammar.stream(3, 200)
    assert grammar.stream(3, 200) != grammar.stream(4, 200)


def test_hardly_any_review_comes_twice(reviews: list[Any]) -> None:
    assert len({review.text for review in reviews}) >= 0.99 * len(reviews)
    sentences = {s for review in reviews for s in (review.first, review.second)}
    assert len(sentences) >= 0.8 * 2 * len(reviews)


def test_moods_are_centred_and_reach_both_ends(reviews: list[Any]) -> None:
    grades = [review.grade for review in reviews]
    assert abs(statistics.mean(grades)) < 0.03
    assert 0.35 < statistics.pstdev(grades) < 0.5
    assert min(grades) >= -1
    assert max(grades) <= 1
    assert sum(g < -0.6 for g in grades) > 0.05 * len(grades)
    assert sum(g > 0.6 for g in grades) > 0.05 * len(grades)
    assert len({review.domain for review in reviews}) == 17


def test_two_sentences_and_clean_spacing(reviews: list[Any]) -> None:
    for review in reviews:
        for sentence in (review.first, review.second):
            assert re.fullmatch(r"[A-Z][^.!?]*[.!]", sentence), review.text
        assert not re.search(r"  | [,.!]|,,|[{}]|\b(\w+) \1\b", review.text), review.text


def test_articles_and_verbs_agree(reviews: list[Any]) -> None:
    wrong = re.compile(
        r"\ba [aeio]\w+|\ban (?!hour)[^aeio\W]|\b(they|we|you) (was|is|has|deserves|seems)\b"
        r"|\bit (were|are|have|deserve|seem)\b|\bI (is|are|were|has)\b"
        r"|^(these|they) \w+ (is|was)\b|\bthis \w+ (are|were)\b", re.IGNORECASE)
    found = [m.group() for review in reviews if (m := wrong.search(review.text))]
    assert not found


def test_a_wanted_mood_decides_the_grade(grammar: ModuleType) -> None:
    domains = grammar.load()
    rng = random.Random(1)
    means = [
        statistics.mean(grammar.write(rng, domains, mood).grade for _ in range(300))
        for mood in (-0.9, -0.4, 0.0, 0.4, 0.9)
    ]
    assert means == sorted(means)
    assert means[0] < -0.5
    assert abs(means[2]) < 0.1
    assert means[4] > 0.5
