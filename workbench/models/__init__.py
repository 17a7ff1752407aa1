"""Language models, whatever is learned with them. torch; no Qt, no database."""
