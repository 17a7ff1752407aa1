"""What could have come next at a place of a completion, and what would have come of it."""
