"""The Try dock: prompts completed now by several policies side by side."""
