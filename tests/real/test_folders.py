"""Folders as people own them: read, or refused in one sentence that names the cause."""

import json
import pickle
import shutil
import struct

import psutil
import pytest
import torch
import transformers as tf
from helpers.folders import save_gguf, save_llama, words
from helpers.models import CPU
from safetensors.torch import load_file, save_file

from workbench.feedback.loading import load_reward
from workbench.models import weight_files
from workbench.models.loading import load_policy
from workbench.models.sources import LoadError

POINTER = ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e"
           "\nsize 123456\n")


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    save_llama(base / "reward", words(pad_token="<pad>"), num_labels=1,
               kind=tf.LlamaForSequenceClassification)
    return save_llama(base / "policy", words()).parent


@pytest.fixture(params=["policy", "reward"])
def folder(request, made, tmp_path):
    return shutil.copytree(made / request.param, tmp_path / request.param)


@pytest.fixture
def policy(made, tmp_path):
    return shutil.copytree(made / "policy", tmp_path / "policy")


def load(folder):
    kind = load_reward if folder.name == "reward" else load_policy
    return kind(str(folder), CPU, quiet)


def refused(folder, match):
    with pytest.raises(LoadError, match=match) as caught:
        load(folder)
    assert str(caught.value).count("\n") == 0
    return caught.value


def configure(folder, **settings):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_git_lfs_pointer_is_no_file(folder, name):
    (folder / name).write_text(POINTER)
    refused(folder, rf"holds pointers of git-lfs in place of files \({name}\); run `git lfs pull`")


def test_a_shard_that_is_missing_is_named(folder):
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    shards = {f"model-0000{n}-of-00002.safetensors": names[n - 1 :: 2] for n in (1, 2)}
    for shard, keys in shards.items():
        save_file({k: weights[k] for k in keys}, folder / shard, {"format": "pt"})
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {
        key: shard for shard, keys in shards.items() for key in keys}}))
    assert load(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    refused(folder, "are incomplete: model-00002-of-00002.safetensors is missing; download")
    index.write_text("[]")
    refused(folder, r"model.safetensors.index.json .*lists the files of its weights, is damaged")


def test_weights_of_an_unusual_name_are_named(policy):
    (policy / "model.safetensors").rename(policy / "model.fp16.safetensors")
    refused(policy, r"no weights under a name that transformers reads \(model.safetensors\): it "
            "holds model.fp16.safetensors")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(folder, bad):
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights["model.norm.weight"][0] = bad
    save_file(weights, file, {"format": "pt"})
    refused(folder, r"not all finite numbers \(model.norm.weight holds NaN or infinity\)")


def test_weights_in_half_precision_and_as_pickles_of_numbers_are_read(policy):
    right = load(policy).policy.model.lm_head.weight
    weights = load_file(policy / "model.safetensors")
    (policy / "model.safetensors").unlink()
    torch.save({k: w.to(torch.bfloat16) for k, w in weights.items()}, policy / "pytorch_model.bin")
    found = load(policy).policy.model.lm_head.weight
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, right, atol=0.01, rtol=0.01)


def test_a_pickle_that_would_run_code_is_refused_without_advice_to_let_it(policy, tmp_path):
    class Hello:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (policy / "model.safetensors").unlink()
    for save in (torch.save, lambda x, file: file.write_bytes(pickle.dumps(x, protocol=2))):
        save({"weight": Hello()}, policy / "pytorch_model.bin")
        error = refused(policy, "are a pickle that holds more than numbers.*; get the model as")
        assert error.__cause__ is None
        assert error.__suppress_context__
    assert not (tmp_path / "ran").exists()


def test_truncated_weights_are_damaged_and_other_shapes_are_not(policy):
    whole = (policy / "model.safetensors").read_bytes()
    (policy / "model.safetensors").write_bytes(whole[:-1])
    refused(policy, "cannot be read; the file may be damaged or incomplete")
    (policy / "model.safetensors").write_bytes(whole)
    configure(policy, intermediate_size=40)
    refused(policy, "have other shapes than its config.json says")


def test_a_padding_token_without_weights_is_the_configurations_fault(folder):
    configure(folder, pad_token_id=32_000)
    refused(folder, r"The config.json of .* names a padding token \(pad_token_id\) that its "
            "weights have no row for; correct it there, or set it to null.")


def test_an_output_without_a_name_has_its_number(made, tmp_path):
    folder = shutil.copytree(made / "reward", tmp_path / "reward")
    configure(folder, id2label={"1": "good"})
    assert load(folder).labels == ("LABEL_0",)


def test_where_no_architecture_is_named_the_weights_tell(folder):
    configure(folder, architectures=None)
    assert load(folder)
    weights = load_file(folder / "model.safetensors")
    head = "score.weight" if folder.name == "reward" else "lm_head.weight"
    del weights[head]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    refused(folder, rf"are incomplete \({head} missing\)")


@pytest.mark.parametrize(("quantised", "says"), [
    ({"quant_method": "gptq", "bits": 4}, "gptq, 4 bits"),
    ({"quant_method": "fp8"}, "fp8"), ({"quant_method": "mxfp4"}, "mxfp4"),
    ({"load_in_8bit": True}, "bitsandbytes, 8 bits"),
    ({"quant_method": "exl9", "bits": 3}, "exl9, 3 bits")])
def test_quantised_weights_are_refused_by_method(folder, quantised, says):
    configure(folder, quantization_config=quantised)
    refused(folder, rf"is quantised \({says}\): its weights cannot be trained; choose the original")


def test_a_name_that_transformers_does_not_know_is_the_settings_fault(folder):
    configure(folder, hidden_act="siluu")
    refused(folder, r"The config.json of .* names 'siluu', which the installed transformers does "
            "not know; correct it there")


def test_a_link_to_nowhere_is_named(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("../blobs/abc")
    refused(folder, r"model.safetensors is a link to a file that is not there \(\.\./blobs/abc\); "
            "download the model again")


@pytest.mark.parametrize("architectures", ["LlamaForCausalLM", [7]])
def test_architectures_that_are_no_list_of_names_are_damage(folder, architectures):
    configure(folder, architectures=architectures)
    refused(folder, "The config.json of .* is damaged")


@pytest.mark.parametrize(("dtype", "says"), [
    (torch.int8, "I8"), (torch.uint8, "U8"), (torch.float8_e4m3fn, "F8_E4M3")])
def test_weights_that_were_quantised_without_a_word_are_not_taken_for_plain_numbers(
    folder, dtype, says
):
    weights = load_file(folder / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    weights[name] = (weights[name] * 50).to(dtype)
    weights["model.layers.0.mlp.up_proj.weight_scale"] = torch.tensor(0.02)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    refused(folder, rf"is quantised, though its config.json does not say how: {name} is stored as "
            rf"{says}. Its weights cannot be trained; choose the original model")


def test_code_of_its_own_is_not_run(folder):
    (folder / "modeling_new.py").write_text("raise SystemExit('ran')")
    configure(folder, model_type="brand_new", auto_map={
        "AutoConfig": "modeling_new.Config", "AutoModelForCausalLM": "modeling_new.Model"})
    refused(folder, r"brings program code of its own \(modeling_new.py\), which PPO Workbench does "
            r"not run, and the installed transformers does not know its kind \(brand_new\)")


def test_a_known_kind_is_read_without_the_code_beside_it(folder):
    (folder / "modeling_llama.py").write_text("raise SystemExit('ran')")
    configure(folder, auto_map={"AutoModelForCausalLM": "modeling_llama.Model"})
    assert load(folder)


@pytest.mark.parametrize("text", ["{", "[]", "null", "[" * 100_000, '{"model_type": {}}'])
def test_a_damaged_configuration_is_named(folder, text):
    (folder / "config.json").write_text(text)
    refused(folder, "config.json")


def test_an_unknown_architecture_is_named(folder):
    configure(folder, model_type="brand_new")
    refused(folder, r"names an architecture \(brand_new\) that is unknown to the installed")


def test_what_is_not_used_is_said(policy):
    weights = load_file(policy / "model.safetensors")
    save_file({**weights, "v_head.summary.bias": torch.zeros(1), "v_head.summary.weight":
               torch.zeros(1, 32)}, policy / "model.safetensors", {"format": "pt"})
    (policy / "generation_config.json").write_text(json.dumps(
        {"do_sample": True, "top_k": 2, "repetition_penalty": 5.0, "eos_token_id": 3}))
    assert load(policy).notes == (
        "The policy's folder also holds weights that are not used (v_head.summary.bias and 1 "
        "more).",
        "What the policy's generation_config.json says of top_k, repetition_penalty is not used: "
        "PPO samples from the whole distribution.")


def test_values_that_bend_nothing_are_not_warned_of(policy):
    (policy / "generation_config.json").write_text(json.dumps(
        {"do_sample": True, "top_k": 0, "temperature": 1.0, "top_p": 1.0, "eos_token_id": 3}))
    assert load(policy).notes == ()


def test_a_model_larger_than_memory_is_not_called_damaged(folder, monkeypatch):
    class Nothing:
        available = free = 1000

    with monkeypatch.context() as without:
        without.setattr(psutil, "virtual_memory", Nothing)
        without.setattr(psutil, "swap_memory", Nothing)
        refused(folder, r"does not fit into memory: its weights take 0 MiB once they are read, "
                "and 0 MiB are free; choose a smaller model")

    def full(*_, **__):
        try:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        except RuntimeError as error:
            raise ValueError("could not convert the weights") from error

    monkeypatch.setattr(tf.AutoModelForCausalLM, "from_pretrained", full)
    monkeypatch.setattr(tf.AutoModelForSequenceClassification, "from_pretrained", full)
    refused(folder, "does not fit into memory; choose a smaller model")


def test_the_size_is_that_of_all_shards_and_numbers(policy):
    weights = load_file(policy / "model.safetensors")
    assert sum(weight_files._numbers(policy)) == sum(w.numel() for w in weights.values())


STRING, ARRAY = 8, 9


def header(*, tensors=0, entries=1, key=b"general.architecture", kind=STRING, value=b"", extra=b""):
    text = struct.pack("<Q", len(key)) + key
    return (b"GGUF" + struct.pack("<IQQ", 3, tensors, entries) + text + struct.pack("<I", kind)
            + value + extra)


@pytest.mark.parametrize("data", [
    header(kind=ARRAY, value=struct.pack("<IQ", STRING, 2**40)),
    header(kind=ARRAY, value=struct.pack("<IQ", 4, 2**62)),
    header(kind=ARRAY, value=struct.pack("<IQ", ARRAY, 2**40)),
    header(kind=ARRAY, value=struct.pack("<IQ", ARRAY, 1) * 20),
    header(value=struct.pack("<Q", 2**62)),
    header(entries=2**60), header(tensors=2**60), header(kind=77),
    header(tensors=1, value=struct.pack("<Q", 5) + b"llama",
           extra=struct.pack("<Q", 1) + b"a" + struct.pack("<I", 2**31)),
    header(tensors=1, value=struct.pack("<Q", 5) + b"llama",
           extra=struct.pack("<Q", 1) + b"a" + struct.pack("<IQQIQ", 2, 2**40, 2**20, 0, 0)),
], ids=["strings", "numbers", "arrays", "nested", "long string", "entries", "tensors", "type",
        "dimensions", "shape"])
def test_a_gguf_header_that_claims_the_absurd_is_refused_at_once(data, tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(data)
    with pytest.raises(LoadError, match="is damaged or incomplete; download it again"):
        load_policy(str(file), CPU, quiet)


def test_a_gguf_header_as_it_should_be_is_read(tmp_path):
    save_gguf(tmp_path / "model.gguf")
    assert load_policy(str(tmp_path / "model.gguf"), CPU, quiet).policy


def test_a_gguf_file_larger_than_memory_is_not_called_damaged(tmp_path, monkeypatch):
    class Nothing:
        available = free = 1000

    file = tmp_path / "model.gguf"
    save_gguf(file)
    with monkeypatch.context() as without:
        without.setattr(psutil, "virtual_memory", Nothing)
        without.setattr(psutil, "swap_memory", Nothing)
        with pytest.raises(LoadError, match="does not fit into memory: its weights take"):
            load_policy(str(file), CPU, quiet)

    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(tf.AutoModelForCausalLM, "from_pretrained", full)
    with pytest.raises(LoadError, match="does not fit into memory; choose a smaller model"):
        load_policy(str(file), CPU, quiet)


def test_a_gguf_file_that_is_a_pointer_says_so(tmp_path):
    (tmp_path / "model.gguf").write_text(POINTER)
    with pytest.raises(LoadError, match="is a pointer of git-lfs in place of the file; run"):
        load_policy(str(tmp_path / "model.gguf"), CPU, quiet)


@pytest.mark.parametrize("before", ["_orig_mod.", "module."])
def test_names_that_a_wrapper_has_left_are_told_from_weights_that_lack(policy, before):
    weights = load_file(policy / "model.safetensors")
    save_file({before + name: tensor for name, tensor in weights.items()},
              policy / "model.safetensors", {"format": "pt"})
    with pytest.raises(LoadError, match=f"have “{before}” before their names, as a wrapper"):
        load_policy(str(policy), CPU, lambda *_: None)


def test_attention_of_another_machine_is_not_asked_for(folder):
    configure(folder, attn_implementation="flash_attention_2")
    loaded = load(folder)
    model = loaded.reward.model if folder.name == "reward" else loaded.policy.model
    assert model.config._attn_implementation in ("sdpa", "eager")


def test_outputs_without_names_are_not_asked_for(folder):
    configure(folder, return_dict=False)
    assert load(folder)
