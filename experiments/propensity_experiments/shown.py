"""Figures as the page shows them: rounded for the eye, the exact number beside it for machines.

Each is an HTML ``data`` element whose ``value`` is the number as it stands in the JSON file; ``data-times`` and
``data-per`` say by what it was multiplied and divided before rounding.
"""

from __future__ import annotations

import math

from markupsafe import Markup

from propensity.assessment import PEOPLE
from propensity.evaluation import Estimate
from propensity.pages.words import chance, signed
from propensity_experiments.contents import Measure

NOTHING = Markup('<span class="none" title="not known">–</span>')
_DIGITS = {"share": 1, "people": 0, "ratio": 2, "days": 0}


def figure(
    value: float | None, times: float = 1, per: float | None = None, digits: int = 0, sign: bool = False
) -> Markup:
    """A number times something, out of something; a dash where there is none."""
    if value is None or not math.isfinite(value) or per == 0:
        return NOTHING
    number = value * times / (1 if per is None else per)
    # what rounds to nothing has no sign
    text = signed(number, digits) if sign else f"{round(number, digits) + 0.0:,.{digits}f}"
    scale = Markup("") if times == 1 else Markup(' data-times="{}"').format(times)
    base = Markup("") if per is None else Markup(' data-per="{}"').format(per)
    return Markup('<data value="{}"{}{}>{}</data>').format(value, scale, base, text)


def percent(value: float | None, per: float | None = None, digits: int = 1) -> Markup:
    """A share in per cent."""
    shown = figure(value, 100, per, digits)
    return shown if shown == NOTHING else shown + Markup("\u00a0%")


def probability(p_value: float | None) -> Markup:
    """A probability in words."""
    if p_value is None or not math.isfinite(p_value):
        return NOTHING
    return Markup('<data value="{}" data-words>{}</data>').format(p_value, chance(p_value).replace(" %", "\u00a0%"))


def estimate(found: Estimate | None, times: float = PEOPLE, digits: int = 1, inline: bool = False) -> Markup:
    """A difference with its interval below or, in a sentence, behind it; per 1,000 people unless said otherwise."""
    if found is None or not math.isfinite(found.value):
        return NOTHING
    return between(found.value, found.low, found.high, times, digits, inline)


def between(value: float, low: float, high: float, times: float = 1, digits: int = 1, inline: bool = False) -> Markup:
    """A signed number with its interval below or, in a sentence, behind it."""
    at, bottom, top = (figure(x, times, digits=digits, sign=True) for x in (value, low, high))
    form = " (95 % sure: {} to {})" if inline else '<span class="sure">{} to {}</span>'
    return at + Markup(form).format(bottom, top)


def measure(found: Measure, currency: str) -> Markup:
    """A measure in its unit, with its interval where it has one."""
    value = _of_unit(found.value, found, currency)
    if found.low is None or found.high is None or found.value is None:
        return value
    low, high = (_of_unit(x, found, "") for x in (found.low, found.high))
    return value + Markup('<span class="sure">{} to {}</span>').format(low, high)


def _of_unit(value: float | None, found: Measure, currency: str) -> Markup:
    if found.unit == "share":
        return percent(value)
    if found.unit == "money":
        # small sums are per person or per return, where cents count
        digits = 0 if max(abs(x) for x in (found.value, found.low, found.high) if x is not None) >= 100 else 2
        shown = figure(value, digits=digits)
        return Markup("{} {}").format(currency, shown) if currency and shown != NOTHING else shown
    shown = figure(value, digits=_DIGITS[found.unit])
    return shown + Markup(" days") if found.unit == "days" and currency and shown != NOTHING else shown
