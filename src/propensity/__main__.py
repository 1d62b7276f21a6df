"""``python -m propensity``."""

from propensity.cli import main

main()
