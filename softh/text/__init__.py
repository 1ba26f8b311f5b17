"""Text and its tokenized documents."""
