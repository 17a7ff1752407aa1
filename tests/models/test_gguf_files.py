"""A GGUF file is a policy like any other, once read."""

import copy
import math
import sys

import numpy as np
import pytest
import torch
from helpers.folders import save_gguf, save_policy
from helpers.models import CPU, TextReward
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench.feedback.loading import load_reward
from workbench.models.control import Interrupted
from workbench.models.loading import load_policy
from workbench.models.sources import LoadError
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import parse

CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
IDS = torch.arange(12).unsqueeze(0)


def quiet(text, share):
    assert text
    assert 0 <= share <= 1


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


def test_what_was_written_is_read(tmp_path):
    written = save_gguf(tmp_path / "m.gguf")
    loaded = load_policy(str(tmp_path / "m.gguf"), CPU, quiet)
    torch.testing.assert_close(logits(loaded.policy.model), logits(written))
    assert loaded.policy_tokenizer.eos_ids == (0,)
    assert loaded.policy.context_length == 128
    assert loaded.policy.model.get_input_embeddings().weight is (
        loaded.policy.model.get_output_embeddings().weight)
    [ids] = loaded.policy_tokenizer.encode(["héllo 1"], 8)
    assert loaded.policy_tokenizer.tokenizer.decode(ids) == "héllo 1"


def test_a_folder_with_one_file_will_do(tmp_path):
    save_gguf(tmp_path / "a" / "m.gguf")
    load_policy(str(tmp_path / "a"), CPU, quiet)
    save_gguf(tmp_path / "a" / "other.gguf")
    with pytest.raises(LoadError, match=r"holds 2 GGUF files \(m.gguf, ...\); choose one"):
        load_policy(str(tmp_path / "a"), CPU, quiet)


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_quantised_weights_train_and_are_saved(tmp_path, unattended, lora_rank):
    written = save_gguf(tmp_path / "m.gguf", quantised=True)
    loaded = load_policy(str(tmp_path / "m.gguf"), CPU, quiet)
    start = logits(loaded.policy.model)
    torch.testing.assert_close(start, logits(written), atol=0.3, rtol=0)
    copy.deepcopy(loaded.policy.model)
    ppo = PPOTrainer(loaded.policy, TextReward(len), loaded.policy_tokenizer)
    hp = parse({"num_cycles": 1, "batch_size": 4, "response_length": 5, "learning_rate": 1e-2,
                "lora_rank": lora_rank})
    ppo.begin(["ab", "c"], hp)
    ppo.run_cycle(1, hp, [0], unattended)
    trained = logits(ppo.policy.model)
    assert not torch.allclose(trained, start, atol=1e-3)
    ppo.export(str(tmp_path / "saved"))
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    torch.testing.assert_close(logits(plain), trained, atol=1e-4, rtol=1e-4)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert tokenizer("ab 12")["input_ids"] == loaded.policy_tokenizer.encode(["ab 12"], 1)[0]


def test_its_chat_template_is_used(tmp_path):
    save_gguf(tmp_path / "m.gguf", **{"tokenizer.chat_template": CHAT})
    policy_tokenizer = load_policy(
        str(tmp_path / "m.gguf"), CPU, quiet, use_chat_template=True
    ).policy_tokenizer
    [ids] = policy_tokenizer.encode(["hello"], 8)
    assert policy_tokenizer.tokenizer.decode(ids) == "<user>hello<assistant>"


def test_reading_can_be_watched_and_cancelled(tmp_path):
    save_gguf(tmp_path / "m.gguf")
    seen = []

    def cancel(text, share):
        seen.append(text)
        if share > 0.7:
            raise Interrupted

    with pytest.raises(Interrupted):
        load_policy(str(tmp_path / "m.gguf"), CPU, cancel)
    assert seen.count("Unpacking the policy's weights") > 2


@pytest.mark.parametrize("share", [0.05, 0.5, 0.999])
def test_a_file_cut_short(tmp_path, share):
    file = tmp_path / "m.gguf"
    save_gguf(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(LoadError, match="is damaged or incomplete; download it again"):
        load_policy(str(file), CPU, quiet)


LLAMA3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
FACTORS = (1.0, 1.5, 2.0, 4.0, 8.0, 8.0, 9.5, 1e3)


def by_factors(factors):
    return {"rope_type": "longrope", "short_factor": list(factors), "long_factor": list(factors),
            "attention_factor": 1.0, "original_max_position_embeddings": 128}


def llama3_factors(rope):
    """As llama.cpp's converter has them (convert_hf_to_gguf.py, LlamaModel.generate_extra_tensors),
    here for heads of 16 numbers and a base of 10,000."""
    found = []
    for inverse in 10_000.0 ** (np.arange(0, 16, 2) / 16):
        length, original = 2 * math.pi * inverse, rope["original_max_position_embeddings"]
        smooth = (original / length - rope["low_freq_factor"]) / (
            rope["high_freq_factor"] - rope["low_freq_factor"])
        found.append(1.0 if length < original / rope["high_freq_factor"] else
                     rope["factor"] if length > original / rope["low_freq_factor"] else
                     1 / ((1 - smooth) / rope["factor"] + smooth))
    return found


SMALL3 = LLAMA3 | {"factor": 8.0, "original_max_position_embeddings": 64}


@pytest.mark.parametrize(("rope", "factors", "strings", "numbers", "as_read"), [
    (LLAMA3, llama3_factors(LLAMA3), {}, {}, LLAMA3),
    (SMALL3, llama3_factors(SMALL3), {}, {}, by_factors(llama3_factors(SMALL3))),
    (by_factors(FACTORS), FACTORS, {}, {}, by_factors(FACTORS)),
    ({"rope_type": "linear", "factor": 4.0}, (), {"qwen2.rope.scaling.type": "linear"},
     {"qwen2.rope.scaling.factor": 4.0}, {"rope_type": "linear", "factor": 4.0}),
    ({"rope_type": "linear", "factor": 4.0}, (), {}, {"qwen2.rope.scale_linear": 4.0},
     {"rope_type": "linear", "factor": 4.0}),
    (YARN, (), {"qwen2.rope.scaling.type": "yarn"},
     {"qwen2.rope.scaling.factor": 4.0, "qwen2.rope.scaling.original_context_length": 32}, YARN),
    (None, (), {"qwen2.rope.scaling.type": "none"}, {}, {"rope_type": "default"}),
    (None, (), {"qwen2.rope.scaling.type": "linear"}, {"qwen2.rope.scaling.factor": 1.0},
     {"rope_type": "default"}),
])
def test_positions_are_scaled_as_the_file_says(
    tmp_path, rope, factors, strings, numbers, as_read
):
    written = save_gguf(tmp_path / "m.gguf", rope=rope, factors=factors, numbers=numbers, **strings)
    model = load_policy(str(tmp_path / "m.gguf"), CPU, quiet).policy.model
    found = dict(model.config.rope_parameters)
    assert found.pop("rope_theta") == 10_000.0
    assert found.keys() == as_read.keys()
    for name, value in as_read.items():
        assert found[name] == (value if isinstance(value, str) else pytest.approx(value))
    ids = (torch.arange(120) * 7 % 200).unsqueeze(0)
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, written(ids).logits, atol=1e-4, rtol=0)
        if rope:
            save_gguf(tmp_path / "plain.gguf")
            plain = load_policy(str(tmp_path / "plain.gguf"), CPU, quiet).policy.model
            assert (plain(ids).logits - written(ids).logits).abs().max() > 1e-3
    model.save_pretrained(tmp_path / "saved")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    with torch.no_grad():
        torch.testing.assert_close(again(ids).logits, written(ids).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("factors", "strings", "numbers", "how"), [
    (FACTORS, {"qwen2.rope.scaling.type": "yarn"}, {"qwen2.rope.scaling.factor": 4.0},
     r"in a way of its own \(yarn\)"),
    ((), {"qwen2.rope.scaling.type": "longrope"}, {}, r"in a way of its own \(longrope\)"),
    ((), {"qwen2.rope.scaling.type": "yarn"},
     {"qwen2.rope.scaling.factor": 4.0, "qwen2.rope.scaling.attn_factor": 2.0},
     r"in a way of its own \(yarn\)"),
])
def test_positions_scaled_in_another_way_are_refused(tmp_path, factors, strings, numbers, how):
    save_gguf(tmp_path / "m.gguf", factors=factors, numbers=numbers, **strings)
    with pytest.raises(LoadError, match=rf"m\.gguf stretches its positions {how}, which .*; load "
                                        "the folder that it was made from"):
        load_policy(str(tmp_path / "m.gguf"), CPU, quiet)


def test_an_architecture_that_is_not_read(tmp_path):
    save_gguf(tmp_path / "m.gguf", architecture="clip")
    with pytest.raises(LoadError, match=r"architecture of .* \(clip\) is not among those"):
        load_policy(str(tmp_path / "m.gguf"), CPU, quiet)


def test_what_is_no_file_of_that_kind(tmp_path):
    other = tmp_path / "m.gguf"
    other.write_bytes(b"something else")
    with pytest.raises(LoadError, match=r"is a file; choose the folder .* or a GGUF file"):
        load_policy(str(other), CPU, quiet)
    for missing in (tmp_path / "no.gguf", "./no.gguf", "no.gguf"):
        with pytest.raises(LoadError, match=r"no file .*no\.gguf( in .+)?; check its name"):
            load_policy(str(missing), CPU, quiet)
    with pytest.raises(LoadError, match=r"somebody/models.* not in the hub's cache .* offline"):
        load_policy("somebody/models/m.gguf", CPU, quiet)


def test_the_reader_may_be_missing(tmp_path, monkeypatch):
    save_gguf(tmp_path / "m.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(LoadError, match="needs the package gguf: install it"):
        load_policy(str(tmp_path / "m.gguf"), CPU, quiet)


def test_it_is_no_reward_model(tmp_path):
    save_gguf(tmp_path / "m.gguf")
    with pytest.raises(LoadError, match="is a file; choose the folder"):
        load_reward(str(tmp_path / "m.gguf"), CPU, quiet)


def test_a_folder_beside_a_file_goes_on_as_before(tmp_path):
    folder = save_policy(tmp_path / "p")
    save_gguf(folder / "m.gguf")
    assert load_policy(str(folder), CPU, quiet).policy.context_length == 128
    assert type(load_policy(str(folder), CPU, quiet).policy.model).__name__ == "GPT2LMHeadModel"
