"""Queries of the pages to the store, cached, and the tables made from them."""
