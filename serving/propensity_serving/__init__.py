"""The campaign tool's door: decisions over HTTP."""
