"""What a cycle learned from, token by token."""
