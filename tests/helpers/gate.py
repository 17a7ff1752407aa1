"""Where a test's reward file waits until it is let through."""

import threading

entered, passed = threading.Event(), threading.Event()
CODE = """from helpers.gate import entered, passed
from helpers.patience import SECONDS

def reward(prompts, completions):
    entered.set()
    assert passed.wait(SECONDS)
    return [1.0 for _ in completions]
"""
