"""What every answer has: headers for safety, and where it is an error the form of a problem, whoever made it."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from propensity_serving.problems import problem_response

DETAILS = {
    404: "there is nothing at this address",
    405: "this address does not know this method",
    429: "too many requests at once; try again in a few seconds",
    503: "the service is not ready; try again in a few seconds",
    504: "the answer took too long; ask for fewer customers at a time",
}
"""Of errors that not the application itself tells, such as BentoML's; what those say is not passed on."""
ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
PAGE_POLICY = (
    b"default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    b"frame-ancestors 'none'"
)
"""Of pages that bring no policy of their own: their styles stand in them, and they run no script."""
_KEPT = (b"allow", b"retry-after", b"www-authenticate")
_STATIC = "/static_content/"


class Answers:
    """Adds the headers; puts a problem in the place of an error that has another form."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and look at what comes back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        replaced = False
        lasting = scope["path"].startswith(_STATIC)

        async def finished(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_added(message, lasting)]
            await send(message)

        async def looked_at(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] >= 400 and not _is_told(message):
                replaced = True
                status = message["status"]
                detail = DETAILS.get(status, "the request could not be answered")
                response = problem_response(status, HTTPStatus(status).phrase, detail)
                response.raw_headers += [h for h in message["headers"] if h[0] in _KEPT]
                await response(scope, receive, finished)
            elif not replaced:
                await finished(message)

        await self.app(scope, receive, looked_at)


def _added(message: Message, lasting: bool) -> list[tuple[bytes, bytes]]:
    """The headers that an answer lacks."""
    names = {name for name, _ in message["headers"]}
    added = list(ALWAYS)
    if not lasting and b"cache-control" not in names:
        added.append((b"cache-control", b"no-store"))
    if b"content-security-policy" not in names and _media_type(message).startswith(b"text/html"):
        added.append((b"content-security-policy", PAGE_POLICY))
    if message["status"] == 408:
        added.append((b"connection", b"close"))
    return added


def _is_told(message: Message) -> bool:
    """Whether an error has a form that people or programs of ours expect."""
    return _media_type(message).startswith((b"application/problem+json", b"text/html"))


def _media_type(message: Message) -> bytes:
    return next((value for name, value in message["headers"] if name == b"content-type"), b"")
