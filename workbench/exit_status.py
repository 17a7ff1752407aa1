"""What the command ``ppo-workbench`` ends with; 0 is success."""

FAILED = 1
"""The run failed."""
UNUSABLE = 2
"""What was asked for cannot be done."""
UNWELL = 3
"""Stopped for a rule of the health check."""
INTERRUPTED = 130
"""Stopped by Ctrl+C."""
