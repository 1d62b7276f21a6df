"""One line a request, outermost: what was asked, by which key, and how it went; nothing that the caller wrote."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from propensity_serving.edge.asked import ASKED, REQUEST_ID, Asked, request_id
from propensity_serving.edge.scopes import rule_of

logger = logging.getLogger("propensity.serving.requests")
_PROBES = ("/livez", "/readyz", "/healthz")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ANSWER = 499
"""Status in the log of a request whose caller was gone before an answer began."""


class RequestLog:
    """Notes what is known of a request, gives it an id, and writes its line when it is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, then write."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), NO_ANSWER
        asked = Asked(rule_of(scope["method"], scope["path"]), request_id(scope["headers"]))
        before = ASKED.set(asked)

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID, asked.request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            # probes come every few seconds, and say something only when they fail
            if status != 200 or asked.rule.template not in _PROBES:
                method = scope["method"] if scope["method"] in _METHODS else "other"
                spent = {"method": method, "status": status, "ms": round((time.perf_counter() - began) * 1000, 1)}
                logger.info("request", extra={"fields": spent})
            ASKED.reset(before)
