import torch

from workbench.models.randomness import Stream, mini_batches, prompt_at, uniforms


def test_numbers_depend_on_where_they_are_used_alone():
    a = uniforms(0, Stream.ROLLOUT, 3, 4, 6)
    assert torch.equal(uniforms(0, Stream.ROLLOUT, 3, 2, 6), a[:2])     # not on the other rows
    assert torch.equal(uniforms(0, Stream.ROLLOUT, 3, 4, 9)[:, :6], a)  # nor on the length
    for other in ((1, Stream.ROLLOUT, 3), (0, Stream.COMPARISON, 3), (0, Stream.ROLLOUT, 4)):
        assert not torch.equal(uniforms(*other, 4, 6), a)
    assert 0 <= a.min() <= a.max() < 1


def test_every_prompt_is_drawn_once_a_pass():
    for number in range(3):
        drawn = [prompt_at(7, number * 10 + i, 10) for i in range(10)]
        assert sorted(drawn) == list(range(10))
    passes = {tuple(prompt_at(7, n * 10 + i, 10) for i in range(10)) for n in range(3)}
    assert len(passes) == 3


def test_mini_batches_are_a_partition():
    parts = mini_batches(0, 1, 0, 12, 3)
    assert [len(p) for p in parts] == [4, 4, 4]
    assert sorted(torch.cat(parts).tolist()) == list(range(12))
    assert not torch.equal(parts[0], mini_batches(0, 1, 1, 12, 3)[0])
