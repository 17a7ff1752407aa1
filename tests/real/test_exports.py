"""An exported policy is the run's, or there is none: it is read back and held against the run."""

import json
import resource
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import transformers as tf
from helpers.folders import save_llama, save_policy, tokenizer, words
from helpers.models import CPU, TextReward

from workbench.models.control import Interrupted
from workbench.models.loading import load_policy
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.training.exporting import ExportError, export

pytestmark = pytest.mark.slow


def quiet(text: str, share: float) -> None:
    pass


def save_resized(folder: Path) -> Path:
    """Save a Llama whose tied embedding has grown with its tokenizer."""
    known = words()
    save_llama(folder, known, tie_word_embeddings=True)
    model = tf.LlamaForCausalLM.from_pretrained(folder)
    known.add_tokens(["<e1>", "<e2>"])
    model.resize_token_embeddings(len(known))
    model.save_pretrained(folder)
    known.save_pretrained(folder)
    return folder


KINDS = {
    "gpt2": save_policy,
    "llama": lambda folder: save_llama(folder, words()),
    "tied and resized": save_resized,
    "head with a bias": lambda folder: save_llama(
        folder, words(), kind=tf.PhiForCausalLM, num_key_value_heads=4),
    "experts": lambda folder: save_llama(
        folder, words(), kind=tf.MixtralForCausalLM, num_local_experts=2),
}


def trained(folder: Path, lora_rank: int = 0) -> PPOTrainer:
    """Return PPO whose policy is not its start any more."""
    loaded = load_policy(str(folder), CPU, quiet)
    ppo = PPOTrainer(loaded.policy, TextReward(len), loaded.policy_tokenizer)
    ppo.begin(["the tea was hot", "a cat"], Hyperparameters(lora_rank=lora_rank))
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in ppo.policy.trained()[0]:
            parameter += 0.1 * torch.randn_like(parameter)
    return ppo


@pytest.fixture
def ppo(tmp_path):
    return trained(save_policy(tmp_path / "policy"))


def logits(model, ids):
    return model(input_ids=torch.tensor([ids])).logits


@pytest.mark.parametrize("lora_rank", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_what_is_exported_is_the_policy(tmp_path, kind, lora_rank):
    ppo = trained(KINDS[kind](tmp_path / "policy"), lora_rank)
    before = {name: tensor.clone() for name, tensor in ppo.policy.model.state_dict().items()}
    assert export(ppo, str(tmp_path / "deep" / "out"), quiet) == ""
    found = tf.AutoModelForCausalLM.from_pretrained(tmp_path / "deep" / "out")
    start = tf.AutoModelForCausalLM.from_pretrained(tmp_path / "policy")
    for ids in ppo.prompt_ids:
        right = ppo.policy.logits(ppo.policy.hidden_states(torch.tensor([ids])))
        torch.testing.assert_close(logits(found, ids), right, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(logits(start, ids), right, atol=1e-2)
    assert found.config.tie_word_embeddings == start.config.tie_word_embeddings
    after = ppo.policy.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_a_tokenizer_that_transformers_reads_otherwise_is_said(tmp_path):
    """It puts Qwen2's rules over any tokenizer.json of a qwen2 folder."""
    ppo = trained(save_llama(tmp_path / "policy", words(), kind=tf.Qwen2ForCausalLM))
    assert export(ppo, str(tmp_path / "out"), quiet) == (
        "The AutoTokenizer of the installed transformers does not read its tokenizer.json as the "
        "run did, because the model is of the kind qwen2; read that with PreTrainedTokenizerFast.")
    texts = [prompt.text for prompt in ppo.prompts]
    found = tf.PreTrainedTokenizerFast.from_pretrained(tmp_path / "out")
    assert found(texts)["input_ids"] == ppo.prompt_ids
    assert tf.AutoTokenizer.from_pretrained(tmp_path / "out")(texts)["input_ids"] != ppo.prompt_ids


def test_adapters_are_merged_without_a_second_model(tmp_path, monkeypatch):
    from peft import LoraModel

    ppo = trained(save_policy(tmp_path / "policy"), 2)
    monkeypatch.setattr(LoraModel, "merge_and_unload", None)
    assert export(ppo, str(tmp_path / "out"), quiet) == ""


def damage_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-4000:] = bytes(4000)
    file.write_bytes(data)


def damage_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")


def leave_out(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()


def break_off(folder: Path) -> None:
    raise KeyboardInterrupt  # as from a library that knows no better


@pytest.mark.parametrize(("damage", "sentence"), [
    (damage_weights, "its logits differ from the run's by .* please report this"),
    (damage_template, "its tokenizer reads the prompts otherwise; please report this"),
    (leave_out, "it cannot be read back: The tokenizer of it cannot be read; please report this"),
    (break_off, r"could not be written to .*out \(KeyboardInterrupt\); choose another folder"),
])
def test_an_export_that_is_not_the_policy_is_none(
    ppo, tmp_path, monkeypatch, damage, sentence
):
    write = PPOTrainer.export

    def damaged(self, folder, *_):
        write(self, folder)
        damage(Path(folder))

    monkeypatch.setattr(PPOTrainer, "export", damaged)
    with pytest.raises(ExportError, match=sentence):
        export(ppo, str(tmp_path / "new" / "out"), quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]


@contextmanager
def no_file_beyond(size: int):
    """Let no file grow beyond ``size`` bytes, which to a program is a full disk."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of file sizes")
@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_a_disk_that_is_full_leaves_nothing(tmp_path, file):
    known = tokenizer()
    if file == "tokenizer.json":
        known.add_tokens([f"<{i:09}>" for i in range(3_000)])
    folder = save_llama(tmp_path / "policy", known, hidden_size=4, num_attention_heads=1,
                        num_key_value_heads=1, num_hidden_layers=1, tie_word_embeddings=True)
    sizes = {f.name: f.stat().st_size for f in folder.iterdir()}
    ppo = trained(folder)
    assert sizes[file] == max(sizes.values())
    with no_file_beyond(sizes[file] - 1), pytest.raises(ExportError, match="could not be written"):
        export(ppo, str(tmp_path / "out"), quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]
    assert export(ppo, str(tmp_path / "out"), quiet) == ""


def test_an_export_can_be_cancelled(ppo, tmp_path):
    told = []

    def cancel(text, share):
        told.append((text, share))
        if "Reading back" in text:
            raise Interrupted

    with pytest.raises(ExportError, match=r"^The export was cancelled; nothing was wr"):
        export(ppo, str(tmp_path / "out"), cancel)
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]
    assert told[0][0].startswith("Writing the policy to")
    assert all(0 < share < 1 for _, share in told)


def test_what_has_no_room_to_be_read_back_is_said(ppo, tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 0}))
    assert "too little memory to read it back" in export(ppo, str(tmp_path / "out"), quiet)
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_generation_settings_that_do_not_go_together_are_exported_as_they_are(tmp_path):
    folder = save_policy(tmp_path / "policy")
    (folder / "generation_config.json").write_text(json.dumps(
        {"temperature": 0.6, "top_p": 0.9, "do_sample": False, "eos_token_id": 0}))
    assert export(trained(folder), str(tmp_path / "out"), quiet) == ""
    saved = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert (saved["temperature"], saved["eos_token_id"]) == (0.6, 0)


def test_what_is_not_made_anew_is_copied(tmp_path):
    beside = {"preprocessor_config.json": '{"size": 8}', "processor_config.json": "{}",
              "video_preprocessor_config.json": "{}", "tokenizer.model": "as llama.cpp wants it"}
    policy = save_policy(tmp_path / "policy")
    for name, text in (beside | {"README.md": "Of another model."}).items():
        (policy / name).write_text(text)
    assert export(trained(policy, lora_rank=2), str(tmp_path / "out"), quiet) == ""
    written = {f.name: f.read_bytes() for f in (tmp_path / "out").iterdir()}
    assert {name: written[name].decode() for name in beside} == beside
    assert "README.md" not in written
