"""Forms for models, texts, pairs and scores of a reader's own, and the panel of jobs."""
