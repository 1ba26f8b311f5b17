"""Telling views of the tables as a static site."""
