"""The 8-bit optimiser: a plain sentence where it cannot be, an exact checkpoint where it can."""

import pytest
import torch
from helpers.models import make_policy, make_ppo
from torch import nn

from workbench.models import snapshot
from workbench.models.optimizer import check_optimizer, make_optimizer, state_bytes
from workbench.models.policy import UnsupportedModelError
from workbench.ppo.hyperparameters import parse

EIGHT_BIT = "adamw_8bit"


def test_without_a_gpu_it_is_refused_in_a_sentence():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    ppo = make_ppo()
    with pytest.raises(UnsupportedModelError, match="needs an NVIDIA GPU, and the models are on"):
        ppo.begin(["ab"], parse({"optimizer": EIGHT_BIT, "response_length": 4}))


def test_without_its_package_it_is_refused_in_a_sentence():
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        with pytest.raises(UnsupportedModelError, match="pip install 'ppo-workbench"):
            check_optimizer(EIGHT_BIT, torch.device("cuda"))
    else:
        check_optimizer(EIGHT_BIT, torch.device("cuda"))


def test_it_takes_about_a_quarter():
    assert 0.25 <= state_bytes(EIGHT_BIT, 10**6) / state_bytes("adamw", 10**6) < 0.26


@pytest.mark.skipif(not torch.cuda.is_available(), reason="8-bit AdamW needs an NVIDIA GPU")
def test_eight_bit_state_goes_into_a_checkpoint_and_back():
    pytest.importorskip("bitsandbytes")
    device = torch.device("cuda")

    def make():
        model = make_policy("gpt2").model.to(device)
        return model, make_optimizer(EIGHT_BIT, model.parameters(), [], device)

    def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 1e-3
        model(torch.arange(16, device=device).reshape(2, 8)).logits.square().mean().backward()
        optimizer.step()

    model, optimizer = make()
    step(model, optimizer)
    other, others = make()
    snapshot.put_back(other, others, dict(snapshot.arrays(model, optimizer)))
    for pair in ((model, optimizer), (other, others)):
        step(*pair)
    for mine, its in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, its)
