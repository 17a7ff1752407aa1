"""Kahneman-Tversky optimisation, learning from single marks: formulas, cycle and declaration."""
