"""The training door."""
