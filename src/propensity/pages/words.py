"""Figures as words, the same on every page and terminal."""

from __future__ import annotations

from propensity.evaluation import Estimate


def interval(estimate: Estimate, digits: int = 1, sign: bool = False) -> str:
    """A value with its interval: ``76.1 (95 % sure: 67.0 to 85.2)``."""
    level = f"{estimate.level:.0%}".replace("%", " %")
    value, low, high = (
        signed(x, digits) if sign else f"{x:,.{digits}f}" for x in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} ({level} sure: {low} to {high})"


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign; nothing is 0."""
    text = f"{value:+,.{digits}f}"
    return text.lstrip("+-") if not any(c in "123456789" for c in text) else text


def chance(p_value: float) -> str:
    """A probability in words: ``90 %``, ``1.2 %``, ``fewer than 1 in 10,000``."""
    if p_value < 1e-4:
        return "fewer than 1 in 10,000"
    return f"{p_value:.1%}".replace("%", " %") if p_value < 0.1 else f"{p_value:.0%}".replace("%", " %")


def action_words(action: str) -> str:
    """An action's label as words."""
    return action.replace("_", " ")
