"""What is known of the request that is being answered, for its log lines."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass

from propensity_serving.edge.scopes import Rule

Headers = list[tuple[bytes, bytes]]

REQUEST_ID = b"x-request-id"
# ids that proxies make: UUIDs, 32 hexadecimal digits, ULIDs; anything freer could be a customer's name
_SANE = re.compile(rb"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}|[0-7][0-9A-HJKMNP-TV-Z]{25}")


@dataclass(slots=True)
class Asked:
    """A request: its rule, its id, and the prefix of the key that it came with, once that is known."""

    rule: Rule
    request_id: str
    key: str | None = None


ASKED: ContextVar[Asked | None] = ContextVar("asked", default=None)


def request_id(headers: Headers) -> str:
    """The caller's id of the request where it can be nothing else, or a new one."""
    given = header(headers, REQUEST_ID)
    return given.decode() if given is not None and _SANE.fullmatch(given) else secrets.token_hex(16)


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first header of a name, which is in lower case as ASGI has it."""
    return next((value for key, value in headers if key == name), None)
