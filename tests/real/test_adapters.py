"""An adapter's folder is loaded with its base, as a policy and as a reward model."""

import json
import shutil

import pytest
import torch
import transformers as tf
from helpers.folders import save_llama, words
from helpers.models import CPU
from peft import IA3Config, LoHaConfig, LoraConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file

from workbench.feedback.loading import load_reward
from workbench.models.control import Unattended
from workbench.models.fingerprints import fingerprint
from workbench.models.loading import load_policy
from workbench.models.sources import LoadError
from workbench.records import Exchange

TEXT = "the tea was hot"
# peft asks transformers for what has another name now.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")]


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    save_llama(folder / "classifier", words(pad_token="<pad>"), num_labels=1,
               kind=tf.LlamaForSequenceClassification)
    return save_llama(folder / "base", words(pad_token="<pad>"))


def adapt(kind, base, folder, config, tokenizer=None, **more):
    """Save an adapter of random weights; return the model that it makes of its base."""
    model = kind.from_pretrained(base, **more)
    if tokenizer is not None:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        tokenizer.save_pretrained(folder)
    torch.manual_seed(5)
    adapted = get_peft_model(model, config)
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, 1.0 if "ia3" in name else 0.0, 0.3)
    adapted.save_pretrained(folder, save_embedding_layers=tokenizer is not None)
    return adapted.eval()


def logits(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0]


@pytest.mark.parametrize("config", [
    LoraConfig(r=2, task_type="CAUSAL_LM", target_modules="all-linear"),
    LoraConfig(r=2, task_type="CAUSAL_LM", target_modules=["q_proj"], use_dora=True,
               modules_to_save=["lm_head"]),
    IA3Config(task_type="CAUSAL_LM", target_modules=["k_proj", "down_proj"],
              feedforward_modules=["down_proj"])], ids=["lora", "dora and head", "ia3"])
def test_a_policy_is_its_base_with_the_adapter(base, tmp_path, config):
    right = adapt(tf.AutoModelForCausalLM, base, tmp_path / "a", config)
    loaded = load_policy(str(tmp_path / "a"), CPU, quiet)
    [ids] = loaded.policy_tokenizer.encode([TEXT], 4)
    assert ids == [4, 5, 6, 7]
    torch.testing.assert_close(
        logits(loaded.policy.model, ids), logits(right, ids), atol=1e-4, rtol=1e-4)
    assert not any("lora" in name or "ia3" in name for name, _ in
                   loaded.policy.model.named_modules())
    assert all(p.requires_grad for p in loaded.policy.parameters())


def test_an_adapter_may_bring_tokens_of_its_own(base, tmp_path):
    known = words("<extra>", pad_token="<pad>")
    right = adapt(tf.AutoModelForCausalLM, base, tmp_path / "a", LoraConfig(
        r=2, task_type="CAUSAL_LM", target_modules=["q_proj"],
        modules_to_save=["embed_tokens", "lm_head"]), known)
    loaded = load_policy(str(tmp_path / "a"), CPU, quiet)
    [ids] = loaded.policy_tokenizer.encode([f"{TEXT} <extra>"], 4)
    assert ids == [4, 5, 6, 7, 20]
    torch.testing.assert_close(
        logits(loaded.policy.model, ids), logits(right, ids), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("config", "shared"), [
    ({"target_modules": ["q_proj", "lm_head"]}, False),
    ({"target_modules": ["q_proj", "embed_tokens"]}, False),
    ({"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}, False),
    ({"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]}, False),
    ({"target_modules": ["q_proj"], "trainable_token_indices": [5, 6]}, True),
    ({"target_modules": ["q_proj"]}, True)],
    ids=["head", "embedding", "whole head", "both anew", "rows", "neither"])
def test_what_is_added_to_a_shared_weight_is_not_added_twice(tmp_path, config, shared):
    """Words are looked up and predicted with one weight, and an adapter adds to it in one place."""
    tied = save_llama(tmp_path / "base", words(pad_token="<pad>"), tie_word_embeddings=True)
    right = adapt(tf.AutoModelForCausalLM, tied, tmp_path / "a", LoraConfig(
        r=2, task_type="CAUSAL_LM", **config))
    model = load_policy(str(tmp_path / "a"), CPU, quiet).policy.model
    ids = [4, 5, 6, 7]
    torch.testing.assert_close(logits(model, ids), logits(right, ids), atol=1e-4, rtol=1e-4)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == shared
    model.save_pretrained(tmp_path / "saved")
    again = tf.AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    assert again.config.tie_word_embeddings == shared
    torch.testing.assert_close(logits(again, ids), logits(right, ids), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("config", [
    LoraConfig(r=2, target_modules=["q_proj"]),
    LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"]),
    IA3Config(target_modules=["k_proj"], feedforward_modules=[]),
    LoHaConfig(r=2, target_modules=["q_proj"])], ids=["lora", "head", "ia3", "loha"])
def test_an_adapter_that_lacks_a_weight_is_not_loaded_without_it(base, tmp_path, config):
    adapt(tf.AutoModelForCausalLM, base, tmp_path / "a", config)
    load_policy(str(tmp_path / "a"), CPU, quiet)
    file = tmp_path / "a" / "adapter_model.safetensors"
    weights = load_file(file)
    del weights[next(name for name in sorted(weights, reverse=True))]
    save_file(weights, file)
    with pytest.raises(LoadError, match=f"The adapter {tmp_path / 'a'} does not fit its base"):
        load_policy(str(tmp_path / "a"), CPU, quiet)


def test_an_adapter_that_depends_on_what_is_read_is_not_merged(base, tmp_path):
    """Activated LoRA (Greenewald et al. 2025) is in force after some tokens only."""
    adapt(tf.AutoModelForCausalLM, base, tmp_path / "a", LoraConfig(
        r=2, task_type="CAUSAL_LM", target_modules=["q_proj"], alora_invocation_tokens=[9, 4]))
    with pytest.raises(LoadError, match=r"is an adapter \(LORA\) that cannot be merged into its"):
        load_policy(str(tmp_path / "a"), CPU, quiet)


@pytest.mark.parametrize("of", ["classifier", "base"])
def test_a_reward_model_is_its_base_with_adapter_and_head(base, tmp_path, of):
    """Its base is a classifier, or a language model to which the adapter brings the head."""
    right = adapt(
        tf.AutoModelForSequenceClassification, base.parent / of, tmp_path / "r",
        LoraConfig(r=2, task_type="SEQ_CLS", target_modules=["q_proj"], modules_to_save=["score"]),
        num_labels=1)
    reward = load_reward(str(tmp_path / "r"), CPU, quiet).reward
    score = reward.score([Exchange("", TEXT, TEXT)], control=Unattended())
    torch.testing.assert_close(score, logits(right, [4, 5, 6, 7]), atol=1e-4, rtol=1e-4)


def test_kinds_are_not_mixed_up(base, tmp_path):
    config = LoraConfig(r=2, task_type="SEQ_CLS", target_modules=["q_proj"])
    adapt(tf.AutoModelForSequenceClassification, base, tmp_path / "r", config, num_labels=1)
    with pytest.raises(LoadError, match=r"adapter for another task \(SEQ_CLS\)"):
        load_policy(str(tmp_path / "r"), CPU, quiet)
    adapt(tf.AutoModelForCausalLM, base, tmp_path / "p", LoraConfig(
        r=2, task_type="CAUSAL_LM", target_modules=["q_proj"]))
    with pytest.raises(LoadError, match="is no sequence classifier"):
        load_reward(str(tmp_path / "p"), CPU, quiet)


def change(folder, **settings):
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


@pytest.fixture
def adapter(base, tmp_path):
    adapt(tf.AutoModelForCausalLM, base, tmp_path / "a", LoraConfig(
        r=2, task_type="CAUSAL_LM", target_modules=["q_proj"]))
    return tmp_path / "a"


def test_an_adapter_without_its_base_names_both(adapter, base):
    for settings, says in (
        ({"base_model_name_or_path": "/moved/away"},
         r"/a is an adapter \(LORA\) of /moved/away, and that cannot be had. There is no folder"),
        ({"base_model_name_or_path": ""}, r"is an adapter \(LORA\) that does not name its base"),
        ({"base_model_name_or_path": str(adapter)}, "which is an adapter itself"),
        ({"base_model_name_or_path": str(base), "r": 3}, "does not fit its base"),
        ({"base_model_name_or_path": str(base.parent / "classifier")}, "classifier is a reward"),
    ):
        change(adapter, **settings)
        with pytest.raises(LoadError, match=says.replace("classifier is a", "is a")):
            load_policy(str(adapter), CPU, quiet)


def test_an_adapter_of_a_quantised_base_says_so(adapter, base, tmp_path):
    quantised = shutil.copytree(base, tmp_path / "q")
    config = json.loads((quantised / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (quantised / "config.json").write_text(json.dumps(config))
    change(adapter, base_model_name_or_path=str(quantised))
    with pytest.raises(LoadError, match=r"is quantised \(bitsandbytes, 4 bits\)"):
        load_policy(str(adapter), CPU, quiet)


def test_an_adapter_that_cannot_be_merged_says_so(base, tmp_path):
    adapt(tf.AutoModelForCausalLM, base, tmp_path / "a", PromptTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=3))
    with pytest.raises(LoadError, match=r"of a kind \(PROMPT_TUNING\) that cannot be merged"):
        load_policy(str(tmp_path / "a"), CPU, quiet)


def test_a_base_beside_its_adapter_is_found_and_known_again(adapter, base):
    shutil.copytree(base, adapter / "base")
    change(adapter, base_model_name_or_path="base")
    assert load_policy(str(adapter), CPU, quiet)
    before = fingerprint(str(adapter))
    generation = adapter / "base" / "generation_config.json"
    generation.write_text("{}")
    assert fingerprint(str(adapter)) != before


def test_settings_of_an_adapter_without_its_weights(adapter, base, tmp_path):
    folder = shutil.copytree(base, tmp_path / "b")
    shutil.copy(adapter / "adapter_config.json", folder)
    with pytest.raises(LoadError, match=r"holds an adapter_config.json and no adapter's weights"):
        load_policy(str(folder), CPU, quiet)


@pytest.mark.filterwarnings("ignore::peft.utils.warning.PeftWarning")
def test_an_adapter_with_a_bias_for_layers_without_says_so(base, tmp_path):
    adapt(tf.AutoModelForCausalLM, base, tmp_path / "a", LoraConfig(
        r=2, task_type="CAUSAL_LM", target_modules=["q_proj"], lora_bias=True))
    with pytest.raises(LoadError, match=r"is an adapter \(LORA\) that cannot be merged into its "
                       r"base .* \(.*bias.*\); choose a model with weights of its own"):
        load_policy(str(tmp_path / "a"), CPU, quiet)
