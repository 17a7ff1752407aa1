"""The experiment database and everything on disk. sqlite-utils; no Qt, no torch."""
