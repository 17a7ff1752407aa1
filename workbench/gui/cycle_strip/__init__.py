"""The cycle in hand, part by part, under the tool bar."""
