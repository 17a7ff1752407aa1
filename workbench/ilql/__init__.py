"""Implicit language Q-learning: offline, from what earlier runs wrote."""
