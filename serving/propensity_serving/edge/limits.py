"""How much a caller may send, and how long they may take."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from propensity_serving.bodies import MAX_BODY_BYTES
from propensity_serving.edge.asked import header
from propensity_serving.problems import Problem, problem_response

BODY_SECONDS = 8.0
"""For a whole body to arrive; shorter than BentoML's limit, so that the caller learns what was too slow."""

MAX_HEAD_BYTES = 16 * 1024
"""Of address and headers together; of one that arrives in pieces the server itself reads no more."""

LONG_ADDRESS = (414, "Address too long", f"address and headers together may have {MAX_HEAD_BYTES} bytes")
LONG_HEADERS = (431, "Headers too large", f"address and headers together may have {MAX_HEAD_BYTES} bytes")
TOO_LARGE = (413, "Body too large", f"the body may have {MAX_BODY_BYTES} bytes; send less at a time")
TOO_SLOW = (408, "Body too slow", f"the body did not arrive within {BODY_SECONDS:g} seconds; send it again")


class Limits:
    """Refuses heads that are too large, and bodies that are announced so; counts and times others while they are read.

    What reads a body gets a `Problem`, which the application tells the caller.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, within the limits."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        address = _address_bytes(scope)
        if address + _header_bytes(scope) > MAX_HEAD_BYTES:
            told = LONG_ADDRESS if address > MAX_HEAD_BYTES // 2 else LONG_HEADERS
            await problem_response(*told)(scope, receive, send)
            return
        announced = header(scope["headers"], b"content-length") or b""
        if announced.isdigit() and (len(announced) > 18 or int(announced) > MAX_BODY_BYTES):
            await problem_response(*TOO_LARGE)(scope, receive, send)
            return
        await self.app(scope, limited(receive), send)


def _address_bytes(scope: Scope) -> int:
    return len(scope.get("raw_path") or scope["path"].encode()) + len(scope.get("query_string", b""))


def _header_bytes(scope: Scope) -> int:
    """As they are sent: each with a colon, a blank and a line break."""
    return sum(len(name) + len(value) + 4 for name, value in scope["headers"])


def limited(receive: Receive) -> Receive:
    """A body that ends with a `Problem` when it is too long or too slow."""
    n_bytes, due, ended = 0, 0.0, False

    async def counted() -> Message:
        nonlocal n_bytes, due, ended
        if ended:  # what is waited for now is the end of the connection
            return await receive()
        due = due or asyncio.get_running_loop().time() + BODY_SECONDS
        try:
            async with asyncio.timeout_at(due):
                message = await receive()
        except TimeoutError as error:
            raise Problem(*TOO_SLOW) from error
        n_bytes += len(message.get("body", b""))
        if n_bytes > MAX_BODY_BYTES:
            raise Problem(*TOO_LARGE)
        ended = not message.get("more_body", False)
        return message

    return counted
