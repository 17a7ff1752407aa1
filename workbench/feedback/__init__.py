"""What says which text is better: reward models, Python files, weighted sums. torch; no Qt."""
