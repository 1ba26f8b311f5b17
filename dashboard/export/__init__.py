"""Figures and decks as files: bytes from Plotly figures, without a session and without a network."""
