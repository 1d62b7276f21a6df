"""API keys: who may ask the service for what. Only a key's hash is kept; its row changes only by revocation."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from propensity.errors import InputError
from propensity.ledger import schema
from propensity.ledger.store import Ledger

DECIDE, REPORT, READ, ADMIN = "decide", "report", "read", "admin"
SCOPES = {
    DECIDE: "ask for decisions and holdouts",
    REPORT: "report outcomes, suppressions and customers",
    READ: "read models, experiments, metrics and the description of the API",
    ADMIN: "everything, also reading and erasing a customer",
}
"""What a key may be for, in words."""
MAX_NAME = 100
_BRAND = "propensity"
_PREFIX_BYTES, _SECRET_BYTES = 4, 32


@dataclass(frozen=True)
class ApiKey:
    """A key as the ledger knows it.

    Attributes
    ----------
    prefix : str
        The part of the key that people and logs see.
    hash : str
        Of the whole key.
    name : str
        Of whoever holds it.
    scopes : frozenset of str
    created_at, expires_at, revoked_at : datetime
        UTC. A revocation may lie ahead, after a rotation.
    """

    prefix: str
    hash: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def allows(self, scope: str) -> bool:
        """Whether the key is for this; ``admin`` is for everything."""
        return scope in self.scopes or ADMIN in self.scopes

    def works_at(self, at: datetime) -> bool:
        """Whether the key opens anything at that time."""
        return (self.expires_at is None or at < self.expires_at) and (self.revoked_at is None or at < self.revoked_at)

    def state(self, at: datetime) -> str:
        """How it stands with the key, in words."""
        if self.revoked_at is not None and self.revoked_at <= at:
            return f"revoked {_when(self.revoked_at)}"
        if self.expires_at is not None and self.expires_at <= at:
            return f"expired {_when(self.expires_at)}"
        ends = [end for end in (self.revoked_at, self.expires_at) if end is not None]
        return f"works until {_when(min(ends))}" if ends else "works"


def create_key(
    ledger: Ledger, *, name: str, scopes: Sequence[str], lifetime: timedelta | None = None
) -> tuple[str, ApiKey]:
    """Make a key.

    Parameters
    ----------
    ledger : Ledger
    name : str
        Of whoever will hold it; no other key that works may have it.
    scopes : sequence of str
        Of `SCOPES`.
    lifetime : timedelta, optional
        Without it the key works until it is revoked.

    Returns
    -------
    str
        The key, which nobody can be told again.
    ApiKey

    Raises
    ------
    InputError
        The name is blank, too long or taken, or a scope does not exist.
    """
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise InputError(f"name: expected 1 to {MAX_NAME} printable characters, found {name!r}")
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise InputError(f"scope: expected one or more of {', '.join(SCOPES)}, found {', '.join(unknown) or 'none'}")
    if any(key.name == name and key.revoked_at is None for key in usable_keys(ledger)):
        raise InputError(f"name {name}: has a key that works; change it with: propensity keys rotate {name!r}")
    return _add(ledger, name, scopes, lifetime)


def rotate_key(ledger: Ledger, which: str, *, grace: timedelta) -> tuple[str, ApiKey, ApiKey]:
    """Make a new key with the name, scopes and lifetime of another, which works for a while longer.

    Parameters
    ----------
    ledger : Ledger
    which : str
        Name or prefix of the other.
    grace : timedelta
        How long the other works on.

    Returns
    -------
    str
        The new key, which nobody can be told again.
    ApiKey
        The new key's row.
    ApiKey
        That of the other one, with its end.

    Raises
    ------
    InputError
        No key that works has this name or prefix, or it is rotated already.
    """
    found = _named(ledger, which)
    standing = [key for key in found if key.revoked_at is None]
    if not standing:
        raise InputError(f"key {which}: is rotated already, and {found[0].state(datetime.now(UTC))}")
    old = standing[0]
    lifetime = None if old.expires_at is None else old.expires_at - old.created_at
    key, new = _add(ledger, old.name, sorted(old.scopes), lifetime)
    _revoke(ledger, [old.prefix], datetime.now(UTC) + grace)
    (old,) = (k for k in api_keys(ledger) if k.prefix == old.prefix)
    return key, new, old


def revoke_keys(ledger: Ledger, which: str) -> list[ApiKey]:
    """End at once all keys of a name, or the one with a prefix; those that were ended are returned.

    Raises
    ------
    InputError
        No key that works has this name or prefix.
    """
    found = _named(ledger, which)
    _revoke(ledger, [key.prefix for key in found], datetime.now(UTC))
    return found


def api_keys(ledger: Ledger) -> list[ApiKey]:
    """All keys that there ever were, oldest first."""
    t = schema.api_keys
    columns = (t.c.prefix, t.c.hash, t.c.name, t.c.scopes, t.c.created_at, t.c.expires_at, t.c.revoked_at)
    query = sa.select(*columns).order_by(t.c.id)
    rows = ledger.read(lambda connection: connection.execute(query).mappings().all())
    return [ApiKey(**{**row, "scopes": frozenset(row["scopes"])}) for row in rows]


def usable_keys(ledger: Ledger) -> list[ApiKey]:
    """The keys that work now, oldest first."""
    now = datetime.now(UTC)
    return [key for key in api_keys(ledger) if key.works_at(now)]


def require_usable_key(ledger: Ledger) -> None:
    """Refuse a ledger without any key that works.

    Raises
    ------
    InputError
        It says how to make one.
    """
    if not usable_keys(ledger):
        raise InputError(
            f"ledger {ledger.name}: holds no API key that works, so nobody could ask the service; make one with: "
            f"propensity keys create --name NAME --scope {DECIDE} --ledger {ledger.name} (or for development, start "
            "with --no-keys)"
        )


def prefix_of(key: str) -> str | None:
    """The part of a key that may be shown, or None where this is no key."""
    parts = key.split("_", 2)
    return parts[1] if len(parts) == 3 and parts[0] == _BRAND else None


def hash_key(key: str) -> str:
    """What is kept of a key; a fast hash will do, as nobody can guess 32 random bytes however fast they try."""
    return hashlib.blake2b(key.encode(), digest_size=32, person=b"api key").hexdigest()


def _add(ledger: Ledger, name: str, scopes: Sequence[str], lifetime: timedelta | None) -> tuple[str, ApiKey]:
    prefix = secrets.token_hex(_PREFIX_BYTES)
    key = f"{_BRAND}_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    now = datetime.now(UTC)
    ends = None if lifetime is None else now + lifetime
    made = ApiKey(prefix, hash_key(key), name, frozenset(scopes), now, ends, None)
    with ledger.engine.begin() as connection:
        connection.execute(schema.api_keys.insert(), [{**vars(made), "scopes": sorted(made.scopes)}])
    return key, made


def _named(ledger: Ledger, which: str) -> list[ApiKey]:
    """The keys that work of a prefix or a name."""
    usable = usable_keys(ledger)
    found = [key for key in usable if key.prefix == which] or [key for key in usable if key.name == which]
    if not found:
        raise InputError(f"key {which}: no key that works has this name or prefix; see: propensity keys list")
    return found


def _revoke(ledger: Ledger, prefixes: Sequence[str], at: datetime) -> None:
    """An end may come earlier than was said before, never later."""
    t = schema.api_keys
    later = sa.or_(t.c.revoked_at.is_(None), t.c.revoked_at > at)
    with ledger.engine.begin() as connection:
        connection.execute(t.update().where(t.c.prefix.in_(prefixes), later).values(revoked_at=at))


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
