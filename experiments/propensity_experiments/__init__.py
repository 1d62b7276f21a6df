"""The marketer's door: what an experiment brought in, and what to do next."""
