"""`/v1/suppressions`: who must not be contacted any more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from propensity import contract
from propensity.model import DecisionModel
from propensity_serving.bodies import read_json
from propensity_serving.described import OPTIONAL_TEXT, problems
from propensity_serving.fields import MAX_TEXT, Unfit, choice_of, moment_of, shown, text_of
from propensity_serving.problems import Problem
from propensity_serving.receipts import ACCEPTED, DUPLICATE, MAX_ITEMS, items_of, receipt, receipt_schema, rejected
from propensity_serving.state import ServingState

SOURCE = "suppressions"
"""Source of the events that suppressions are kept as."""
EVENT_OF = {
    "unsubscribed": "unsubscribed",
    "requested": "unsubscribed",
    "complained": "complained",
    "excluded": "excluded",
}
"""The event that a reason is kept as. What people did themselves counts as what contact brought about; what the
company did for reasons of its own (``excluded``) does not."""
KEYS = ("customer_id", "reason", "channel", "at")


def routes(state: ServingState) -> list[BaseRoute]:
    """The routes around a worker's state."""

    async def suppressions(request: Request) -> Response:
        items = items_of(await read_json(request), "a suppression")
        return JSONResponse(await run_in_threadpool(suppress, state, items))

    return [Route("/v1/suppressions", suppressions, methods=["POST"])]


def suppress(state: ServingState, items: list[Any]) -> dict[str, Any]:
    """Suppress people, from the next decision on.

    Raises
    ------
    Problem
        422: not one of the items can be used; that nobody was suppressed must not go unnoticed.
    """
    _, ledger = state.required()
    now = datetime.now(UTC)
    rows: dict[int, dict[str, Any]] = {}
    faults: dict[int, str] = {}
    for number, item in enumerate(items):
        try:
            rows[number] = _event(item, now)
        except Unfit as error:
            faults[number] = str(error)
    if items and not rows:
        where = "" if len(items) == 1 else "of all items; the first: "
        raise Problem(422, "Nobody suppressed", f"{where}{faults[0]}")
    new: set[tuple[str, str]] = set()
    erased: set[str] = set()
    if rows:
        first = list({row["event_id"]: row for row in reversed(rows.values())}.values())
        new = ledger.add_outcomes(contract.check("outcomes", pd.DataFrame(first, dtype=object)).good)
        erased = ledger.erased(sorted({row["customer_id"] for row in first}))
    results = []
    for number, item in enumerate(items):
        if number in faults:
            key = item.get("customer_id") if isinstance(item, dict) else None
            results.append(rejected(faults[number], customer_id=key[:MAX_TEXT] if isinstance(key, str) else None))
            continue
        row = rows[number]
        is_first = (SOURCE, row["event_id"]) in new or row["customer_id"] in erased
        new.discard((SOURCE, row["event_id"]))
        results.append({"customer_id": row["customer_id"], "status": ACCEPTED if is_first else DUPLICATE})
    return receipt(results)


def _event(item: Any, now: datetime) -> dict[str, Any]:
    """A suppression as a row of the contract's outcomes, the same one however often it is sent."""
    if not isinstance(item, dict):
        raise Unfit(f"suppression: expected an object, found {shown(item)}")
    customer_id = text_of("customer_id", item.get("customer_id"))
    if unknown := [str(name) for name in item if name not in KEYS]:
        raise Unfit(f"{unknown[0][:MAX_TEXT]}: is not a key of a suppression; the keys are {', '.join(KEYS)}")
    reason, at = item.get("reason"), item.get("at")
    kind = EVENT_OF["unsubscribed" if reason is None else choice_of("reason", reason, tuple(EVENT_OF))]
    if item.get("channel") is not None:
        text_of("channel", item["channel"])
    return {
        "event_id": f"{kind}:{customer_id}",
        "source": SOURCE,
        "customer_id": customer_id,
        "at": now if at is None else moment_of("at", at, now),
        "type": kind,
    }


def paths() -> dict[str, Any]:
    """What `openapi.json` says of the routes."""
    one = {"$ref": "#/components/schemas/Suppression"}
    return {
        "/v1/suppressions": {
            "post": {
                "summary": "Never contact these people again",
                "description": (
                    "Holds from the next decision on, on every channel, also for people whom the ledger does not know "
                    "yet and against decisions that stand. Sent again it changes nothing. Where not one item can be "
                    "used the answer is 422, so that it does not go unnoticed."
                ),
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {"anyOf": [one, {"type": "array", "maxItems": MAX_ITEMS, "items": one}]}
                        }
                    },
                },
                "responses": {
                    "200": {
                        "description": "One result for each person, in the order given",
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/SuppressionsReceipt"}}
                        },
                    },
                    **problems("400", "413", "415", "422", "500", "503"),
                },
            }
        },
    }


def schemas(model: DecisionModel | None) -> dict[str, Any]:
    """Objects that the paths name."""
    return {
        "Suppression": {
            "type": "object",
            "required": ["customer_id"],
            "additionalProperties": False,
            "properties": {
                "customer_id": {"type": ["string", "number"], "maxLength": MAX_TEXT},
                "reason": {
                    "type": ["string", "null"],
                    "enum": [*EVENT_OF, None],
                    "description": (
                        "default: unsubscribed. excluded: the company's own reasons, such as staff or a lawsuit, which "
                        "are no harm that contact did"
                    ),
                },
                "channel": {
                    **OPTIONAL_TEXT,
                    "description": "where they opted out; it is not kept, they get nothing on any channel",
                },
                "at": {
                    "type": ["string", "null"],
                    "format": "date-time",
                    "description": "when they did; default: now",
                },
            },
        },
        "SuppressionsReceipt": receipt_schema({"customer_id": OPTIONAL_TEXT}),
    }
