"""Models in memory, forward passes, hidden states and their cache."""
