"""Training a reward model on pairs: formulas, cycle and declaration."""
