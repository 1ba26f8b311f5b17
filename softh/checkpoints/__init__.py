"""A model's name to a verified local checkpoint."""
