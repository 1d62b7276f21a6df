"""The data scientist's door: train, assess and register models."""
