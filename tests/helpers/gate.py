"""Where a test's reward file waits until it is let through."""

import threading

entered, passed = threading.Event(), threading.Event()
CODE = """from helpers.gate import entered, passed

def reward(prompts, completions):
    entered.set()
    assert passed.wait(60)
    return [1.0 for _ in completions]
"""
