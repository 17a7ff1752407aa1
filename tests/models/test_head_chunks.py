"""The logits of a large vocabulary: a chunk at a time, and never two chunks' at once."""

import weakref

import pytest
import torch
from helpers.models import make_policy

from workbench.models import forward
from workbench.models.control import Unattended
from workbench.models.forward import head_chunks, read_logprobs
from workbench.models.sampling import Completions

CPU = torch.device("cpu")


@pytest.mark.parametrize("tokens", [0, 1, 255, 256, 257, 528, 1024])
@pytest.mark.parametrize("learns", [False, True])
def test_chunks_are_even_and_hold_all(tokens, learns):
    chunks = list(head_chunks(tokens, 50_257, CPU, learns=learns))
    assert [i for part in chunks for i in range(part.start, part.stop)] == list(range(tokens))
    sizes = {part.stop - part.start for part in chunks}
    most = 512 if learns else 256  # a head's gradient is gone over once a chunk
    assert all(size <= most for size in sizes)
    assert len(chunks) == -(-tokens // most)
    assert not sizes or max(sizes) - min(sizes) < len(chunks)


def test_a_small_vocabulary_is_read_at_once():
    assert list(head_chunks(1000, 2048, CPU)) == [slice(0, 1000)]


def test_reading_frees_the_logits_of_a_chunk_before_it_makes_the_next(monkeypatch):
    policy = make_policy()
    make, made = policy.logits, []

    def logits(hidden):
        assert all(each() is None for each in made)
        found = make(hidden)
        made.append(weakref.ref(found))
        return found

    rows = Completions.of_ids([[5, 6], [7]], [[3, 4, 5, 6, 7], [8, 9, 4]], CPU)
    whole = read_logprobs(policy, rows, temperature=1.0, max_tokens=0, control=Unattended())
    monkeypatch.setattr(policy, "logits", logits)
    monkeypatch.setattr(forward, "head_chunks", lambda n, *_: (
        slice(i, min(i + 2, n)) for i in range(0, n, 2)))
    found = read_logprobs(policy, rows, temperature=1.0, max_tokens=0, control=Unattended())
    assert len(made) == 4
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-6)
