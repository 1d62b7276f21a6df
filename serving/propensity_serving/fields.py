"""Single values that several kinds of requests carry, checked; every fault is a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request

from propensity.contract import one_text
from propensity_serving.problems import Problem

MAX_TEXT = 200
"""Characters of an id; databases index no text of any length."""
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
MAX_AHEAD = timedelta(days=1)
"""How far a clock elsewhere may be ahead of ours."""


class Unfit(ValueError):  # noqa: N818 - it says what a value is
    """A value that cannot be used; the message is a sentence for whoever sent it."""


def text_of(name: str, value: Any) -> str:
    """An id or a name as the contract keeps it: a number as a text, no blanks around it.

    Raises
    ------
    Unfit
        It is missing, blank, no single value, longer than `MAX_TEXT` characters, or holds a NUL.
    """
    if value is None:
        raise Unfit(f"{name}: is missing")
    if isinstance(value, (bool, dict, list)):
        raise Unfit(f"{name}: expected a text, found {_word(value)}")
    if isinstance(value, float) and not isfinite(value):
        raise Unfit(f"{name}: expected a text, found a number without an end")
    text = one_text(value).strip()
    if not text:
        raise Unfit(f"{name}: expected a text, found a blank")
    if len(text) > MAX_TEXT:
        raise Unfit(f"{name}: expected at most {MAX_TEXT} characters, found {len(text):,}")
    if "\0" in text:
        raise Unfit(f"{name}: holds a NUL character, which no text may have")
    return text


def choice_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of several words.

    Raises
    ------
    Unfit
    """
    if not isinstance(value, str) or value not in choices:
        raise Unfit(f"{name}: expected one of {', '.join(choices)}, found {shown(value)}")
    return value


def moment_of(name: str, value: Any, now: datetime) -> datetime:
    """When something happened, UTC: a time with its zone (RFC 3339), from 1970 to a day ahead of our clock.

    Raises
    ------
    Unfit
    """
    expected = "a time with a time zone, such as 2026-01-31T09:00:00Z"
    try:
        if not isinstance(value, str):
            raise ValueError
        found = datetime.fromisoformat(value.strip().upper())
        if found.tzinfo is None:
            raise ValueError
        found = found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Unfit(f"{name}: expected {expected}, found {shown(value)}") from error
    if found < EARLIEST:
        raise Unfit(f"{name}: expected a time from 1970 on, found {shown(value)}")
    if found > now + MAX_AHEAD:
        raise Unfit(f"{name}: is more than a day in the future ({shown(value)}); it is now {now:%Y-%m-%dT%H:%M:%SZ}")
    return found


def shown(value: Any) -> str:
    """A value as a sentence may show it: short, for it may be a customer's."""
    if value is None or isinstance(value, (bool, dict, list)):
        return _word(value)
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "..."


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else str(value).lower()


class _Rest(Convertor[str]):
    """All that is left of a path: ids may hold slashes, even line breaks."""

    regex = r"(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("customer", _Rest())


def customer_in_path(request: Request) -> str:
    """The customer id that a path ends in (``{customer_id:customer}``), by the rules for bodies.

    Raises
    ------
    Problem
        422.
    """
    try:
        return text_of("customer_id", request.path_params["customer_id"])
    except Unfit as error:
        raise Problem(422, "Request not understood", str(error)) from error
