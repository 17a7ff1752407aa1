"""How the numbers of completions and tokens are spread, cycle by cycle."""
