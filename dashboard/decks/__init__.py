"""Decks of slides: files of links, their rendering and their controls."""
