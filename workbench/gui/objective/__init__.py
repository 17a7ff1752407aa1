"""The loss as a sum of terms, and the trust region that a cycle kept to."""
