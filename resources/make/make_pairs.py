"""Makes the bundled pairs: `python resources/make/make_pairs.py`.

The bundled policy completes each of the bundled prompts 66 times, the bundled reward model scores
what it wrote, and of each prompt the best completion stands against the worst, the second best
against the second worst, and so on (workbench/store/run_pairs.py). Seeded: the same models give the
same pairs on the same machine.
"""

from __future__ import annotations

import argparse
import gzip
from dataclasses import replace
from pathlib import Path

import torch

from workbench import assets
from workbench.feedback.loading import load_reward
from workbench.models.control import Unattended
from workbench.models.device import find_placement
from workbench.models.loading import load_policy
from workbench.models.randomness import Stream, uniforms
from workbench.models.sampling import sample
from workbench.store.pair_files import pair_lines
from workbench.store.prompt_files import read_prompts
from workbench.store.records import CompletionRecord
from workbench.store.run_pairs import pairs_of_scored

LENGTH = 48
AT_ONCE = 11
"""Completions of each prompt that are written at once."""
LEAST = 0.25
"""The least difference in score."""


@torch.no_grad()
def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description="Makes the bundled pairs.")
    parser.add_argument("--out", type=Path, default=assets.DEFAULT_PAIRS)
    parser.add_argument("--each", type=int, default=66, help="completions of each prompt")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    placement, control = find_placement(), Unattended()
    loaded = load_policy(str(assets.BUNDLED_POLICY), placement, lambda text, share: None)
    judge = load_reward(str(assets.BUNDLED_REWARD), placement, lambda text, share: None).reward
    tokenizer = loaded.policy_tokenizer
    prompts = read_prompts(assets.DEFAULT_PROMPTS).prompts * AT_ONCE
    ids = tokenizer.encode(prompts, LENGTH)
    written, count = [], len(prompts) // AT_ONCE
    for time in range(options.each // AT_ONCE):
        noise = uniforms(options.seed, Stream.BEST_OF, time, len(prompts), LENGTH)
        done = sample(loaded.policy, ids, noise, temperature=1.0, eos_ids=tokenizer.eos_ids,
                      control=control)
        exchanges = [tokenizer.exchange(prompt, own, response) for prompt, own, response in zip(
            prompts, ids, done.responses(), strict=True)]
        scores = judge.score(exchanges, control=control).tolist()
        written += [
            CompletionRecord(time, place % count, prompts[place].text, exchange.completion, score,
                             0.0, int(length), bool(ended))
            for place, (exchange, score, length, ended) in enumerate(zip(
                exchanges, scores, done.lengths.tolist(), done.ended.tolist(), strict=True))]
        print(f"{(time + 1) * AT_ONCE} of {options.each}", flush=True)
    found = pairs_of_scored(prompts, written, least=LEAST)
    # More than two decimals of a margin would only fill the file.
    lines = pair_lines(replace(pair, margin=round(pair.margin or 0.0, 2))
                       for pair in found.pairs).encode()
    options.out.parent.mkdir(exist_ok=True)
    # Without the time of day, so that the same pairs are the same file.
    options.out.write_bytes(gzip.compress(lines, 9, mtime=0))
    print(f"{found.summary} {options.out.stat().st_size / 1000:.0f} kB in {options.out}")


if __name__ == "__main__":
    main()
