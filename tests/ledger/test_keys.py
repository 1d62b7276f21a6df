"""API keys in the ledger, on each of its databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from propensity.errors import InputError
from propensity.ledger import schema
from propensity.ledger.keys import (
    SCOPES,
    api_keys,
    create_key,
    hash_key,
    prefix_of,
    require_usable_key,
    revoke_keys,
    rotate_key,
    usable_keys,
)

DAY = timedelta(days=1)


def everything(ledger) -> list[dict]:
    t = schema.api_keys
    with ledger.engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.select(t).order_by(t.c.id)).mappings()]


def move_back(ledger, prefix: str, by: timedelta) -> None:
    """As if the key had been made earlier."""
    t = schema.api_keys
    with ledger.engine.begin() as connection:
        row = connection.execute(sa.select(t).where(t.c.prefix == prefix)).mappings().one()
        earlier = {c: row[c] - by for c in ("created_at", "expires_at", "revoked_at") if row[c] is not None}
        connection.execute(t.update().where(t.c.prefix == prefix).values(**earlier))


def test_a_key_is_told_once_and_kept_as_a_hash_only(ledger):
    key, made = create_key(ledger, name="Braze", scopes=["decide", "report"])
    assert len(key.split("_", 2)[2]) >= 43  # 32 bytes in base64
    assert prefix_of(key) == made.prefix
    (row,) = everything(ledger)
    assert row["hash"] == hash_key(key)
    secret = key.split("_", 2)[2]
    assert not any(secret in str(value) for value in row.values())
    assert (row["name"], row["scopes"], row["revoked_at"]) == ("Braze", ["decide", "report"], None)
    assert usable_keys(ledger) == [made]


def test_no_two_keys_are_alike(ledger):
    keys = [create_key(ledger, name=f"tool {i}", scopes=["read"])[0] for i in range(20)]
    assert len(set(keys)) == len({hash_key(k) for k in keys}) == len({prefix_of(k) for k in keys}) == 20


def test_admin_is_for_everything_and_others_for_what_they_say(ledger):
    _, admin = create_key(ledger, name="a", scopes=["admin"])
    _, report = create_key(ledger, name="b", scopes=["report"])
    assert all(admin.allows(scope) for scope in SCOPES)
    assert [scope for scope in SCOPES if report.allows(scope)] == ["report"]


def test_a_key_ends_when_it_expires(ledger):
    _, made = create_key(ledger, name="a", scopes=["decide"], lifetime=30 * DAY)
    assert made.expires_at - made.created_at == 30 * DAY
    move_back(ledger, made.prefix, 29 * DAY)
    assert len(usable_keys(ledger)) == 1
    move_back(ledger, made.prefix, DAY)
    assert usable_keys(ledger) == []
    assert api_keys(ledger)[0].state(datetime.now(UTC)).startswith("expired ")
    # its name is free again
    create_key(ledger, name="a", scopes=["decide"])


def test_a_revoked_key_ends_at_once_and_nothing_else_of_it_changes(ledger):
    _, made = create_key(ledger, name="a", scopes=["decide"])
    create_key(ledger, name="b", scopes=["decide"])
    before, other = everything(ledger)
    assert [k.prefix for k in revoke_keys(ledger, "a")] == [made.prefix]
    after, other_after = everything(ledger)
    assert after.pop("revoked_at") is not None
    assert after == {k: v for k, v in before.items() if k != "revoked_at"}
    assert other_after == other
    assert [k.name for k in usable_keys(ledger)] == ["b"]
    with pytest.raises(InputError, match="no key that works has this name or prefix; see: propensity keys list"):
        revoke_keys(ledger, "a")


def test_after_a_rotation_both_work_until_the_grace_is_over(ledger):
    first, old = create_key(ledger, name="a", scopes=["report", "decide"], lifetime=90 * DAY)
    move_back(ledger, old.prefix, 80 * DAY)
    second, new, ended = rotate_key(ledger, "a", grace=DAY)
    assert first != second
    assert (new.name, new.scopes, new.expires_at - new.created_at) == ("a", old.scopes, 90 * DAY)
    assert ended.prefix == old.prefix
    assert {k.prefix for k in usable_keys(ledger)} == {old.prefix, new.prefix}
    assert not ended.works_at(datetime.now(UTC) + DAY)
    assert new.works_at(datetime.now(UTC) + DAY)
    assert ended.state(datetime.now(UTC)).startswith("works until ")


def test_a_rotated_key_cannot_be_rotated_or_prolonged_and_can_be_ended_sooner(ledger):
    _, old = create_key(ledger, name="a", scopes=["decide"])
    rotate_key(ledger, old.prefix, grace=DAY)
    with pytest.raises(InputError, match="is rotated already, and works until"):
        rotate_key(ledger, old.prefix, grace=9 * DAY)
    # the name stands for the new key
    _, third, second = rotate_key(ledger, "a", grace=DAY)
    assert old.prefix not in (third.prefix, second.prefix)
    revoke_keys(ledger, old.prefix)
    assert {k.prefix for k in usable_keys(ledger)} == {second.prefix, third.prefix}
    assert len(revoke_keys(ledger, "a")) == 2
    assert usable_keys(ledger) == []


@pytest.mark.parametrize(
    ("name", "scopes", "said"),
    [
        ("", ["decide"], "name: expected 1 to 100 printable characters"),
        ("  ", ["decide"], "name: expected"),
        ("a\nb", ["decide"], "name: expected"),
        ("a" * 101, ["decide"], "name: expected"),
        ("a", [], "scope: expected one or more of decide, report, read, admin, found none"),
        ("a", ["decide", "write"], "scope: .* found write"),
        ("taken", ["decide"], "name taken: has a key that works; change it with: propensity keys rotate 'taken'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(ledger, name, scopes, said):
    create_key(ledger, name="taken", scopes=["decide"])
    with pytest.raises(InputError, match=said):
        create_key(ledger, name=name, scopes=scopes)
    assert len(everything(ledger)) == 1


def test_a_ledger_without_a_key_that_works_says_how_to_make_one(ledger):
    _, made = create_key(ledger, name="a", scopes=["read"])
    require_usable_key(ledger)
    revoke_keys(ledger, made.prefix)
    with pytest.raises(InputError, match="make one with: propensity keys create --name NAME --scope decide --ledger"):
        require_usable_key(ledger)


@pytest.mark.parametrize("text", ["", "propensity", "propensity_12345678", "other_12345678_x", "Zoë"])
def test_what_is_no_key_has_no_prefix(text):
    assert prefix_of(text) is None
