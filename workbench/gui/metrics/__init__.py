"""Live plots of a run: what each metric did, cycle by cycle."""
