"""The window. Imports no torch: it speaks to a run by commands, events and store queries."""
