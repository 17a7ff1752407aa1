"""Pretrained values on disk: found again for just the same, and never in the way."""

import json
import os

import numpy as np
import pytest

from workbench.store.value_cache import ValueCache

ARRAYS = {"value_head.weight": np.arange(4, dtype=np.float32).reshape(1, 4)}
NUMBERS = {"score_mean": 0.1 + 0.2, "score_std": 1.0}
MADE_FOR = {"settings": {"seed": 3}, "prompts": ["one", "zwei"]}


@pytest.fixture
def cache(home) -> ValueCache:
    return ValueCache(home)


def files(home) -> list:
    return sorted((home / "pretrained-values").iterdir())


def test_found_for_just_the_same(cache):
    assert cache.read(MADE_FOR) is None
    assert cache.write(MADE_FOR, ARRAYS, NUMBERS)
    arrays, numbers = cache.read(MADE_FOR)
    assert numbers == NUMBERS
    assert {n: (a.tobytes(), a.shape) for n, a in arrays.items()} == {
        n: (a.tobytes(), a.shape) for n, a in ARRAYS.items()}
    assert cache.read({**MADE_FOR, "prompts": ["one", "two"]}) is None


@pytest.mark.parametrize("harm", ["cut", "changed", "another", "no json", "no text"])
def test_what_is_damaged_is_as_if_it_were_not_there(cache, home, harm):
    cache.write(MADE_FOR, ARRAYS, NUMBERS)
    about, weights = files(home)
    match harm:
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-3])
        case "changed":
            weights.write_bytes(weights.read_bytes()[:-1] + b"x")
        case "another":
            about.write_text(json.dumps({**json.loads(about.read_text()), "made_for": {}}))
        case "no json":
            about.write_text("[1, 2")
        case "no text":
            about.write_bytes(b"\xff\xfe")
    assert cache.read(MADE_FOR) is None
    assert cache.write(MADE_FOR, ARRAYS, NUMBERS)
    assert cache.read(MADE_FOR) is not None


def test_a_handful_is_kept_and_what_an_end_left_goes(cache, home):
    for seed in range(9):
        cache.write({"seed": seed}, ARRAYS, NUMBERS)
        for file in files(home):  # as if each had been used a while before the next
            os.utime(file, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns - 10**9))
        if seed == 5:
            (home / "pretrained-values" / "left.partial").touch()
        if seed >= 4:
            assert cache.read({"seed": 0}) is not None  # in use all the time
    assert {s for s in range(9) if cache.read({"seed": s})} == {0, 4, 5, 6, 7, 8}
    assert len(files(home)) == 12


def test_a_disk_that_takes_nothing_is_no_trouble(cache, home):
    (home).mkdir(parents=True, exist_ok=True)
    (home / "pretrained-values").write_text("a file where the folder should be")
    assert not cache.write(MADE_FOR, ARRAYS, NUMBERS)
    assert cache.read(MADE_FOR) is None
