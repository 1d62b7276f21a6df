"""Signatures of webhooks, against the definition of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest

from propensity.errors import InputError
from propensity_serving.edge.webhooks import (
    SECRET_FILE_VARIABLE,
    SECRET_VARIABLE,
    TOLERANCE_SECONDS,
    is_genuine,
    is_timely,
    read_secrets,
)

SECRET = bytes(range(32))
OTHER = bytes(range(1, 33))
BODY = '{"type":"contact.created","name":"Zoë"}'.encode()


def signature(secret: bytes, message_id: str, stamp: int | str, body: bytes) -> str:
    """By the definition: base64 of HMAC-SHA256 over id, time and body with full stops between them."""
    content = message_id.encode() + b"." + str(stamp).encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()


def headers(signatures: str, message_id: str = "msg_1", stamp: int | str | None = None) -> list[tuple[bytes, bytes]]:
    stamp = int(time.time()) if stamp is None else stamp
    found = {"webhook-id": message_id, "webhook-timestamp": str(stamp), "webhook-signature": signatures}
    return [(name.encode(), value.encode()) for name, value in found.items()]


def test_a_vector_that_openssl_made():
    # printf 'evt_7.1767225600.{"reactivated": true}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0001...17 -binary
    signed = headers("v1,U3F/4FgKwZMy3PvRmNQd2jSOYAzXlIQqSnrsZW9UjyE=", "evt_7", 1767225600)
    assert is_genuine(signed, b'{"reactivated": true}', [bytes(range(24))])


def test_the_right_signature_is_genuine_and_no_other():
    now = int(time.time())
    right = signature(SECRET, "msg_1", now, BODY)
    assert is_genuine(headers(right, stamp=now), BODY, [SECRET])
    assert not is_genuine(headers(right, stamp=now), BODY + b" ", [SECRET])
    assert not is_genuine(headers(right, message_id="msg_2", stamp=now), BODY, [SECRET])
    assert not is_genuine(headers(right, stamp=now + 1), BODY, [SECRET])
    assert not is_genuine(headers(right, stamp=now), BODY, [OTHER])
    for wrong in ("", "v1,", right[3:], right.replace("v1,", "v1a,"), right[:-4], right.upper()):
        assert not is_genuine(headers(wrong, stamp=now), BODY, [SECRET])


def test_one_of_several_signatures_or_secrets_is_enough():
    now = int(time.time())
    right, wrong = signature(SECRET, "msg_1", now, BODY), signature(OTHER, "msg_1", now, BODY)
    assert is_genuine(headers(f"{wrong} v1a,xyz {right}", stamp=now), BODY, [SECRET])
    assert is_genuine(headers(right, stamp=now), BODY, [OTHER, SECRET])
    assert not is_genuine(headers(right, stamp=now), BODY, [])


@pytest.mark.parametrize(
    ("off", "timely"),
    [(0, True), (TOLERANCE_SECONDS - 5, True), (5 - TOLERANCE_SECONDS, True), (305, False), (-305, False)],
)
def test_five_minutes_are_near_to_now(off, timely):
    assert is_timely(headers("v1,x", stamp=int(time.time()) + off)) is timely


@pytest.mark.parametrize("stamp", ["", "soon", "-5", "1e9", "9" * 30, "²"])
def test_what_is_no_time_is_not_timely(stamp):
    assert not is_timely(headers("v1,x", stamp=stamp))


def test_an_id_is_needed():
    assert not is_timely(headers("v1,x", message_id=""))


def text(secret: bytes) -> str:
    return "whsec_" + base64.b64encode(secret).decode()


def test_secrets_come_from_the_environment_and_from_a_file(tmp_path):
    file = tmp_path / "secrets"
    file.write_text(f"{text(OTHER)}\n{text(SECRET)}\n")
    assert read_secrets({}) == ()
    assert read_secrets({SECRET_VARIABLE: f"{text(SECRET)} {text(OTHER)}"}) == (SECRET, OTHER)
    assert read_secrets({SECRET_VARIABLE: text(SECRET).removeprefix("whsec_")}) == (SECRET,)
    assert read_secrets({SECRET_FILE_VARIABLE: str(file)}) == (OTHER, SECRET)


@pytest.mark.parametrize("wrong", ["whsec_" + "QUJD", "whsec_not base64", "whsec_" + "QUJD" * 30])
def test_what_is_no_secret_is_refused_and_not_told(wrong):
    with pytest.raises(InputError, match="expected secrets of 24 to 64 random bytes") as caught:
        read_secrets({SECRET_VARIABLE: wrong})
    assert wrong.removeprefix("whsec_") not in str(caught.value)
