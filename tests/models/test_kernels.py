import pytest
import torch
from helpers.models import make_policy
from transformers import AutoModelForCausalLM, GPT2Config
from transformers.activations import NewGELUActivation

from workbench.models.kernels import head_logits, linear, packed_weights, use_native_gelu
from workbench.models.kv_cache import make_cache

IDS = torch.tensor([[5, 6, 7, 8], [9, 3, 2, 4]])


def test_native_gelu_is_the_same_function():
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        GPT2Config(vocab_size=16, n_embd=8, n_layer=2, n_head=2)).eval()
    before = model(IDS).logits
    use_native_gelu(model)
    assert not [m for m in model.modules() if isinstance(m, NewGELUActivation)]
    torch.testing.assert_close(model(IDS).logits, before)


@pytest.mark.parametrize("bias", [True, False])
def test_a_head_as_wide_as_a_vocabulary_gives_the_same_numbers(bias):
    torch.manual_seed(0)
    head, hidden = torch.nn.Linear(24, 20_000, bias=bias), torch.randn(7, 24)
    expected = head(hidden)
    with torch.no_grad():
        torch.testing.assert_close(head_logits(head, hidden), expected)
        torch.testing.assert_close(linear(hidden, head.weight, head.bias), expected)
    assert head_logits(head, hidden).requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_weights_suit_any_processor(dtype):
    """Where bfloat16 cannot be packed the layers stay as they are."""
    layer, x = torch.nn.Linear(6, 4), torch.randn(3, 6)
    with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        expected = layer(x)
        with packed_weights(layer, dtype):
            torch.testing.assert_close(layer(x), expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_packed_weights_give_the_same_numbers_and_leave_no_trace(architecture):
    policy = make_policy(architecture)
    with torch.no_grad():
        before = policy.logits(policy.hidden_states(IDS))
        with packed_weights(policy.model, torch.float32):
            within = policy.logits(policy.hidden_states(IDS))
            replaced = [m for m in policy.modules() if "forward" in vars(m)]
        torch.testing.assert_close(within, before)
        assert torch.equal(policy.logits(policy.hidden_states(IDS)), before)
    assert replaced
    with pytest.raises(ZeroDivisionError), packed_weights(policy.model, torch.float32):
        1 / 0  # noqa: B018
    assert not [m for m in policy.modules() if "forward" in vars(m)]


def test_packed_weights_are_the_present_ones():
    """Between two cycles the weights change; what was packed before must not be used again."""
    policy = make_policy("gpt2")
    with torch.no_grad():
        for parameter in policy.model.parameters():
            with packed_weights(policy.model, torch.float32):
                policy.hidden_states(IDS)
            parameter.mul_(1.5)
        expected = policy.hidden_states(IDS)
        with packed_weights(policy.model, torch.float32):
            torch.testing.assert_close(policy.hidden_states(IDS), expected)


@torch.no_grad()
def test_the_cache_goes_on_with_the_rows_that_are_kept():
    policy = make_policy("llama")
    whole = policy.hidden_states(IDS)
    cache = make_cache(policy.model.config, capacity=4)
    policy.trunk(input_ids=IDS[:, :2], cache=cache, use_cache=True)
    third = policy.trunk(input_ids=IDS[:, 2:3], cache=cache, use_cache=True).last_hidden_state
    torch.testing.assert_close(third[:, 0], whole[:, 2])
    cache.reorder_cache(torch.tensor([1]))
    last = policy.trunk(input_ids=IDS[1:, 3:], cache=cache, use_cache=True).last_hidden_state
    torch.testing.assert_close(last[:, 0], whole[1:, 3])
