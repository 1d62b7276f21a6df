"""CloudEvents 1.0 over HTTP, in each of its content modes, as rows of the contract's outcomes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any
from urllib.parse import unquote_to_bytes

import pandas as pd
from starlette.requests import Request

from propensity import contract
from propensity_serving.bodies import read_json
from propensity_serving.fields import Unfit, choice_of, moment_of, shown, text_of
from propensity_serving.problems import Problem
from propensity_serving.receipts import items_of

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
SPEC_VERSION = "1.0"
TYPE_PREFIX = "propensity.outcome."
_HEADER = "ce-"
_TYPE = re.compile(rf"(?:(?:[\w-]+\.)*{re.escape(TYPE_PREFIX)})?(?P<outcome>\w+)")


@dataclass(frozen=True)
class Reported:
    """Events as they came.

    Attributes
    ----------
    events : list
        JSON values, each meant to be an event.
    declared : bool
        Whether the request says that it carries CloudEvents; then each event must name the version of the format.
    """

    events: list[Any]
    declared: bool


async def read_events(request: Request) -> Reported:
    """The events of a request in structured, batch or binary mode, or as plain JSON: one event or a list.

    Raises
    ------
    Problem
        400 not JSON, 413 too large, 415 another format of CloudEvents than JSON, 422 not events at all or too many.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    declared = media_type.startswith("application/cloudevents")
    if declared and media_type not in (STRUCTURED, BATCH):
        detail = f"content-type: expected {STRUCTURED}, {BATCH} or application/json, found {shown(media_type)}"
        raise Problem(415, "Format not supported", detail)
    if not declared and any(name.startswith(_HEADER) for name in request.headers):
        data = await read_json(request, may_be_empty=True)
        return Reported([{**_attributes(request), "data": data}], declared=True)
    return Reported(items_of(await read_json(request), "an event"), declared)


def _attributes(request: Request) -> dict[str, str]:
    """An event's attributes in binary mode, from the headers; the words of the specification, section 3.1.3."""
    found = {}
    for name, value in request.headers.items():
        if name.startswith(_HEADER):
            if len(value) > 1 and value[0] == value[-1] == '"':
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            text = unquote_to_bytes(value.encode("latin-1")).decode("utf-8", errors="replace")
            found[name.removeprefix(_HEADER)] = text
    return found


@dataclass
class CheckedEvents:
    """Every event of a request is in one of the two, by its number there.

    Attributes
    ----------
    rows : dict of dict
        Rows of the contract's outcomes.
    faults : dict of str
        Sentences.
    """

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)

    def reject(self, number: int, fault: str) -> None:
        """Take an event out that turned out to be at fault."""
        del self.rows[number]
        self.faults[number] = fault

    @property
    def table(self) -> pd.DataFrame:
        """The rows as a checked contract table; of events with the same source and id the first."""
        rows = list({(row["source"], row["event_id"]): row for row in reversed(self.rows.values())}.values())
        return contract.check("outcomes", pd.DataFrame(rows, dtype=object)).good


def check_events(reported: Reported, currency: str, now: datetime) -> CheckedEvents:
    """Check each event on its own: one bad event never fails the rest.

    Parameters
    ----------
    reported : Reported
    currency : str
        The playbook's; an event that names another one is at fault.
    now : datetime
        When the request came: the time of events that name none.
    """
    checked = CheckedEvents()
    for number, event in enumerate(reported.events):
        try:
            checked.rows[number] = _row(event, reported.declared, currency, now)
        except Unfit as error:
            checked.faults[number] = str(error)
    return checked


def _row(event: Any, declared: bool, currency: str, now: datetime) -> dict[str, Any]:
    """One event as a row of the contract's outcomes."""
    if not isinstance(event, dict):
        raise Unfit(f"event: expected an object, found {shown(event)}")
    version = event.get("specversion", None if declared else SPEC_VERSION)
    if version != SPEC_VERSION:
        raise Unfit(f'specversion: expected "{SPEC_VERSION}", found {shown(version)}')
    data = _data(event)
    decision_id, at = data.get("decision_id"), event.get("time")
    return {
        "event_id": text_of("id", event.get("id")),
        "source": text_of("source", event.get("source")),
        "customer_id": _customer(event, data),
        "decision_id": None if decision_id is None else text_of("data.decision_id", decision_id),
        "at": now if at is None else moment_of("time", at, now),
        "type": outcome_type(event.get("type")),
        "amount": _amount(data, currency),
    }


def outcome_type(value: Any) -> str:
    """The contract's word for an event's type: ``purchased``, ``propensity.outcome.purchased``, or the latter after
    a company's own domain (``org.example.propensity.outcome.purchased``).

    Raises
    ------
    Unfit
    """
    if value is None:
        raise Unfit("type: is missing")
    found = _TYPE.fullmatch(value) if isinstance(value, str) else None
    return choice_of("type", found["outcome"] if found else value, contract.OUTCOME_TYPES)


def _data(event: dict[str, Any]) -> dict[str, Any]:
    if event.get("data_base64") is not None:
        raise Unfit("data_base64: send the data as an object in data")
    data = event.get("data")
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise Unfit(f"data: expected an object, found {shown(data)}")
    return data


def _customer(event: dict[str, Any], data: dict[str, Any]) -> str:
    """Whom it happened to: ``data.customer_id``, else the event's ``subject``."""
    if data.get("customer_id") is not None:
        return text_of("data.customer_id", data["customer_id"])
    if event.get("subject") is None:
        raise Unfit("subject: is missing, and so is data.customer_id; one of them names the customer")
    return text_of("subject", event["subject"])


def _amount(data: dict[str, Any], currency: str) -> float | None:
    """Money in the playbook's currency; below 0 it is a refund."""
    stated, amount = data.get("currency"), data.get("amount")
    if stated is not None and str(stated).strip().upper() != currency.upper():
        raise Unfit(f"data.currency: expected {currency}, the playbook's, found {shown(stated)}")
    if amount is None:
        return None
    try:
        number = float("nan") if isinstance(amount, bool) else float(amount)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not isfinite(number):
        raise Unfit(f"data.amount: expected a finite number, found {shown(amount)}")
    return number
