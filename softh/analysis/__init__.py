"""Analyses of stored estimates: phases, seeds, differences, finished models, correlation with scores."""
