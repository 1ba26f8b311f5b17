"""The information plane of language models: what they keep and what they forget."""

__version__ = "0.1.0"
