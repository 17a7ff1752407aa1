"""A run as a thing you can steer: commands in, events out, one background thread. No Qt."""
