"""Decides whom to win back, with what, and reports what it brought in."""

__version__ = "0.1.0"
