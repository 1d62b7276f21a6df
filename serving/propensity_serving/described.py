"""Parts of the service's description that several routes share."""

from __future__ import annotations

from typing import Any

from propensity.contract import PRIVATE, Column

_TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "time": {"type": "string", "format": "date-time"},
    "flag": {"type": "boolean"},
}
OPTIONAL_TEXT = {"type": ["string", "null"]}
OPTIONAL_NUMBER = {"type": ["number", "null"]}
PROBLEM = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds until it is worth asking again"}}


def problems(*statuses: str) -> dict[str, Any]:
    """Responses that are problems, by status."""
    return {status: {**PROBLEM, **({"headers": _RETRY_AFTER} if status == "503" else {})} for status in statuses}


def columns_object(columns: list[Column], *, required: list[str]) -> dict[str, Any]:
    """An object with a key for each column of a contract table."""
    properties = {}
    for column in columns:
        kind = dict(_TYPES[column.kind])
        if column.choices is not None:
            kind["enum"] = list(column.choices)
        if column.name in PRIVATE:
            kind["writeOnly"] = True
        unit = f" ({column.unit})" if column.unit else ""
        properties[column.name] = {**kind, "description": column.meaning + unit}
    return {"type": "object", "required": required, "properties": properties}
