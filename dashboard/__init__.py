"""What the pages share: selection, queries, figures and words. Never imports torch or transformers."""
