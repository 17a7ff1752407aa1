"""Completions that are there already, as the policy reads them: token ids, which are held out, and
which are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.formatting import counted, percent
from workbench.learning.data_lengths import Item, Lengths, of_all_lengths
from workbench.models.policy_tokenizer import PolicyTokenizer, PromptError
from workbench.models.randomness import Stream
from workbench.records import PromptLike, ScoredText


@dataclass(frozen=True, slots=True)
class ReadTexts:
    """The scored completions that can be learned from, ``texts``: ids of prompt and completion of
    each. ``left_out`` counts the others by the reason."""

    texts: Sequence[ScoredText]
    prompts: Sequence[list[int]]
    responses: Sequence[list[int]]
    left_out: Counter[str]

    def __len__(self) -> int:
        return len(self.texts)


def read_texts(
    texts: Sequence[ScoredText], policy_tokenizer: PolicyTokenizer, *, control_tokens: bool,
    never: Collection[str] = (),
) -> ReadTexts:
    """Return scored completions as the policy reads them.

    Args:
        never: prompts of which no completion is learned from.

    Raises:
        PromptError: none can be learned from.
    """
    if not texts:
        raise PromptError("There are no scored completions to learn from; choose a run that has "
                          "some, or a file with scores.")
    left_out: Counter[str] = Counter()
    asked = [text.prompt for text in texts]
    chat = policy_tokenizer.use_chat_template
    encoded = policy_tokenizer.read(asked, control_tokens=control_tokens)
    written = policy_tokenizer.read_answers(asked, encoded, [
        (text.completion.removeprefix(" ") if chat else text.completion, text.ended)
        for text in texts])
    limit = policy_tokenizer.context_length
    kept, prompts, responses = [], [], []
    for text, ids, response in zip(texts, encoded, written, strict=True):
        if text.prompt.text in never:
            left_out["of held-out prompts"] += 1
        elif not response:
            left_out["empty"] += 1
        elif limit is not None and len(ids) + len(response) > limit:
            left_out[f"longer than the policy's {limit:,} tokens"] += 1
        else:
            prompts.append(ids)
            responses.append(response)
            kept.append(text)
    if not kept:
        raise PromptError("None of the scored completions can be learned from: "
                          f"{listed(left_out)}.")
    return ReadTexts(kept, prompts, responses, left_out)


def measure_texts(
    texts: Sequence[ScoredText], policy_tokenizer: PolicyTokenizer, *, control_tokens: bool
) -> Lengths:
    """Return how long ``texts`` are, as the policy reads them.

    Raises:
        PromptError: none can be learned from.
    """
    some = of_all_lengths(texts, lambda t: len(t.prompt.text) + len(t.completion))
    table = read_texts(some, policy_tokenizer, control_tokens=control_tokens)
    items = [Item(len(prompt), (len(response),))
             for prompt, response in zip(table.prompts, table.responses, strict=True)]
    total = sum(item.prompt + sum(item.completions) for item in items)
    return Lengths(items, total * len(texts) // len(items))


def split_by_prompt(
    asked: Sequence[PromptLike], share: float, seed: int, never: Collection[str]
) -> tuple[list[int], list[int]]:
    """Return the places of what is learned from and of what is held out: a share of the prompts,
    and those of ``never``; a prompt is on one of the two sides alone."""
    keys = [(p.text, tuple(p.messages)) for p in asked]
    prompts = list(dict.fromkeys(keys))
    number = min(round(share * len(prompts)), len(prompts) - 1)
    order = np.random.default_rng([seed, Stream.HELD_OUT_PAIRS]).permutation(len(prompts))
    chosen = {prompts[i] for i in order[:number]} | {p for p in prompts if p[0] in never}
    sides: tuple[list[int], list[int]] = ([], [])
    for place, key in enumerate(keys):
        sides[key in chosen].append(place)
    return sides


def sample_of(places: Sequence[int], most: int, seed: int) -> Sequence[int]:
    """Return ``most`` of the places at most, as they are ordered: more of them have the fewer among
    them, for the same ``seed``."""
    if len(places) <= most:
        return places
    order = np.random.default_rng([seed, Stream.EVALUATED]).permutation(len(places))
    return [places[i] for i in sorted(order[:most])]


def remark(
    noun: str, training: int, held_out: int | None, left_out: Counter[str], share: float = 0.0,
    setting: str = "Held-out share",
) -> str:
    """Say in a sentence what is learned from and what is not; ``held_out`` is None where nothing
    ever is, and ``share`` of the prompts were to be, as the setting of this label asks."""
    said = f"{counted(training, noun)} to learn from" + (
        "" if held_out is None else f", {held_out:,} held out")
    if held_out == 0:
        said += (f" (there are too few prompts to hold out {percent(share)} of them)" if share else
                 f" ({setting} is 0)")
    return f"{said}; left out: {listed(left_out)}." if left_out else f"{said}."


def listed(left_out: Counter[str]) -> str:
    """Return how many were left out, by the reason."""
    return ", ".join(f"{number:,} {reason}" for reason, number in left_out.most_common())
