"""Signatures of webhooks as Standard Webhooks has them (version 1, symmetric): HMAC-SHA256 over id, time and body."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from propensity.errors import InputError
from propensity_serving.edge.asked import Headers, header

SECRET_VARIABLE = "PROPENSITY_WEBHOOK_SECRET"
"""Secrets, with blanks between them; several while one takes another's place."""
SECRET_FILE_VARIABLE = "PROPENSITY_WEBHOOK_SECRET_FILE"
"""A file with a secret on each line."""
TOLERANCE_SECONDS = 300
_MIN_BYTES, _MAX_BYTES = 24, 64  # of a secret, as the standard has it
_BRAND = "whsec_"
_ID, _TIME, SIGNATURE = b"webhook-id", b"webhook-timestamp", b"webhook-signature"


def is_signed(headers: Headers) -> bool:
    """Whether a request claims to be signed."""
    return header(headers, SIGNATURE) is not None


def is_timely(headers: Headers) -> bool:
    """Whether the request has an id, and a time near to now, so that its body is worth reading."""
    stamp = header(headers, _TIME) or b""
    if not header(headers, _ID) or not stamp.isdigit() or len(stamp) > 12:
        return False
    return abs(time.time() - int(stamp)) <= TOLERANCE_SECONDS


def is_genuine(headers: Headers, body: bytes, secrets: Sequence[bytes]) -> bool:
    """Whether one of the signatures of a timely request is that of its body by one of the secrets."""
    signed = b".".join((header(headers, _ID) or b"", header(headers, _TIME) or b"", body))
    expected = [b"v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)) for secret in secrets]
    given = (header(headers, SIGNATURE) or b"").split(b" ")
    return any(hmac.compare_digest(one, other) for one in given for other in expected)


def read_secrets(environment: Mapping[str, str] = os.environ) -> tuple[bytes, ...]:
    """The secrets that the environment names, none or several.

    Raises
    ------
    InputError
        A file cannot be read, or something is no secret; what it holds is not told.
    """
    texts = [(SECRET_VARIABLE, text) for text in environment.get(SECRET_VARIABLE, "").split()]
    file = environment.get(SECRET_FILE_VARIABLE)
    if file:
        texts += [(f"webhook secret file {file}", text) for text in _lines(file)]
    return tuple(_secret(text, where) for where, text in texts)


def _lines(file: str) -> list[str]:
    try:
        lines = Path(file).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"webhook secret file {file}: cannot be read ({said}); name a file of secrets") from error
    if not lines:
        raise InputError(f"webhook secret file {file}: is empty; write a secret (whsec_...) on each line")
    return lines


def _secret(text: str, where: str) -> bytes:
    try:
        secret = base64.b64decode(text.removeprefix(_BRAND), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not _MIN_BYTES <= len(secret) <= _MAX_BYTES:
        raise InputError(
            f"{where}: expected secrets of {_MIN_BYTES} to {_MAX_BYTES} random bytes in base64, such as the sender "
            "shows (whsec_...), found something else"
        )
    return secret
