"""The Judge view: two completions side by side, for a person to say which is better."""
