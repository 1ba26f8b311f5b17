"""Benchmark scores from tables, lm-evaluation-harness and the hub."""
