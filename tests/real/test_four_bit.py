"""Policies that bitsandbytes has packed into 4 bits, trained with adapters: on the CPU, for which
newer releases of that package have kernels, and on a GPU where there is one."""

import copy
import json
import shutil

import pytest
import torch
from helpers.folders import save_llama, save_policy, tokenizer
from helpers.models import CPU, TextReward
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from workbench.feedback.loading import load_reward
from workbench.learning.workload import Workload, needed
from workbench.models import four_bit
from workbench.models.control import Unattended
from workbench.models.device import Placement
from workbench.models.loading import load_policy
from workbench.models.policy import UnsupportedModelError
from workbench.models.sources import LoadError
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.footprint import ValueFootprint
from workbench.ppo.hyperparameters import parse
from workbench.ppo.memory import PPOMemory
from workbench.training.model_facts import facts_of

PROMPTS = ["the tea", "a cat sat"]
HINT = r"As the policy it can be trained with LoRA on an NVIDIA GPU, with the package bitsandbytes"


def quiet(*_):
    pass


def settings(**changes):
    return parse({"num_cycles": 3, "batch_size": 4, "response_length": 6, "learning_rate": 1e-2,
                  "lora_rank": 4, **changes})


def logits(model):
    with torch.no_grad():
        return model(
            input_ids=torch.tensor([[5, 6, 7, 8, 9, 10]], device=model.device)).logits.float().cpu()


def packed_bytes(model):
    return {name.removesuffix(".base_layer"): layer.weight.data.clone()
            for name, layer in four_bit.packed_layers(model).items()}


@pytest.fixture(scope="module", params=[
    (save_llama, "nf4", True), (save_llama, "fp4", False), (save_policy, "nf4", False)],
    ids=["llama-nf4", "llama-fp4", "gpt2-nf4"])
def folder(request, tmp_path_factory):
    pytest.importorskip("bitsandbytes")
    save, kind, twice = request.param
    base = tmp_path_factory.mktemp("models")
    words = tokenizer()
    whole = save_llama(base / "whole", words) if save is save_llama else save_policy(base / "whole")
    model = AutoModelForCausalLM.from_pretrained(whole, quantization_config=BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=twice,
        bnb_4bit_compute_dtype=torch.bfloat16))
    model.save_pretrained(base / "packed")
    words.save_pretrained(base / "packed")
    return base / "packed"


@pytest.fixture
def loaded(folder, monkeypatch):
    monkeypatch.setattr(four_bit, "can_be_read", lambda: True)
    # Some CPUs have kernels that pack weights anew.
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: False, raising=False)
    return load_policy(str(folder), CPU, quiet)


def test_it_is_read_as_transformers_unpacks_it(folder, loaded):
    model = loaded.policy.model
    right = AutoModelForCausalLM.from_pretrained(folder).dequantize(torch.float32)
    assert four_bit.packed_layers(model)
    # transformers unpacks in the precision in which it was packed.
    torch.testing.assert_close(logits(model), logits(right), atol=1e-4, rtol=1e-4)
    facts = facts_of(str(folder), model, loaded.policy_tokenizer.tokenizer, "float32", CPU.device)
    assert facts["parameters"] == sum(p.numel() for p in right.parameters())


def test_adapters_are_trained_and_what_is_packed_stays(folder, loaded, tmp_path):
    model = loaded.policy.model
    start, packed = logits(model), packed_bytes(model)
    ppo, hp = PPOTrainer(loaded.policy, TextReward(len), loaded.policy_tokenizer), settings()
    ppo.begin(PROMPTS, hp)
    first = ppo.run_cycle(1, hp, [0], Unattended())
    assert first.metrics["objective/kl"] == pytest.approx(0, abs=1e-4)
    assert first.metrics["val/ratio_start"] < 1e-4
    learned = {n: p for n, p in ppo.policy.named_parameters() if p.requires_grad}
    assert all("lora_" in name or name.startswith("value_head") for name in learned)
    second = ppo.run_cycle(2, hp, [0], Unattended())
    assert abs(second.metrics["objective/kl"]) > 1e-2
    trained = logits(ppo.policy.model)
    assert not torch.allclose(trained, start, atol=1e-2)
    with ppo.reference() as reference:
        torch.testing.assert_close(logits(reference.model), start)
    now = packed_bytes(ppo.policy.model)
    assert now.keys() == packed.keys()
    assert all(torch.equal(now[name], packed[name]) for name in packed)

    ppo.export(str(tmp_path / "saved"))
    assert ppo.check_exported(str(tmp_path / "saved"), quiet) == ""
    assert "quantization_config" not in json.loads((tmp_path / "saved/config.json").read_text())
    plain, info = AutoModelForCausalLM.from_pretrained(
        tmp_path / "saved", output_loading_info=True)
    assert not info["unexpected_keys"]
    assert not info["missing_keys"]
    torch.testing.assert_close(logits(plain), trained, atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_on_a_gpu_it_is_read_and_trained_too(folder, loaded):
    gpu = Placement(torch.device("cuda"), torch.float32)
    there = load_policy(str(folder), gpu, quiet)
    model, hp = there.policy.model, settings(precision="float32")
    assert model.device.type == "cuda"
    torch.testing.assert_close(logits(model), logits(loaded.policy.model), atol=1e-2, rtol=1e-2)
    packed = packed_bytes(model)
    ppo = PPOTrainer(there.policy, TextReward(len), there.policy_tokenizer)
    ppo.begin(PROMPTS, hp)
    first, second = (ppo.run_cycle(cycle, hp, [0], Unattended()) for cycle in (1, 2))
    assert first.metrics["objective/kl"] == pytest.approx(0, abs=1e-2)
    assert abs(second.metrics["objective/kl"]) > 1e-2
    now = packed_bytes(ppo.policy.model)
    assert all(torch.equal(now[name], packed[name]) for name in packed)


def test_a_run_goes_on_as_if_it_had_not_stopped(folder, loaded):
    hp = settings()
    one = PPOTrainer(loaded.policy, TextReward(len), loaded.policy_tokenizer)
    one.begin(PROMPTS, hp)
    for cycle in (1, 2):
        one.run_cycle(cycle, hp, [0], Unattended())
    arrays, numbers = copy.deepcopy(one.snapshot())
    right = one.run_cycle(3, hp, [0], Unattended())

    again = load_policy(str(folder), CPU, quiet)
    two = PPOTrainer(again.policy, TextReward(len), again.policy_tokenizer)
    two.begin(PROMPTS, hp)
    two.restore(arrays, numbers)
    found = two.run_cycle(3, hp, [0], Unattended())
    assert found.rollout == right.rollout
    after, wanted = two.snapshot()[0], one.snapshot()[0]
    assert after.keys() == wanted.keys()
    assert all((after[name] == wanted[name]).all() for name in wanted)


def test_bits_in_other_numbers_are_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(four_bit, "can_be_read", lambda: True)
    odd = shutil.copytree(folder, tmp_path / "odd")
    config = json.loads((odd / "config.json").read_text())
    config["quantization_config"]["bnb_4bit_quant_storage"] = "bfloat16"
    (odd / "config.json").write_text(json.dumps(config))
    weights = load_file(odd / "model.safetensors")
    for name in [n for n, each in weights.items() if each.shape[1:] == (1,)]:
        weights[name] = weights[name].view(-1).view(torch.bfloat16).unsqueeze(1)
    save_file(weights, odd / "model.safetensors", {"format": "pt"})
    with pytest.raises(LoadError, match=r"4 bits\) in a way that PPO Workbench cannot train"):
        load_policy(str(odd), CPU, quiet)


def test_before_the_first_run_it_is_exported_unpacked(loaded, tmp_path):
    PPOTrainer(loaded.policy, TextReward(len), loaded.policy_tokenizer).export(
        str(tmp_path / "saved")
    )
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    torch.testing.assert_close(logits(plain), logits(loaded.policy.model), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("changes", "says"), [
    ({"lora_rank": 0}, r"only adapters beside them can be trained: set LoRA rank \(lora_rank\)"),
    ({"value_model": "policy"}, r"cannot learn values: set Value model \(value_model\) to shared")])
def test_what_would_train_packed_weights_is_refused(loaded, changes, says):
    ppo = PPOTrainer(loaded.policy, TextReward(len), loaded.policy_tokenizer)
    with pytest.raises(UnsupportedModelError, match=says):
        ppo.begin(PROMPTS, settings(**changes))
    ppo.begin(PROMPTS, settings())


def test_memory_is_estimated_and_nothing_is_changed_by_it(loaded):
    model = loaded.policy.model
    before = packed_bytes(model)
    footprint = ValueFootprint(loaded.policy, TextReward(len))
    unpacked = sum(layer.in_features * layer.out_features
                   for layer in four_bit.packed_layers(model).values())
    plain = 4 * (four_bit.count(model) - unpacked)
    assert plain + unpacked / 2 < footprint.weights.bytes < plain + 4 * unpacked
    assert footprint.trained(settings()) == sum(
        4 * (layer.in_features + layer.out_features)
        for layer in four_bit.packed_layers(model).values()) + model.config.hidden_size + 1
    needs = PPOMemory(footprint, Workload(prompt=8, scored=24, compared=1))
    assert needed(needs.phases(settings())) > 0
    assert all(torch.equal(packed_bytes(model)[name], before[name]) for name in before)


@pytest.mark.parametrize("load", [load_policy, load_reward])
def test_elsewhere_it_is_refused_and_what_it_needs_is_said(load, tmp_path, monkeypatch):
    if load is load_policy:  # for no reward model does it matter what is there
        monkeypatch.setattr(four_bit, "can_be_read", lambda: False)
    folder = save_llama(tmp_path / "policy", tokenizer())
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(LoadError, match=rf"is quantised \(bitsandbytes, 4 bits\).*{HINT}"):
        load(str(folder), CPU, quiet)


def test_both_gpu_and_package_are_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for there in (True, False):
        monkeypatch.setattr(four_bit, "find_spec", lambda _, there=there: there or None)
        assert four_bit.can_be_read() is there
    monkeypatch.setattr(four_bit, "find_spec", lambda _: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not four_bit.can_be_read()
