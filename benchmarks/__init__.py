"""Measurements of speed, agreement and spread, and their results."""

from softh import access

access.set_identity_provider(access.Person)  # whoever runs a benchmark owns the machine
