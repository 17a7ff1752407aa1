"""The guide: what a first run shows, card by card, and what came of a run that has ended."""
