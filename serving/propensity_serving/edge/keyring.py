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

import anyio.to_thread
import sqlalchemy as sa

from propensity.ledger import Ledger, LedgerUnavailable
from propensity.ledger.keys import ApiKey, hash_key, prefix_of, usable_keys
from propensity_serving.edge.asked import Headers, header
from propensity_serving.problems import Problem

FRESH_SECONDS = 3.0
"""A new key works, and a revoked one ends, at most this much later in each worker."""
KEPT_SECONDS = 3600.0
"""The keys last read work so long while the ledger does not answer. They open little: almost all is in the ledger."""
PATIENCE_SECONDS = 2.0
"""For the ledger, before the keys last read are used."""
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
        self._stale_at = self._read_at = float("-inf")
        self._answers = True
        self._reading = asyncio.Lock()

    async def find(self, key: str) -> ApiKey | None:
        """What the ledger knows of a key, or None where it does not work.

        Raises
        ------
        Problem
            503: the ledger is not there, or has not answered for long, or does not answer and the key is a new one.
        """
        if time.monotonic() >= self._stale_at:
            async with self._reading:
                if time.monotonic() >= self._stale_at:
                    await self._read()
        known = self._keys.get(prefix_of(key) or "")
        # compared in any case, and in constant time, so that the time taken tells nothing of what is right about a key
        same = hmac.compare_digest(hash_key(key), _NO_HASH if known is None else known.hash)
        if same and known is not None:
            return known if known.works_at(datetime.now(UTC)) else None
        if not self._answers:  # it may have been made since
            raise Problem(*UNCHECKED)
        return None

    async def _read(self) -> None:
        asked_at = time.monotonic()
        try:
            with anyio.fail_after(PATIENCE_SECONDS):
                keys = await anyio.to_thread.run_sync(usable_keys, self._ledger(), abandon_on_cancel=True)
        except (sa.exc.SQLAlchemyError, LedgerUnavailable, TimeoutError) as error:
            if self._answers:
                logger.error("keys cannot be read from the ledger: %s", type(error).__name__)
            self._answers = False
            if asked_at - self._read_at >= KEPT_SECONDS:
                raise Problem(*UNCHECKED) from error
        else:
            self._keys, self._read_at, self._answers = {key.prefix: key for key in keys}, asked_at, True
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
