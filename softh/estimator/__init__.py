"""The soft-entropy estimator: hidden states and labels to entropies and measures."""
