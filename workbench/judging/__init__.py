"""An AI that says which of two completions is better."""
