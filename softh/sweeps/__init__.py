"""Sweeps: a recipe of models and revisions, run here, on Ray or through Slurm."""
