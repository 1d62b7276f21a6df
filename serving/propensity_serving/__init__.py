"""The serving door."""
