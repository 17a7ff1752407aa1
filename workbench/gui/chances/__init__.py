"""How likely each token was at a place of a completion, and what changes that."""
