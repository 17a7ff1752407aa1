"""Reward friendly completions, by VADER's lexicon of words and their feelings.

VADER (Hutto and Gilbert, 2014) knows some 7,500 words and how "very", "not", capitals and
exclamation marks change them. Its compound score runs from -1 (hostile) to 1 (friendly).

Needs the package vaderSentiment:  pip install vaderSentiment
Copy this file to write a reward of your own: the workbench calls `reward` once for all the
completions of a cycle and wants one number for each, in the same order. Higher is better.
"""

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

# Built once, when the file is loaded: it reads its lexicon from disk.
ANALYZER = SentimentIntensityAnalyzer()


def reward(prompts: list[str], completions: list[str]) -> list[float]:
    """Return VADER's compound score of each completion, from -1 to 1."""
    return [ANALYZER.polarity_scores(completion)["compound"] for completion in completions]
