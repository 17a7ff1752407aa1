"""The tree of runs: its list, forks, overlays and compared settings."""
