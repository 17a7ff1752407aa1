"""Take points from completions that are too short, too long or repeat themselves.

A model can learn to please a reward with one word said again and again, or with no words at all.
This score is 0 at best and -2 at worst; added to another reward, it makes such answers not worth
while.

Needs nothing but Python. Copy this file to write a reward of your own: the workbench calls
`reward` once for all the completions of a cycle and wants one number for each, in the same
order. Higher is better.
"""

SHORTEST = 8  # words; what is shorter loses points
LONGEST = 40  # words; what is longer loses points
GROUP = 3  # a repetition is a group of this many words that was there before


def length_score(words: list[str]) -> float:
    """Return 0 from SHORTEST to LONGEST words; -1 for no words, or for twice LONGEST."""
    if len(words) < SHORTEST:
        return len(words) / SHORTEST - 1
    return max(-1.0, min(0.0, 1 - len(words) / LONGEST))


def repetition_score(words: list[str]) -> float:
    """Return minus the share of groups of words that came before: 0 when all differ."""
    groups = [tuple(words[i : i + GROUP]) for i in range(len(words) - GROUP + 1)]
    return len(set(groups)) / len(groups) - 1 if groups else 0.0


def reward(prompts: list[str], completions: list[str]) -> list[float]:
    """Return a score from -2 to 0 for each completion."""
    scores = []
    for completion in completions:
        words = completion.lower().split()
        scores.append(length_score(words) + repetition_score(words))
    return scores
