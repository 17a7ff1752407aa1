"""Where the files that ship with the workbench lie, in a checkout and in an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# A wheel carries both folders inside the package; a checkout has them beside it.
_BASE = _PACKAGE if (_PACKAGE / "resources").is_dir() else _PACKAGE.parent

RESOURCES = _BASE / "resources"
SAMPLE_PROMPTS = _BASE / "sample_prompts"

BUNDLED_POLICY = RESOURCES / "models" / "policy"
BUNDLED_REWARD = RESOURCES / "models" / "reward"
EXAMPLE_REWARDS = {name: RESOURCES / "rewards" / f"{name}.py"
                   for name in ("vader", "length_and_repetition")}
DEFAULT_PROMPTS = SAMPLE_PROMPTS / "review_openings.txt"
DEFAULT_PAIRS = RESOURCES / "pairs" / "review_pairs.jsonl.gz"
"""Pairs that the bundled models make (`resources/make/make_pairs.py`)."""
