"""Figures and decks in, bytes out: no Streamlit, nothing kept, nothing fetched."""
