"""Uploaded models and texts: received, checked in a sandbox, published by content."""
