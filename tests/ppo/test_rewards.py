import torch

from workbench.ppo.rewards import shape_scores, token_rewards


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
