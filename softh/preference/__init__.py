"""The preference probe: information about which of two answers was preferred."""
