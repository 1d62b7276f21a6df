"""The keys that a worker knows: read from the ledger every few seconds, not for every request."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool

from propensity.ledger import Ledger
from propensity.ledger.keys import ApiKey, hash_key, prefix_of, usable_keys
from propensity_serving.edge.asked import Headers, header
from propensity_serving.problems import Problem

FRESH_SECONDS = 3.0
"""A new key works, and a revoked one ends, at most this much later in each worker."""
_NO_HASH = hash_key("")
UNCHECKED = (503, "Not ready", "keys cannot be checked at the moment; try again in a few seconds")

logger = logging.getLogger("propensity.serving")


class Keyring:
    """The usable keys of a ledger.

    Parameters
    ----------
    ledger : callable
        Gives the open ledger; raises what the caller is to be told where there is none yet.
    """

    def __init__(self, ledger: Callable[[], Ledger]) -> None:
        self._ledger = ledger
        self._keys: dict[str, ApiKey] = {}
        self._stale_at = float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, key: str) -> ApiKey | None:
        """What the ledger knows of a key, or None where it does not work.

        Raises
        ------
        Problem
            503: the ledger is not there, or does not answer.
        """
        if time.monotonic() >= self._stale_at:
            async with self._reading:
                if time.monotonic() >= self._stale_at:
                    await self._read()
        known = self._keys.get(prefix_of(key) or "")
        # compared in any case, and in constant time, so that the time taken tells nothing of what is right about a key
        same = hmac.compare_digest(hash_key(key), _NO_HASH if known is None else known.hash)
        return known if same and known is not None and known.works_at(datetime.now(UTC)) else None

    async def _read(self) -> None:
        asked_at = time.monotonic()
        try:
            keys = await run_in_threadpool(usable_keys, self._ledger())
        except sa.exc.SQLAlchemyError as error:
            logger.error("keys cannot be read from the ledger: %s", type(error).__name__)
            raise Problem(*UNCHECKED) from error
        self._keys = {key.prefix: key for key in keys}
        self._stale_at = asked_at + FRESH_SECONDS


def sent_key(headers: Headers) -> str | None:
    """The key that a request carries: as ``Bearer``, as the password of ``Basic``, or in ``X-API-Key``."""
    authorization = header(headers, b"authorization")
    if authorization is None:
        given = header(headers, b"x-api-key")
        return None if given is None else given.decode("latin-1").strip()
    scheme, _, value = authorization.decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return _password(value.strip()) if scheme.lower() == "basic" else None


def _password(value: str) -> str | None:
    try:
        _, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return password if colon else None
