"""Direct preference optimisation: formulas, cycle and declaration."""
