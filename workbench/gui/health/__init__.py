"""What the health check says."""
