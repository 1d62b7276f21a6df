"""What every page of the house shares: its look, its charts and its words. A page carries everything inside."""

from propensity.pages.environment import environment

__all__ = ["environment"]
