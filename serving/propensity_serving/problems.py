"""Errors as the caller is told them: `application/problem+json` (RFC 9457), with no internals in them."""

from __future__ import annotations

import json
import logging
from types import TracebackType

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("propensity.serving")


class Problem(Exception):  # noqa: N818 - the name that RFC 9457 gives it
    """An error that the caller is told, as ``application/problem+json`` (RFC 9457)."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail = status, title, detail


def problem_response(status: int, title: str, detail: str) -> Response:
    """A problem as a response."""
    content = {"type": "about:blank", "status": status, "title": title, "detail": detail}
    return Response(json.dumps(content), status, media_type="application/problem+json")


async def tell_problem(request: Request, error: Exception) -> Response:
    """Handles `Problem`."""
    assert isinstance(error, Problem)  # registered for this class
    return problem_response(error.status, error.title, error.detail)


async def tell_http_problem(request: Request, error: Exception) -> Response:
    """Handles what Starlette itself refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)  # registered for this class
    response = problem_response(error.status_code, error.detail, f"{request.method} {request.url.path}")
    response.headers.update(error.headers or {})
    return response


def place(traceback: TracebackType | None) -> str:
    """Where a fault came from: file and line."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}" if traceback else "unknown"


class Faults:
    """Turns an internal fault into a problem, and logs it without what it said.

    The type and place of a fault are logged, never its message: that could hold a customer's data. For the same
    reason the fault ends here; a server would log all of it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; answer in the application's place where it fails."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the caller gets an answer
            logger.error("a request failed: %s at %s", type(error).__name__, place(error.__traceback__))
            if not started:
                detail = "the request could not be answered; it has been logged"
                await problem_response(500, "Internal error", detail)(scope, receive, send)
