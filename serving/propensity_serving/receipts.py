"""What became of each item of a request that reports something: the same words for every such route."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from propensity_serving.problems import Problem

ACCEPTED, DUPLICATE, REJECTED = "accepted", "duplicate", "rejected"
STATUSES = (ACCEPTED, DUPLICATE, REJECTED)
MAX_ITEMS = 1_000


def items_of(content: Any, what: str) -> list[Any]:
    """The items of a body that is one object or a list of them.

    Raises
    ------
    Problem
        422: it is neither, or a list of more than `MAX_ITEMS`.
    """
    if isinstance(content, dict):
        return [content]
    if not isinstance(content, list):
        raise Problem(422, "Request not understood", f"body: expected {what} (an object) or a list of them")
    if len(content) > MAX_ITEMS:
        detail = f"body: expected at most {MAX_ITEMS:,} in a request, found {len(content):,}; send them in parts"
        raise Problem(422, "Request not understood", detail)
    return content


def receipt(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts by status, and one result an item, in the order given."""
    counts = Counter(result["status"] for result in results)
    return {**{status: counts[status] for status in STATUSES}, "results": list(results)}


def rejected(error: str, **item: Any) -> dict[str, Any]:
    """The result of an item that cannot be used."""
    return {**item, "status": REJECTED, "error": error}


def receipt_schema(item: dict[str, Any]) -> dict[str, Any]:
    """What `openapi.json` says of a receipt whose results also have these keys."""
    result = {
        **item,
        "status": {
            "type": "string",
            "enum": list(STATUSES),
            "description": "duplicate: it was there already, and nothing changed",
        },
        "error": {"type": "string", "description": "why it was rejected; sent again as it is, it will be again"},
    }
    return {
        "type": "object",
        "required": [*STATUSES, "results"],
        "properties": {
            **{status: {"type": "integer", "minimum": 0} for status in STATUSES},
            "results": {
                "type": "array",
                "items": {"type": "object", "required": ["status"], "properties": result},
            },
        },
    }
