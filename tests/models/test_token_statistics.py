import pytest
import torch

from workbench.models.token_statistics import token_statistics
from workbench.ppo.objective import entropy


@pytest.mark.parametrize("entropy_gradient", [False, True])
def test_values_and_gradients_agree_with_plain_autograd(entropy_gradient):
    torch.manual_seed(0)
    logits = (3 * torch.randn(5, 11)).double().requires_grad_()
    plain = logits.detach().clone().requires_grad_()
    tokens = torch.randint(0, 11, (5,))
    weights = torch.randn(2, 5).double()
    logprobs, spread = token_statistics(logits, tokens, entropy_gradient=entropy_gradient)
    expected = plain.log_softmax(-1).gather(-1, tokens[:, None])[:, 0]
    torch.testing.assert_close(logprobs, expected)
    torch.testing.assert_close(spread, entropy(plain))
    bonus = weights[1] * entropy(plain) if entropy_gradient else 0
    (weights[0] * expected + bonus).sum().backward()
    own_bonus = weights[1] * spread if entropy_gradient else 0
    (weights[0] * logprobs + own_bonus).sum().backward()
    torch.testing.assert_close(logits.grad, plain.grad)


def test_gradcheck():
    torch.manual_seed(0)
    logits = torch.randn(3, 5).double().requires_grad_()
    tokens = torch.tensor([0, 4, 2])
    assert torch.autograd.gradcheck(
        lambda x: token_statistics(x, tokens, entropy_gradient=True), (logits,))


def test_a_certain_token_has_no_negative_entropy():
    logits = torch.tensor([[300.0, -20.0, 5.0], [0.0, 0.0, 90.0]])
    logprobs, spread = token_statistics(logits, torch.tensor([0, 2]))
    assert logprobs.tolist() == [0, 0]
    assert spread.tolist() == [0, 0]
