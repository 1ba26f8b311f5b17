"""Plotly figures, built from rows."""
