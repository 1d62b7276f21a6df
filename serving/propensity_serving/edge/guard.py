"""Who may pass. Asked before anything of a request is looked at, so that whoever may not learns nothing."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from propensity.ledger.keys import REPORT
from propensity_serving.edge.asked import ASKED, Headers, header
from propensity_serving.edge.keyring import Keyring, sent_key
from propensity_serving.edge.scopes import OPEN, UNKNOWN
from propensity_serving.edge.webhooks import is_genuine, is_signed, is_timely
from propensity_serving.problems import Problem, problem_response

CHALLENGES = ('Bearer realm="Propensity"', 'Basic realm="Propensity", charset="UTF-8"')
"""Basic too, so that a browser asks for the key, as do tools that wait to be asked."""
NO_KEY = (
    401,
    "Unauthorized",
    "send an API key that works: as Authorization: Bearer KEY, as X-API-Key: KEY, or as the password of Basic",
)
WRONG_SIGNATURE = (401, "Unauthorized", "the webhook's signature or time is wrong")
FOREIGN = (403, "Forbidden", "another site's page may not ask for this")
NOT_LOCAL = (421, "Misdirected request", "without keys the service answers on 127.0.0.1 and localhost only")
_SAFE = ("GET", "HEAD", "OPTIONS")
_LOCAL = ("127.0.0.1", "localhost", "::1")


class Guard:
    """Lets a request pass if its key has the scope of its route, or a valid signature where outcomes are reported.

    Parameters
    ----------
    app : ASGI application
    keys : Keyring or None
        None lets everybody on this machine in: for development.
    secrets : sequence of bytes
        Of webhooks' senders.
    """

    def __init__(self, app: ASGIApp, keys: Keyring | None, secrets: Sequence[bytes] = ()) -> None:
        self.app, self.keys, self.secrets = app, keys, tuple(secrets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer why not."""
        if scope["type"] == "websocket":  # there are none, and no key would guard them
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            try:
                receive = await self._admitted(scope, receive)
            except Problem as problem:
                response = problem_response(problem.status, problem.title, problem.detail)
                if problem.status == 401:
                    headers = MutableHeaders(raw=response.raw_headers)
                    for challenge in CHALLENGES:
                        headers.append("www-authenticate", challenge)
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _admitted(self, scope: Scope, receive: Receive) -> Receive:
        """The request's body, if it may pass.

        Raises
        ------
        Problem
            It may not, or who may pass cannot be told.
        """
        asked, headers = ASKED.get(), scope["headers"]
        needed = UNKNOWN.scope if asked is None else asked.rule.scope
        if self.keys is None:
            _require_local(headers)
        elif needed == REPORT and self.secrets and is_signed(headers):
            receive = await self._require_genuine(headers, receive)
        elif needed != OPEN:
            sent = sent_key(headers)
            key = None if sent is None else await self.keys.find(sent)
            if key is None:
                raise Problem(*NO_KEY)
            if asked is not None:
                asked.key = key.prefix
            if not key.allows(needed):
                raise Problem(403, "Forbidden", f"this needs a key with the scope {needed}")
        if scope["method"] not in _SAFE and _is_foreign(headers):
            raise Problem(*FOREIGN)
        return receive

    async def _require_genuine(self, headers: Headers, receive: Receive) -> Receive:
        if not is_timely(headers):
            raise Problem(*WRONG_SIGNATURE)
        body = await _whole_body(receive)
        if not is_genuine(headers, body, self.secrets):
            raise Problem(*WRONG_SIGNATURE)
        return _again(body, receive)


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser says that the request comes from another site's page: it adds the key that it remembers."""
    site = header(headers, b"sec-fetch-site")
    if site is not None:
        return site not in (b"same-origin", b"none")
    origin = header(headers, b"origin")  # browsers that say nothing of sites, or have no safe connection
    return origin is not None and origin.partition(b"://")[2] != header(headers, b"host")


def _require_local(headers: Headers) -> None:
    """A page elsewhere can give this machine's address a name of its own, and would be answered under that."""
    try:
        host = urlsplit(b"//" + (header(headers, b"host") or b"")).hostname
    except ValueError:
        host = None
    if host is None or host.decode("latin-1") not in _LOCAL:
        raise Problem(*NOT_LOCAL)


async def _whole_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, and then whatever comes."""
    given = False

    async def once_more() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once_more
