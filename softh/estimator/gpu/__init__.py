"""The estimator's Triton kernels."""
