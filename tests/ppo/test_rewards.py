import pytest
import torch

from workbench.ppo.rewards import scale, shape_scores, token_rewards


def test_score_lands_on_the_last_real_token_and_kl_on_every_token():
    mask = torch.tensor([[True, True, True], [True, False, False]])
    kl = torch.tensor([[1.0, 2.0, 4.0], [8.0, 99.0, 99.0]])
    rewards = token_rewards(torch.tensor([1.87, -1.34]), kl, mask, kl_coef=0.5)
    torch.testing.assert_close(
        rewards, torch.tensor([[-0.5, -1.0, 1.87 - 2.0], [-1.34 - 4.0, 0, 0]]))


def test_scores_are_normalised_then_clipped_then_penalised():
    scores, ended = torch.tensor([5.0, 5.0, 1.0]), torch.tensor([True, False, True])
    shaped = shape_scores(
        scores, ended, missing_eos_penalty=1.0, clip=1.5, mean=1.0, std=2.0)
    assert shaped.tolist() == [1.5, 0.5, 0.0]


def test_shaping_can_be_off():
    scores = torch.tensor([5.0, -7.0])
    shaped = shape_scores(
        scores, torch.tensor([False, False]), missing_eos_penalty=0.0, clip=0.0)
    assert torch.equal(shaped, scores)


def test_scores_that_differ_by_a_rounding_step_of_half_precision_are_equal():
    scores = torch.full((32,), 1.8671875)
    scores[0] = 1.875  # the next bfloat16
    assert scale(scores) == (scores.mean().item(), 1.0)
    scores[1:] = 1.8740234375  # the float16 before it
    assert scale(scores)[1] == 1.0


@pytest.mark.parametrize("scores", [
    [100.0, 101.0], [200.0, 201.0, 201.0],  # a function's own counts, exact
    [1.75, 2.0, 2.25, 1.5], [0.1, 0.2]])
def test_scores_that_truly_differ_keep_their_deviation(scores):
    scores = torch.tensor(scores)
    assert scale(scores)[1] == scores.std(unbiased=False).item()
