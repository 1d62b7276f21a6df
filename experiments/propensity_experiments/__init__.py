"""The experiments door."""
