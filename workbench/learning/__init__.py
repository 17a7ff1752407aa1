"""What all algorithms do alike: write completions, have them scored, take steps, report."""
