"""Of models that also read pictures, the part that reads text is trained, and all is exported."""

import pytest
import torch
import transformers as tf
from helpers.folders import tokenizer
from helpers.models import CPU
from helpers.rows_alone import differences

from workbench.models.capabilities import Capabilities
from workbench.models.control import Unattended
from workbench.models.loading import load_policy
from workbench.models.sources import LoadError
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import parse

VOCABULARY = 257
TEXT = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "max_position_embeddings": 128, "initializer_range": 0.3, "eos_token_id": 3,
    "pad_token_id": 1, "bos_token_id": 2,
}
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
          "num_attention_heads": 2, "image_size": 16, "patch_size": 8}
MROPE = {"type": "mrope", "mrope_section": [1, 1, 2], "rope_type": "default"}
MODELS = {
    "gemma3": lambda: tf.Gemma3ForConditionalGeneration(tf.Gemma3Config(
        text_config=TEXT | {"sliding_window": 8}, vision_config=VISION, mm_tokens_per_image=4,
        boi_token_index=4, eoi_token_index=5, image_token_index=6)),
    "llava": lambda: tf.LlavaForConditionalGeneration(tf.LlavaConfig(
        text_config=tf.LlamaConfig(**TEXT), vision_config=tf.CLIPVisionConfig(**VISION),
        image_token_index=6)),
    "qwen2_5_vl": lambda: tf.Qwen2_5_VLForConditionalGeneration(tf.Qwen2_5_VLConfig(
        text_config=TEXT | {"rope_scaling": MROPE}, vision_config={
            "depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
            "out_hidden_size": 32, "patch_size": 8, "window_size": 16,
            "fullatt_block_indexes": [0]})),
    "idefics3": lambda: tf.Idefics3ForConditionalGeneration(tf.Idefics3Config(
        text_config=tf.LlamaConfig(**TEXT), vision_config=VISION, image_token_id=6)),
}


def save(model, folder):
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(std=0.3)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def quiet(*_):
    pass


class Length:
    def score(self, exchanges, *, control, phase=None):
        return torch.tensor([float(len(set(e.completion))) for e in exchanges])


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("name", MODELS)
def test_the_part_that_reads_text_is_trained(name, rank, tmp_path):
    torch.manual_seed(0)
    loaded = load_policy(save(MODELS[name](), tmp_path / "p"), CPU, quiet)
    assert any("what reads pictures or sound stays as it is" in note for note in loaded.notes)
    assert loaded.policy.capabilities == Capabilities(
        trunk=loaded.policy.capabilities.trunk,
        branches=name != "gemma3")  # which looks back through a window
    assert loaded.policy.capabilities.trunk
    if not rank:
        assert max(differences(loaded.policy, [[7, 8, 9], [10], list(range(7, 20))])) <= 2e-4
    before = {k: v.clone() for k, v in loaded.policy.model.state_dict().items()}
    ppo = PPOTrainer(loaded.policy, Length(), loaded.policy_tokenizer)
    hp = parse({"batch_size": 4, "response_length": 5, "learning_rate": 1e-2, "lora_rank": rank,
                "num_ppo_epochs": 1})
    ppo.begin(["ab", "a longer one"], hp)
    metrics = ppo.run_cycle(1, hp, [0], Unattended()).metrics
    assert metrics["val/ratio_start"] < 1e-4
    assert metrics["objective/kl"] == pytest.approx(0, abs=1e-3)
    ppo.export(tmp_path / "out")
    after = tf.AutoModelForMultimodalLM.from_pretrained(tmp_path / "out").state_dict()
    assert after.keys() == before.keys()
    pictures = [k for k in before if "vision" in k or "visual" in k]
    assert pictures
    assert all(torch.equal(after[k], before[k]) for k in pictures)
    assert any(not torch.equal(after[k], before[k]) for k in before if k not in pictures)


def test_one_that_reads_ahead_is_refused(tmp_path):
    model = tf.PaliGemmaForConditionalGeneration(tf.PaliGemmaConfig(
        text_config=tf.GemmaConfig(**TEXT), vision_config=tf.SiglipVisionConfig(**VISION),
        image_token_index=6))
    folder = save(model, tmp_path / "p")
    with pytest.raises(LoadError, match="reads in both directions"):
        load_policy(folder, CPU, quiet)
