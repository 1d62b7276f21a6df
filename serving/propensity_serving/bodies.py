"""Bodies of requests, read within their limit."""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.requests import Request

from propensity_serving.fields import shown
from propensity_serving.problems import Problem

MAX_BODY_BYTES = 8 * 1024 * 1024

_MAY_BE_JSON = re.compile(
    r"([^/]+/([^/]+\+)?json|text/plain|application/x-www-form-urlencoded|application/octet-stream)?"
)
"""Media types of JSON, none, and those that tools send without looking: their bodies are read as JSON."""


async def read_json(request: Request, *, may_be_empty: bool = False) -> Any:
    """The request's body as JSON, at most `MAX_BODY_BYTES`, also when its length is not announced.

    An empty body is None where it may be empty.

    Raises
    ------
    Problem
        415 of another media type, 413 too large, 400 not JSON, or text that cannot be stored.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _MAY_BE_JSON.fullmatch(media_type):
        raise Problem(
            415, "Format not supported", f"content-type: expected application/json, found {shown(media_type)}"
        )
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Problem(413, "Body too large", f"the body may have {MAX_BODY_BYTES} bytes; send fewer at once")
    if may_be_empty and not body:
        return None
    try:
        content = _parsed(body)
        if b"\\u" in body:  # only an escape can hide half a character or a NUL
            text = json.dumps(content, ensure_ascii=False)
            text.encode()
            if _NUL.search(text):
                raise Problem(400, "Not JSON", "the body holds a NUL character (\\u0000), which no text may have")
    except (ValueError, RecursionError) as error:
        raise Problem(400, "Not JSON", _sentence(error)) from error
    return content


def _parsed(body: bytearray) -> Any:
    # decoded here: json would also take other encodings, and half characters
    text = body.decode("utf-8-sig")
    if not text.strip():
        raise _Refused("the body is empty; send JSON")
    return json.loads(text, parse_constant=_refuse_constant)


class _Refused(ValueError):  # noqa: N818 - it says what a body is
    """What JSON does not allow; the message is the sentence for the caller."""


def _sentence(error: Exception) -> str:
    """Why a body could not be read: where, and nothing that is in it."""
    match error:
        case _Refused():
            return str(error)
        case UnicodeDecodeError():
            return f"the body is not UTF-8 text (byte {error.start + 1:,} cannot be read)"
        case UnicodeEncodeError():
            return "the body holds half a character (an escape such as \\ud800 without its other half)"
        case json.JSONDecodeError():
            return f"the body is not valid JSON (it breaks at line {error.lineno:,}, column {error.colno:,})"
        case RecursionError():
            return "the body is nested too deeply"
    return "the body holds a number of too many digits"


_NUL = re.compile(r"(?<!\\)(\\\\)*\\u0000")  # an escaped NUL, not an escaped backslash before u0000


def _refuse_constant(name: str) -> None:
    raise _Refused(f"the body holds {name}, which JSON does not know; send null where a number is missing")
