"""The Hyperparameters dock."""
